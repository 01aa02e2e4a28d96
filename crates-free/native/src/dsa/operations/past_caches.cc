#include "dsa/operations/past_caches.h"

#include <algorithm>
#include <cstring>

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

namespace mdev::dsa {

#if defined(__x86_64__)

namespace {

constexpr uint64_t kLine = 64;

void copyLine(std::byte* to, const std::byte* from) {
  const auto* const source = reinterpret_cast<const __m128i*>(from);
  auto* const destination = reinterpret_cast<__m128i*>(to);
  const __m128i line[] = {_mm_loadu_si128(source), _mm_loadu_si128(source + 1), _mm_loadu_si128(source + 2),
                          _mm_loadu_si128(source + 3)};
  _mm_stream_si128(destination, line[0]);
  _mm_stream_si128(destination + 1, line[1]);
  _mm_stream_si128(destination + 2, line[2]);
  _mm_stream_si128(destination + 3, line[3]);
}

}  // namespace

void copyPastCaches(std::byte* to, const std::byte* from, uint64_t length, const std::byte* next) {
  // Lines of the destination are written whole, or the processor would have to read them first.
  const uint64_t head = std::min(-reinterpret_cast<uintptr_t>(to) % kLine, length);
  std::memcpy(to, from, head);
  uint64_t at = head;
  for (; length - at >= kLine + kCopyAhead; at += kLine) {
    __builtin_prefetch(from + at + kCopyAhead, 0, 0);
    copyLine(to + at, from + at);
  }
  // Not computed as a pointer: there may be nothing.
  for (auto ahead = reinterpret_cast<uintptr_t>(next); length - at >= kLine; at += kLine, ahead += kLine) {
    __builtin_prefetch(reinterpret_cast<const void*>(ahead), 0, 0);
    copyLine(to + at, from + at);
  }
  std::memcpy(to + at, from + at, length - at);
  _mm_sfence();
}

#else

void copyPastCaches(std::byte* to, const std::byte* from, uint64_t length, const std::byte*) {
  std::memcpy(to, from, length);
}

#endif

}  // namespace mdev::dsa

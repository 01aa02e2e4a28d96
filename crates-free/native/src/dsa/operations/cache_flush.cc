// Cache flush. DSA specification 8.3.26.
#include <algorithm>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

#include "dsa/operations/cursor.h"
#include "dsa/operations/operation.h"
#include "dsa/status.h"

namespace mdev::dsa {
namespace {

constexpr uint64_t kLine = 64;
/// A flushed byte costs a chunk as much as this many that are copied.
constexpr uint64_t kCost = 16;

#if defined(__x86_64__)

/// Instructions that do not wait for each other (CPUID leaf 7, EBX bit 23).
bool haveUnordered() {
  static const bool have = [] {
    unsigned a = 0;
    unsigned b = 0;
    unsigned c = 0;
    unsigned d = 0;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b >> 23 & 1) != 0;
  }();
  return have;
}

[[gnu::target("clflushopt")]] void flushUnordered(std::byte* first, std::byte* end) {
  for (std::byte* line = first; line < end; line += kLine) _mm_clflushopt(line);
}

void flushLines(std::byte* first, std::byte* end) {
  if (haveUnordered()) {
    flushUnordered(first, end);
  } else {
    for (std::byte* line = first; line < end; line += kLine) _mm_clflush(line);
  }
  // Before the record says that it is done.
  _mm_mfence();
}

#elif defined(__aarch64__)

void flushLines(std::byte* first, std::byte* end) {
  for (std::byte* line = first; line < end; line += kLine) asm volatile("dc civac, %0" : : "r"(line) : "memory");
  asm volatile("dsb ish" : : : "memory");
}

#else
#error "no instruction known that flushes a cache line"
#endif

/// Every line that has one of the bytes.
void flush(std::byte* bytes, uint64_t length) {
  const auto first = reinterpret_cast<uintptr_t>(bytes) & ~uintptr_t{kLine - 1};
  flushLines(reinterpret_cast<std::byte*>(first), bytes + length);
}

Step cacheFlush(Execution& execution, GuestAccess& memory, Budget& budget) {
  const Descriptor& descriptor = execution.descriptor;
  const uint64_t start = descriptor.address2();
  for (;;) {
    if (execution.done >= descriptor.size()) {
      execution.completion.status = kStatusSuccess;
      return Step::finished;
    }
    const uint64_t left = descriptor.size() - execution.done;
    if (budget.spent()) return Step::yield;
    const uint64_t at = start + execution.done;
    const uint64_t wanted = std::min(left, std::max<uint64_t>(budget.bytes() / kCost, kLine));
    Translation piece;
    // As for the instructions of processors, the right to read is enough.
    if (at >= start) piece = memory.translate(Walk::forward, at, wanted, kDmaRead);
    bool good = piece.kind != Translation::Kind::fault;
    if (piece.kind == Translation::Kind::mapped) {
      flush(piece.pointer, piece.length);
      good = memory.dma().finish(piece, piece.pointer, piece.length, false);
    }
    // What is reached by message is in no cache of this process.
    if (!good) {
      fault(execution, at, FaultOperand::destination1, false);
      return Step::finished;
    }
    execution.done += piece.length;
    budget.take(piece.length * kCost);
  }
}

}  // namespace

const Operation kCacheFlush = {.execute = cacheFlush};

}  // namespace mdev::dsa

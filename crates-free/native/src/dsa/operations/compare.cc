// Compare and compare pattern. DSA specification 8.3.6 and 8.3.7.
#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "dsa/flags.h"
#include "dsa/operations/operation.h"
#include "dsa/operations/stream.h"
#include "dsa/operations/vector.h"
#include "dsa/status.h"

namespace mdev::dsa {
namespace {

constexpr Operand kSources[] = {{16, false, FaultOperand::source1}, {24, false, FaultOperand::source2}};
constexpr Operand kSource[] = {{16, false, FaultOperand::source1}};

using Words = std::array<uint64_t, 8>;

/// Index of the first byte where the words differ, or sizeof(Words).
uint64_t firstDifference(const Words& a, const Words& b) {
  for (std::size_t word = 0; word < a.size(); ++word) {
    const uint64_t difference = a[word] ^ b[word];
    if (difference != 0) return word * sizeof(uint64_t) + static_cast<uint64_t>(std::countr_zero(difference)) / 8;
  }
  return sizeof(Words);
}

/// Bytes that are first only compared as a whole.
constexpr uint64_t kBlock = 256;

/// Whether a block is equal; reads each of its bytes once.
template <typename Second>
bool blockEqual(const std::byte* first, uint64_t at, Second second) {
  const auto difference = [&](uint64_t place) { return loadVector(first + place) ^ second.vector(place); };
  Vector even{};
  Vector odd{};
  for (uint64_t place = at; place < at + kBlock; place += 4 * sizeof(Vector)) {
    even |= difference(place) | difference(place + 2 * sizeof(Vector));
    odd |= difference(place + sizeof(Vector)) | difference(place + 3 * sizeof(Vector));
  }
  const Vector all = even | odd;
  return (all[0] | all[1]) == 0;
}

/// Index of the first difference in at most sizeof(Words) bytes, or `length`. Guest memory is loaded once into words of
/// our own: searching it again could find no difference where there was one.
template <typename Second>
uint64_t compareWords(const std::byte* first, uint64_t at, uint64_t length, Second second) {
  Words a{};
  Words b{};
  std::memcpy(a.data(), first + at, length);
  second.words(b, at, length);
  return std::min(firstDifference(a, b), length);
}

/// Index of the first difference, or `length`. `second` gives what to compare with, at an offset.
///
/// A block with a difference is looked at once more, word by word. The guest may have changed it by then; whatever the
/// answer, each byte before it was equal when it was read last, and the byte that it names differed.
template <typename Second>
uint64_t compareWith(const std::byte* first, uint64_t length, Second second) {
  uint64_t at = 0;
  while (at < length) {
    if (length - at >= kBlock && blockEqual(first, at, second)) {
      at += kBlock;
      continue;
    }
    const uint64_t end = std::min(at + kBlock, length);
    while (at < end) {
      const uint64_t size = std::min<uint64_t>(sizeof(Words), end - at);
      const uint64_t same = compareWords(first, at, size, second);
      at += same;
      if (same < size) return at;
    }
  }
  return length;
}

/// Another operand.
struct Memory {
  const std::byte* bytes;
  Vector vector(uint64_t at) const { return loadVector(bytes + at); }
  void words(Words& into, uint64_t at, uint64_t size) const { std::memcpy(into.data(), bytes + at, size); }
};

/// The same eight bytes again and again, from a multiple of eight on.
struct Pattern {
  uint64_t word;
  Vector vector(uint64_t) const { return Vector{word, word}; }
  void words(Words& into, uint64_t, uint64_t size) const {
    Words whole;
    whole.fill(word);
    std::memcpy(into.data(), whole.data(), size);
  }
};

uint64_t compareKernel(Execution&, std::byte* const* pointers, uint64_t length) {
  return compareWith(pointers[0], length, Memory{pointers[1]});
}

uint64_t comparePatternKernel(Execution& execution, std::byte* const* pointers, uint64_t length) {
  // The pattern's phase counts from the source's first byte; blocks are whole words, so it stays.
  const int phase = static_cast<int>(execution.done % sizeof(uint64_t));
  return compareWith(pointers[0], length, Pattern{std::rotr(execution.descriptor.at<uint64_t>(24), 8 * phase)});
}

Step finish(Execution& execution, Step step) {
  if (step != Step::finished || isFault(execution.completion.status)) return step;
  const bool differs = execution.done != execution.descriptor.size();
  const uint8_t result = differs ? 1 : 0;
  execution.completion.result = result;
  execution.completion.completed = differs ? static_cast<uint32_t>(execution.done) : 0;
  if (execution.descriptor.has(kFlagCheckResult)) {
    const uint8_t expected = execution.descriptor.at<uint8_t>(40) & 1;
    if (result != expected) execution.completion.status = kStatusPredicateFalse;
  }
  return step;
}

Step compare(Execution& execution, GuestAccess& memory, Budget& budget) {
  return finish(execution, stream(execution, memory, budget, kSources, compareKernel));
}

Step comparePattern(Execution& execution, GuestAccess& memory, Budget& budget) {
  return finish(execution, stream(execution, memory, budget, kSource, comparePatternKernel));
}

}  // namespace

const Operation kCompare = {.execute = compare};
const Operation kComparePattern = {.execute = comparePattern};

}  // namespace mdev::dsa

// Compare and compare pattern. DSA specification 8.3.6 and 8.3.7.
#include <array>
#include <bit>
#include <cstring>

#include "dsa/flags.h"
#include "dsa/operations/operation.h"
#include "dsa/operations/stream.h"
#include "dsa/status.h"

namespace mdev::dsa {
namespace {

constexpr StreamOperand kCompare[] = {{16, false, FaultOperand::source1}, {24, false, FaultOperand::source2}};
constexpr StreamOperand kComparePattern[] = {{16, false, FaultOperand::source1}};

using Words = std::array<uint64_t, 8>;

/// Index of the first byte where the words differ, or sizeof(Words).
uint64_t firstDifference(const Words& a, const Words& b) {
  for (std::size_t word = 0; word < a.size(); ++word) {
    const uint64_t difference = a[word] ^ b[word];
    if (difference != 0) return word * sizeof(uint64_t) + static_cast<uint64_t>(std::countr_zero(difference)) / 8;
  }
  return sizeof(Words);
}

bool equal(const Words& a, const Words& b) {
  uint64_t differences = 0;
  for (std::size_t word = 0; word < a.size(); ++word) differences |= a[word] ^ b[word];
  return differences == 0;
}

/// Index of the first difference, or `length`. `second` gives the words to compare with, at an offset. Guest memory is
/// loaded once into words of our own: searching it again could find no difference where there was one.
template <typename Second>
uint64_t compareWith(const std::byte* first, uint64_t length, Second second) {
  Words a;
  Words b;
  uint64_t at = 0;
  for (; length - at >= sizeof(Words); at += sizeof(Words)) {
    std::memcpy(a.data(), first + at, sizeof(Words));
    second(b, at, sizeof(Words));
    if (!equal(a, b)) return at + firstDifference(a, b);
  }
  a.fill(0);
  b.fill(0);
  std::memcpy(a.data(), first + at, length - at);
  second(b, at, length - at);
  return at + std::min(firstDifference(a, b), length - at);
}

uint64_t compareKernel(Execution&, std::byte* const* pointers, uint64_t length) {
  const std::byte* const other = pointers[1];
  return compareWith(pointers[0], length, [other](Words& words, uint64_t at, uint64_t size) {
    std::memcpy(words.data(), other + at, size);
  });
}

uint64_t comparePatternKernel(Execution& execution, std::byte* const* pointers, uint64_t length) {
  // The pattern's phase counts from the source's first byte; blocks are whole words, so it stays.
  const int phase = static_cast<int>(execution.done % sizeof(uint64_t));
  Words pattern;
  pattern.fill(std::rotr(execution.descriptor.at<uint64_t>(24), 8 * phase));
  return compareWith(pointers[0], length, [&pattern](Words& words, uint64_t, uint64_t size) {
    std::memcpy(words.data(), pattern.data(), size);
  });
}

Step finish(Execution& execution, Step step) {
  if (step != Step::finished || isFault(execution.completion.status)) return step;
  const uint8_t result = execution.differs ? 1 : 0;
  execution.completion.result = result;
  execution.completion.completed = execution.differs ? static_cast<uint32_t>(execution.done) : 0;
  if (execution.descriptor.has(kFlagCheckResult)) {
    const uint8_t expected = execution.descriptor.at<uint8_t>(40) & 1;
    if (result != expected) execution.completion.status = kStatusPredicateFalse;
  }
  return step;
}

}  // namespace

Step compare(Execution& execution, GuestAccess& memory, Budget& budget) {
  return finish(execution, stream(execution, memory, budget, kCompare, compareKernel));
}

Step comparePattern(Execution& execution, GuestAccess& memory, Budget& budget) {
  return finish(execution, stream(execution, memory, budget, kComparePattern, comparePatternKernel));
}

}  // namespace mdev::dsa

// Fill. DSA specification 8.3.5.
#include <algorithm>
#include <array>
#include <cstring>

#include "dsa/flags.h"
#include "dsa/operations/operation.h"
#include "dsa/operations/stream.h"

namespace mdev::dsa {
namespace {

constexpr Operand kOperands[] = {{24, true, FaultOperand::destination1}};
constexpr std::size_t kPatternField = 16;
constexpr std::size_t kUpperPatternField = 40;

/// The pattern again and again, from the byte on that is next: its phase counts from the destination's first byte, not
/// from an aligned address.
template <std::size_t Size>
uint64_t repeat(std::byte* out, uint64_t length, std::array<std::byte, Size> pattern, uint64_t done) {
  std::rotate(pattern.begin(), pattern.begin() + static_cast<std::ptrdiff_t>(done % Size), pattern.end());
  if (std::all_of(pattern.begin(), pattern.end(), [&](std::byte byte) { return byte == pattern[0]; })) {
    // One byte again and again, usually 0: the library knows the fastest way.
    std::memset(out, static_cast<int>(pattern[0]), length);
    return length;
  }
  std::array<std::array<std::byte, Size>, 256 / Size> block;
  block.fill(pattern);
  uint64_t at = 0;
  for (; length - at >= sizeof block; at += sizeof block) std::memcpy(out + at, block.data(), sizeof block);
  std::memcpy(out + at, block.data(), length - at);
  return length;
}

uint64_t fillKernel(Execution& execution, std::byte* const* pointers, uint64_t length) {
  const Descriptor& descriptor = execution.descriptor;
  const auto low = descriptor.at<std::array<std::byte, 8>>(kPatternField);
  if (!descriptor.has(kFlagPattern16)) return repeat(pointers[0], length, low, execution.done);
  std::array<std::byte, 16> pattern;
  const auto high = descriptor.at<std::array<std::byte, 8>>(kUpperPatternField);
  std::copy(low.begin(), low.end(), pattern.begin());
  std::copy(high.begin(), high.end(), pattern.begin() + low.size());
  return repeat(pointers[0], length, pattern, execution.done);
}

Step fill(Execution& execution, GuestAccess& memory, Budget& budget) {
  return stream(execution, memory, budget, kOperands, fillKernel);
}

}  // namespace

const Operation kFill = {.execute = fill};

}  // namespace mdev::dsa

// Fill. DSA specification 8.3.5.
#include <array>
#include <bit>
#include <cstring>

#include "dsa/operations/operation.h"
#include "dsa/operations/stream.h"

namespace mdev::dsa {
namespace {

constexpr Operand kOperands[] = {{24, true, FaultOperand::destination1}};

uint64_t fillKernel(Execution& execution, std::byte* const* pointers, uint64_t length) {
  // The pattern's phase counts from the destination's first byte, not from an aligned address.
  const int phase = static_cast<int>(execution.done % sizeof(uint64_t));
  const uint64_t pattern = std::rotr(execution.descriptor.at<uint64_t>(16), 8 * phase);
  std::byte* const out = pointers[0];
  if (pattern == std::rotr(pattern, 8)) {
    // One byte again and again, usually 0: the library knows the fastest way.
    std::memset(out, static_cast<int>(pattern & 0xff), length);
    return length;
  }
  std::array<uint64_t, 32> block;
  block.fill(pattern);
  uint64_t at = 0;
  for (; length - at >= sizeof block; at += sizeof block) std::memcpy(out + at, block.data(), sizeof block);
  std::memcpy(out + at, block.data(), length - at);
  return length;
}

Step fill(Execution& execution, GuestAccess& memory, Budget& budget) {
  return stream(execution, memory, budget, kOperands, fillKernel);
}

}  // namespace

const Operation kFill = {.execute = fill};

}  // namespace mdev::dsa

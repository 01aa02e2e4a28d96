// Memory move and dualcast. DSA specification 8.3.4 and 8.3.10.
#include <cstring>

#include "dsa/operations/operation.h"
#include "dsa/operations/stream.h"
#include "dsa/status.h"

namespace mdev::dsa {
namespace {

constexpr StreamOperand kMove[] = {{16, false, FaultOperand::source1}, {24, true, FaultOperand::destination1}};
constexpr StreamOperand kDualcast[] = {
    {16, false, FaultOperand::source1}, {24, true, FaultOperand::destination1}, {40, true, FaultOperand::destination2}};

uint64_t moveKernel(Execution&, std::byte* const* pointers, uint64_t length) {
  std::memmove(pointers[1], pointers[0], length);
  return length;
}

uint64_t dualcastKernel(Execution&, std::byte* const* pointers, uint64_t length) {
  // Both destinations get the same bytes even if the source changes meanwhile: it is read a block at a time, once.
  constexpr uint64_t kBlock = 4096;
  std::byte block[kBlock];
  for (uint64_t at = 0; at < length; at += kBlock) {
    const uint64_t size = std::min(kBlock, length - at);
    std::memcpy(block, pointers[0] + at, size);
    std::memcpy(pointers[1] + at, block, size);
    std::memcpy(pointers[2] + at, block, size);
  }
  return length;
}

}  // namespace

Step memoryMove(Execution& execution, GuestAccess& memory, Budget& budget) {
  const Descriptor& descriptor = execution.descriptor;
  // A destination that begins inside the source would overwrite source bytes that are still to be read.
  const uint64_t distance = descriptor.address2() - descriptor.address1();
  execution.walk = distance != 0 && distance < descriptor.size() ? Walk::backward : Walk::forward;
  const Step step = stream(execution, memory, budget, kMove, moveKernel);
  if (step == Step::finished && isFault(execution.completion.status)) {
    execution.completion.result = execution.walk == Walk::backward ? 1 : 0;
  }
  return step;
}

Step dualcast(Execution& execution, GuestAccess& memory, Budget& budget) {
  return stream(execution, memory, budget, kDualcast, dualcastKernel);
}

}  // namespace mdev::dsa

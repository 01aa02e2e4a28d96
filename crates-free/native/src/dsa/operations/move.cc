// Memory move and dualcast. DSA specification 8.3.4 and 8.3.10.
#include <cstring>

#include "dsa/flags.h"
#include "dsa/opcode.h"
#include "dsa/operations/operation.h"
#include "dsa/operations/past_caches.h"
#include "dsa/operations/stream.h"
#include "dsa/operations/vector.h"
#include "dsa/status.h"

namespace mdev::dsa {
namespace {

constexpr StreamOperand kMove[] = {{16, false, FaultOperand::source1}, {24, true, FaultOperand::destination1}};
constexpr StreamOperand kDualcast[] = {
    {16, false, FaultOperand::source1}, {24, true, FaultOperand::destination1}, {40, true, FaultOperand::destination2}};

bool overlap(const std::byte* left, const std::byte* right, uint64_t length) {
  const auto distance = reinterpret_cast<uintptr_t>(left) - reinterpret_cast<uintptr_t>(right);
  return distance < length || -distance < length;
}

uint64_t moveKernel(Execution& execution, std::byte* const* pointers, uint64_t length) {
  const bool large = length >= kWorthPassingCaches;
  if (large && passesCaches(execution.descriptor) && !overlap(pointers[0], pointers[1], length)) {
    const bool last = execution.done + length == execution.descriptor.size();
    copyPastCaches(pointers[1], pointers[0], length, last ? execution.upcoming : pointers[0] + length);
  } else {
    std::memmove(pointers[1], pointers[0], length);
  }
  return length;
}

uint64_t dualcastKernel(Execution&, std::byte* const* pointers, uint64_t length) {
  // Both destinations get the same bytes even if the source changes meanwhile: it is read once.
  constexpr uint64_t kBlock = 4 * sizeof(Vector);
  const auto load = [&](uint64_t at) { return loadVector(pointers[0] + at); };
  const auto store = [&](uint64_t at, Vector vector) {
    storeVector(pointers[1] + at, vector);
    storeVector(pointers[2] + at, vector);
  };
  uint64_t at = 0;
  for (; length - at >= kBlock; at += kBlock) {
    const Vector block[] = {load(at), load(at + 16), load(at + 32), load(at + 48)};
    store(at, block[0]);
    store(at + 16, block[1]);
    store(at + 32, block[2]);
    store(at + 48, block[3]);
  }
  std::byte rest[kBlock];
  std::memcpy(rest, pointers[0] + at, length - at);
  std::memcpy(pointers[1] + at, rest, length - at);
  std::memcpy(pointers[2] + at, rest, length - at);
  return length;
}

}  // namespace

bool passesCaches(const Descriptor& descriptor) {
  return descriptor.opcode() == kOpMemoryMove && !descriptor.has(kFlagCacheControl1) &&
         descriptor.size() >= kWorthPassingCaches;
}

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

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

constexpr Operand kMoveOperands[] = {{16, false, FaultOperand::source1}, {24, true, FaultOperand::destination1}};
constexpr Operand kDualcastOperands[] = {
    {16, false, FaultOperand::source1}, {24, true, FaultOperand::destination1}, {40, true, FaultOperand::destination2}};

bool share(const std::byte* left, const std::byte* right, uint64_t length) {
  return overlap(reinterpret_cast<uintptr_t>(left), length, reinterpret_cast<uintptr_t>(right), length);
}

/// Both destinations of a dualcast must lie at the same place of their pages.
constexpr uint64_t kDualcastPlace = 0xfff;

uint64_t moveKernel(Execution& execution, std::byte* const* pointers, uint64_t length) {
  const bool large = length >= kWorthPassingCaches;
  if (large && passesCaches(execution.descriptor) && !share(pointers[0], pointers[1], length)) {
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

uint8_t checkMove(const Descriptor& descriptor, const Capabilities& capabilities, const QueueLimits&) {
  const uint64_t size = descriptor.size();
  if (capabilities.overlappingMove || !overlap(descriptor.address1(), size, descriptor.address2(), size)) return 0;
  return kStatusOverlap;
}

uint8_t checkDualcast(const Descriptor& descriptor, const Capabilities&, const QueueLimits&) {
  const uint64_t source = descriptor.address1();
  const uint64_t first = descriptor.address2();
  const uint64_t second = descriptor.at<uint64_t>(40);
  const uint64_t size = descriptor.size();
  if (((first ^ second) & kDualcastPlace) != 0) return kStatusDualcastAlignment;
  if (overlap(source, size, first, size) || overlap(source, size, second, size) || overlap(first, size, second, size)) {
    return kStatusOverlap;
  }
  return 0;
}

Step memoryMove(Execution& execution, GuestAccess& memory, Budget& budget) {
  const Descriptor& descriptor = execution.descriptor;
  // A destination that begins inside the source would overwrite source bytes that are still to be read.
  const uint64_t distance = descriptor.address2() - descriptor.address1();
  const Walk walk = distance != 0 && distance < descriptor.size() ? Walk::backward : Walk::forward;
  const Step step = stream(execution, memory, budget, kMoveOperands, moveKernel, walk);
  if (step == Step::finished && isFault(execution.completion.status)) {
    execution.completion.result = walk == Walk::backward ? 1 : 0;
  }
  return step;
}

Step dualcast(Execution& execution, GuestAccess& memory, Budget& budget) {
  return stream(execution, memory, budget, kDualcastOperands, dualcastKernel);
}

}  // namespace

bool passesCaches(const Descriptor& descriptor) {
  return descriptor.opcode() == kOpMemoryMove && !descriptor.has(kFlagCacheControl1) &&
         descriptor.size() >= kWorthPassingCaches;
}

const Operation kMemoryMove = {.execute = memoryMove, .check = checkMove};
const Operation kDualcast = {.execute = dualcast, .check = checkDualcast};

}  // namespace mdev::dsa

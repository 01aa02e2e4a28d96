#include "dsa/check.h"

#include <algorithm>

#include "dsa/completion_record.h"
#include "dsa/flags.h"
#include "dsa/operation_facts.h"
#include "dsa/status.h"

namespace mdev::dsa {
namespace {

constexpr uint32_t kCommonFlags = kFlagFence | kFlagCompletionAddressValid | kFlagRequestCompletionRecord |
                                  kFlagRequestCompletionInterrupt | kFlagTrafficClassCompletion;
constexpr uint64_t kListAlignment = kDescriptorSize;
constexpr ByteRange kCrcSeed = {40, 43};
constexpr ByteRange kCrcSeedAddress = {48, 55};

bool allZero(const Descriptor& descriptor, ByteRange range) {
  return std::all_of(descriptor.bytes.begin() + range.first, descriptor.bytes.begin() + range.last + 1,
                     [range](std::byte value) { return (value & std::byte{range.bits}) == std::byte{0}; });
}

bool isChecksum(uint8_t opcode) { return opcode == kOpCrcGeneration || opcode == kOpCopyWithCrc; }

uint32_t invalidFlags(const Descriptor& descriptor, const OperationFacts& facts, const Capabilities& capabilities,
                      const QueueLimits& limits, bool inBatch) {
  const uint32_t flags = descriptor.flags();
  uint32_t allowed = kCommonFlags | facts.flags;
  if (!inBatch) allowed &= ~kFlagFence;
  if (!limits.blockOnFault) allowed &= ~kFlagBlockOnFault;
  if (!limits.completionInterrupts) allowed &= ~kFlagRequestCompletionInterrupt;
  if ((flags & kFlagCompletionAddressValid) == 0) {
    allowed &= ~(kFlagRequestCompletionRecord | kFlagTrafficClassCompletion);
  }
  // No durable memory here, so every combination with cache control 3 is reserved.
  allowed &= ~kFlagCacheControl3;
  if (!capabilities.cacheControl) allowed &= ~kFlagCacheControl1;
  if (!capabilities.destinationReadback) allowed &= ~kFlagCacheControl2;
  if (facts.opcode == kOpBatch && !capabilities.batchContinuation) allowed &= ~kFlagBatchError;
  if (isChecksum(facts.opcode) && (flags & kFlagReadCrcSeed) == 0) allowed &= ~kFlagTrafficClass3;

  uint32_t invalid = (flags & ~allowed) | (facts.requiredFlags & ~flags);
  constexpr uint32_t kTold = kFlagRequestCompletionRecord | kFlagRequestCompletionInterrupt;
  if (facts.opcode == kOpDrain && (flags & kTold) == 0) invalid |= kTold;
  return invalid;
}

bool reservedFieldsAreZero(const Descriptor& descriptor, const OperationFacts& facts) {
  if (!descriptor.has(kFlagRequestCompletionInterrupt) && descriptor.interruptHandle() != 0) return false;
  if (!descriptor.has(kFlagCompletionAddressValid) && descriptor.completionAddress() != 0) return false;
  // Seed and seed address: the one that is not used is reserved.
  if (isChecksum(facts.opcode) && !allZero(descriptor, descriptor.has(kFlagReadCrcSeed) ? kCrcSeed : kCrcSeedAddress)) {
    return false;
  }
  const ReservedBits& reserved = reservedBitsOf(facts.opcode);
  uint64_t found = 0;
  for (std::size_t word = 0; word < reserved.size(); ++word) {
    found |= descriptor.at<uint64_t>(word * sizeof(uint64_t)) & reserved[word];
  }
  return found == 0;
}

uint8_t checkBatch(const Descriptor& descriptor, const Capabilities& capabilities, const QueueLimits& limits) {
  const uint32_t least = capabilities.batchOfOne ? 1 : 2;
  if (descriptor.size() < least || descriptor.size() > limits.maxBatch) return kStatusDescriptorCount;
  if (descriptor.address1() % kListAlignment != 0) return kStatusListAlignment;
  return 0;
}

}  // namespace

Failure check(const Descriptor& descriptor, const Capabilities& capabilities, const QueueLimits& limits, bool inBatch) {
  // First, because without a usable address no other failure can be reported in a record.
  if (descriptor.has(kFlagCompletionAddressValid) && descriptor.completionAddress() % kCompletionRecordSize != 0) {
    return {kStatusRecordAlignment, 0};
  }
  const OperationFacts* facts = factsOf(descriptor.opcode());
  const bool alone = descriptor.opcode() == kOpBatch || descriptor.opcode() == kOpDrain;
  if (facts == nullptr || !limits.operations.test(descriptor.opcode()) || (inBatch && alone)) {
    return {kStatusUnsupportedOperation, 0};
  }
  if (const uint32_t invalid = invalidFlags(descriptor, *facts, capabilities, limits, inBatch); invalid != 0) {
    return {kStatusInvalidFlags, invalid};
  }
  if (!reservedFieldsAreZero(descriptor, *facts)) return {kStatusReservedField, 0};
  if (facts->transfers && (descriptor.size() == 0 || descriptor.size() > limits.maxTransfer)) {
    return {kStatusTransferSize, 0};
  }
  if (facts->opcode == kOpBatch) return {checkBatch(descriptor, capabilities, limits), 0};
  if (facts->operation == nullptr || facts->operation->check == nullptr) return {};
  return {facts->operation->check(descriptor, capabilities, limits), 0};
}

}  // namespace mdev::dsa

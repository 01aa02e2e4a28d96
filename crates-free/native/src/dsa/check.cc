#include "dsa/check.h"

#include <algorithm>

#include "dsa/completion_record.h"
#include "dsa/flag_facts.h"
#include "dsa/flags.h"
#include "dsa/operation_facts.h"
#include "dsa/status.h"

namespace mdev::dsa {
namespace {

constexpr uint32_t kCommonFlags = kFlagFence | kFlagCompletionAddressValid | kFlagRequestCompletionRecord |
                                  kFlagRequestCompletionInterrupt | kFlagTrafficClassCompletion;
constexpr uint64_t kListAlignment = kDescriptorSize;

bool allZero(const Descriptor& descriptor, ByteRange range) {
  return std::all_of(descriptor.bytes.begin() + range.first, descriptor.bytes.begin() + range.last + 1,
                     [range](std::byte value) { return (value & std::byte{range.bits}) == std::byte{0}; });
}

/// Durable memory does not exist here, so of the combinations with cache control 3 only memory with readback is not
/// reserved (110).
bool mayUseCacheControl3(uint32_t flags, const Capabilities& capabilities) {
  return capabilities.destinationReadback && (flags & kFlagCacheControl2) != 0 && (flags & kFlagCacheControl1) == 0;
}

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
  if (!mayUseCacheControl3(flags, capabilities)) allowed &= ~kFlagCacheControl3;
  if (!capabilities.cacheControl) allowed &= ~kFlagCacheControl1;
  if (!capabilities.destinationReadback) allowed &= ~kFlagCacheControl2;
  allowed &= ~unavailableFlags(facts.opcode, flags, capabilities);

  uint32_t invalid = (flags & ~allowed) | (facts.requiredFlags & ~flags);
  constexpr uint32_t kTold = kFlagRequestCompletionRecord | kFlagRequestCompletionInterrupt;
  if (facts.opcode == kOpDrain && (flags & kTold) == 0) invalid |= kTold;
  return invalid;
}

bool reservedFieldsAreZero(const Descriptor& descriptor, const OperationFacts& facts) {
  if (!descriptor.has(kFlagRequestCompletionInterrupt) && descriptor.interruptHandle() != 0) return false;
  if (!descriptor.has(kFlagCompletionAddressValid) && descriptor.completionAddress() != 0) return false;
  const ReservedBits& reserved = reservedBitsOf(facts.opcode);
  uint64_t found = 0;
  for (std::size_t word = 0; word < reserved.size(); ++word) {
    found |= descriptor.at<uint64_t>(word * sizeof(uint64_t)) & reserved[word];
  }
  if (found != 0) return false;
  const std::span<const ReservedByFlag> rows = reservedByFlags(facts.opcode);
  return std::all_of(rows.begin(), rows.end(), [&](const ReservedByFlag& row) {
    return descriptor.has(row.flag) != row.set || allZero(descriptor, row.range);
  });
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
  const bool translates = descriptor.opcode() == kOpTranslationFetch;
  if (facts == nullptr || !limits.operations.test(descriptor.opcode()) || (inBatch && alone) ||
      (translates && !capabilities.addressTranslation)) {
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

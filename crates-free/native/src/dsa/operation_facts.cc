#include "dsa/operation_facts.h"

#include <array>

#include "dsa/flags.h"

namespace mdev::dsa {
namespace {

constexpr uint32_t kWrites = kFlagsCacheControl | kFlagStrictOrdering;
constexpr uint32_t kTyped = kFlagBlockOnFault | kFlagCheckResult | kWrites | kFlagTrafficClass1 | kFlagTrafficClass2;
constexpr uint32_t kRecordRequired = kFlagCompletionAddressValid | kFlagRequestCompletionRecord;
constexpr uint32_t kCrcModes = kFlagReadCrcSeed | kFlagTrafficClass3 | kFlagBypassCrcInversionAndReflection |
                               kFlagBypassDataReflection | kFlagCrc64;
constexpr uint32_t kReadbacks = kFlagReadback1 | kFlagTrafficClass1 | kFlagReadback2 | kFlagTrafficClass2 |
                                kFlagSuppressReadbackA | kFlagSuppressReadbackB;

constexpr ByteRange kNoOpReserved[] = {{16, 35}, {38, 63}};
constexpr ByteRange kBatchReserved[] = {{24, 31}, {38, 63}};
constexpr ByteRange kDrainReserved[] = {{32, 35}, {38, 63}};
constexpr ByteRange kBehindHandle[] = {{38, 63}};
constexpr ByteRange kFillReserved[] = {{38, 39}, {48, 63}};
constexpr ByteRange kCompareReserved[] = {{38, 39}, {41, 63}};
constexpr ByteRange kCreateDeltaReserved[] = {{38, 39}, {52, 55}, {57, 63}};
constexpr ByteRange kApplyDeltaReserved[] = {{38, 39}, {44, 63}};
constexpr ByteRange kDualcastReserved[] = {{38, 39}, {48, 63}};
// The stride is there, and not looked at, without its flag, too.
constexpr ByteRange kTranslationFetchReserved[] = {{24, 31}, {38, 47}, {52, 63}};
constexpr ByteRange kCrcReserved[] = {{24, 31}, {38, 39}, {56, 63}};
constexpr ByteRange kCopyCrcReserved[] = {{38, 39}, {56, 63}};
// Bits 7 to 4 of the DIF flags, and 2 to 0 of the destination's flags.
constexpr ByteRange kDifCheckReserved[] = {{24, 31}, {38, 39}, {41, 41}, {42, 42, 0xf0}, {43, 47}, {56, 63}};
constexpr ByteRange kDifInsertReserved[] = {{38, 40}, {41, 41, 0x07}, {42, 42, 0xf0}, {43, 55}};
constexpr ByteRange kDifStripReserved[] = {{38, 39}, {41, 41}, {42, 42, 0xf0}, {43, 47}, {56, 63}};
constexpr ByteRange kDifUpdateReserved[] = {{38, 39}, {41, 41, 0x07}, {42, 42, 0xf0}, {43, 47}};
// Without inter-domain support there are no handles (bytes 60 to 63) and no selector (byte 59).
constexpr ByteRange kTypeConversionReserved[] = {{38, 55}, {57, 57, 0x0f}, {59, 63}};
constexpr ByteRange kReduceReserved[] = {{38, 39}, {48, 55}, {59, 63}};
constexpr ByteRange kReduceDualcastReserved[] = {{38, 39}, {59, 63}};
constexpr ByteRange kCacheFlushReserved[] = {{16, 23}, {38, 63}};

constexpr OperationFacts kFacts[] = {
    {kOpNoOp, 0, 0, false, kNoOpReserved},
    {kOpBatch, kFlagTrafficClass1 | kFlagBatchError, 0, false, kBatchReserved},
    {kOpDrain, kReadbacks, 0, false, kDrainReserved},
    {kOpMemoryMove, kFlagBlockOnFault | kWrites | kFlagTrafficClass1 | kFlagTrafficClass2, 0, true, kBehindHandle,
     &kMemoryMove},
    {kOpFill, kFlagBlockOnFault | kWrites | kFlagTrafficClass2 | kFlagPattern16, 0, true, kFillReserved, &kFill},
    {kOpCompare, kFlagBlockOnFault | kFlagCheckResult | kFlagTrafficClass1 | kFlagTrafficClass2, kRecordRequired, true,
     kCompareReserved, &kCompare},
    {kOpComparePattern, kFlagBlockOnFault | kFlagCheckResult | kFlagTrafficClass1, kRecordRequired, true,
     kCompareReserved, &kComparePattern},
    {kOpCreateDelta,
     kFlagBlockOnFault | kFlagCheckResult | kWrites | kFlagTrafficClass1 | kFlagTrafficClass2 | kFlagTrafficClass3,
     kRecordRequired, true, kCreateDeltaReserved, &kCreateDelta},
    {kOpApplyDelta, kFlagBlockOnFault | kWrites | kFlagTrafficClass1 | kFlagTrafficClass2, 0, true, kApplyDeltaReserved,
     &kApplyDelta},
    {kOpDualcast, kFlagBlockOnFault | kWrites | kFlagTrafficClass1 | kFlagTrafficClass2 | kFlagTrafficClass3, 0, true,
     kDualcastReserved, &kDualcast},
    {kOpTranslationFetch, kFlagBlockOnFault | kFlagUseStride, 0, true, kTranslationFetchReserved, &kTranslationFetch},
    {kOpCrcGeneration, kFlagBlockOnFault | kFlagTrafficClass1 | kCrcModes, kRecordRequired, true, kCrcReserved,
     &kCrcGeneration},
    {kOpCopyWithCrc, kFlagBlockOnFault | kWrites | kFlagTrafficClass1 | kFlagTrafficClass2 | kCrcModes, kRecordRequired,
     true, kCopyCrcReserved, &kCopyWithCrc},
    {kOpDifCheck, kFlagBlockOnFault | kFlagTrafficClass1, kRecordRequired, true, kDifCheckReserved, &kDifCheck},
    {kOpDifInsert, kFlagBlockOnFault | kWrites | kFlagTrafficClass1 | kFlagTrafficClass2, 0, true, kDifInsertReserved,
     &kDifInsert},
    {kOpDifStrip, kFlagBlockOnFault | kWrites | kFlagTrafficClass1 | kFlagTrafficClass2, 0, true, kDifStripReserved,
     &kDifStrip},
    {kOpDifUpdate, kFlagBlockOnFault | kWrites | kFlagTrafficClass1 | kFlagTrafficClass2, 0, true, kDifUpdateReserved,
     &kDifUpdate},
    {kOpDixGenerate, kFlagBlockOnFault | kWrites | kFlagTrafficClass1 | kFlagTrafficClass2, 0, true, kDifInsertReserved,
     &kDixGenerate},
    {kOpTypeConversion, kTyped, 0, true, kTypeConversionReserved, &kTypeConversion},
    {kOpReduce, kTyped | kFlagTrafficClass3, 0, true, kReduceReserved, &kReduce},
    {kOpReduceDualcast, kTyped | kFlagTrafficClass3 | kFlagTrafficClassDestination2, 0, true, kReduceDualcastReserved,
     &kReduceDualcast},
    // Of the cache-control flags only the one that asks for durable memory, where there is that.
    {kOpCacheFlush, kFlagBlockOnFault | kFlagCacheControl2 | kFlagStrictOrdering | kFlagTrafficClass2, 0, true,
     kCacheFlushReserved, &kCacheFlush},
};

constexpr std::array<const OperationFacts*, kOpcodes> kByOpcode = [] {
  std::array<const OperationFacts*, kOpcodes> table{};
  for (const OperationFacts& facts : kFacts) table[facts.opcode] = &facts;
  return table;
}();

/// So that a descriptor is looked at word by word.
constexpr std::array<ReservedBits, kOpcodes> kReservedByOpcode = [] {
  std::array<ReservedBits, kOpcodes> table{};
  for (const OperationFacts& facts : kFacts) {
    for (const ByteRange& range : facts.reserved) {
      for (unsigned byte = range.first; byte <= range.last; ++byte) {
        table[facts.opcode][byte / 8] |= uint64_t{range.bits} << byte % 8 * 8;
      }
    }
  }
  return table;
}();

}  // namespace

const ReservedBits& reservedBitsOf(uint8_t opcode) { return kReservedByOpcode[opcode]; }

const OperationFacts* factsOf(uint8_t opcode) { return kByOpcode[opcode]; }

const Operation* operationOf(uint8_t opcode) {
  const OperationFacts* const facts = factsOf(opcode);
  return facts == nullptr ? nullptr : facts->operation;
}

const Operations& supportedOperations() {
  static const Operations operations = [] {
    Operations all;
    for (const OperationFacts& facts : kFacts) all.set(facts.opcode);
    return all;
  }();
  return operations;
}

}  // namespace mdev::dsa

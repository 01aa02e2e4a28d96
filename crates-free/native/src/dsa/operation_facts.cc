#include "dsa/operation_facts.h"

#include <array>

#include "dsa/flags.h"

namespace mdev::dsa {
namespace {

constexpr uint32_t kWrites = kFlagsCacheControl | kFlagStrictOrdering;
constexpr uint32_t kRecordRequired = kFlagCompletionAddressValid | kFlagRequestCompletionRecord;
constexpr uint32_t kCrcModes =
    kFlagReadCrcSeed | kFlagTrafficClass3 | kFlagBypassCrcInversionAndReflection | kFlagBypassDataReflection;

constexpr ByteRange kNoOpReserved[] = {{16, 35}, {38, 63}};
constexpr ByteRange kBatchReserved[] = {{24, 31}, {38, 63}};
// Bytes 16 to 31 are readback addresses where a device has them.
constexpr ByteRange kDrainReserved[] = {{16, 35}, {38, 63}};
constexpr ByteRange kBehindHandle[] = {{38, 63}};
constexpr ByteRange kCompareReserved[] = {{38, 39}, {41, 63}};
constexpr ByteRange kDualcastReserved[] = {{38, 39}, {48, 63}};
// Of the seed and its address (bytes 40 to 43 and 48 to 55) one is reserved, as a flag says.
constexpr ByteRange kCrcReserved[] = {{24, 31}, {38, 39}, {44, 47}, {56, 63}};
constexpr ByteRange kCopyCrcReserved[] = {{38, 39}, {44, 47}, {56, 63}};

constexpr OperationFacts kFacts[] = {
    {kOpNoOp, 0, 0, false, kNoOpReserved},
    {kOpBatch, kFlagTrafficClass1 | kFlagBatchError, 0, false, kBatchReserved},
    {kOpDrain, 0, 0, false, kDrainReserved},
    {kOpMemoryMove, kFlagBlockOnFault | kWrites | kFlagTrafficClass1 | kFlagTrafficClass2, 0, true, kBehindHandle},
    {kOpFill, kFlagBlockOnFault | kWrites | kFlagTrafficClass2, 0, true, kBehindHandle},
    {kOpCompare, kFlagBlockOnFault | kFlagCheckResult | kFlagTrafficClass1 | kFlagTrafficClass2, kRecordRequired, true,
     kCompareReserved},
    {kOpComparePattern, kFlagBlockOnFault | kFlagCheckResult | kFlagTrafficClass1, kRecordRequired, true,
     kCompareReserved},
    {kOpDualcast, kFlagBlockOnFault | kWrites | kFlagTrafficClass1 | kFlagTrafficClass2 | kFlagTrafficClass3, 0, true,
     kDualcastReserved},
    {kOpCrcGeneration, kFlagBlockOnFault | kFlagTrafficClass1 | kCrcModes, kRecordRequired, true, kCrcReserved},
    {kOpCopyWithCrc, kFlagBlockOnFault | kWrites | kFlagTrafficClass1 | kFlagTrafficClass2 | kCrcModes, kRecordRequired,
     true, kCopyCrcReserved},
};

constexpr std::array<const OperationFacts*, kOpcodes> kByOpcode = [] {
  std::array<const OperationFacts*, kOpcodes> table{};
  for (const OperationFacts& facts : kFacts) table[facts.opcode] = &facts;
  return table;
}();

}  // namespace

const OperationFacts* factsOf(uint8_t opcode) { return kByOpcode[opcode]; }

const Operations& supportedOperations() {
  static const Operations operations = [] {
    Operations all;
    for (const OperationFacts& facts : kFacts) all.set(facts.opcode);
    return all;
  }();
  return operations;
}

}  // namespace mdev::dsa

#include "dsa/flag_facts.h"

#include <array>

#include "dsa/flags.h"

namespace mdev::dsa {
namespace {

constexpr CapabilityFlags kOfCapabilities[] = {
    {kOpBatch, kFlagBatchError, &Capabilities::batchContinuation},
    {kOpDrain,
     kFlagReadback1 | kFlagTrafficClass1 | kFlagReadback2 | kFlagTrafficClass2 | kFlagSuppressReadbackA |
         kFlagSuppressReadbackB,
     &Capabilities::drainReadback},
    {kOpFill, kFlagPattern16, &Capabilities::fillPattern16},
    {kOpTranslationFetch, kFlagUseStride, &Capabilities::translationStride},
    {kOpCrcGeneration, kFlagCrc64, &Capabilities::crc64},
    {kOpCopyWithCrc, kFlagCrc64, &Capabilities::crc64},
};

constexpr DependentFlags kDependent[] = {
    {kOpDrain, kFlagTrafficClass1, kFlagReadback1},
    {kOpDrain, kFlagTrafficClass2, kFlagReadback2},
    {kOpCrcGeneration, kFlagTrafficClass3, kFlagReadCrcSeed},
    {kOpCopyWithCrc, kFlagTrafficClass3, kFlagReadCrcSeed},
};

constexpr ByteRange kReadback1 = {16, 23};
constexpr ByteRange kReadback2 = {24, 31};
constexpr ByteRange kUpperPattern = {40, 47};
constexpr ByteRange kCrcSeed = {40, 47};
constexpr ByteRange kUpperCrcSeed = {44, 47};
constexpr ByteRange kCrcSeedAddress = {48, 55};

constexpr ReservedByFlag kReserved[] = {
    {kOpDrain, kFlagReadback1, false, kReadback1},
    {kOpDrain, kFlagReadback2, false, kReadback2},
    {kOpFill, kFlagPattern16, false, kUpperPattern},
    // Seed and seed address: the one that is not used is reserved.
    {kOpCrcGeneration, kFlagReadCrcSeed, true, kCrcSeed},
    {kOpCrcGeneration, kFlagReadCrcSeed, false, kCrcSeedAddress},
    {kOpCrcGeneration, kFlagCrc64, false, kUpperCrcSeed},
    {kOpCopyWithCrc, kFlagReadCrcSeed, true, kCrcSeed},
    {kOpCopyWithCrc, kFlagReadCrcSeed, false, kCrcSeedAddress},
    {kOpCopyWithCrc, kFlagCrc64, false, kUpperCrcSeed},
};

/// A table's rows by opcode: those of one lie together.
template <typename Row, std::size_t Count>
class ByOpcode {
 public:
  explicit constexpr ByOpcode(const Row (&rows)[Count]) : rows_(rows) {
    for (std::size_t row = 0; row < Count; ++row) {
      Part& part = parts_[rows[row].opcode];
      if (part.count == 0) part.first = static_cast<uint8_t>(row);
      ++part.count;
    }
  }
  constexpr std::span<const Row> operator[](uint8_t opcode) const {
    return rows_.subspan(parts_[opcode].first, parts_[opcode].count);
  }

 private:
  struct Part {
    uint8_t first = 0;
    uint8_t count = 0;
  };
  std::span<const Row> rows_;
  std::array<Part, kOpcodes> parts_{};
};

constexpr ByOpcode kCapabilitiesByOpcode(kOfCapabilities);
constexpr ByOpcode kDependentByOpcode(kDependent);
constexpr ByOpcode kReservedByOpcode(kReserved);

}  // namespace

std::span<const ReservedByFlag> reservedByFlags(uint8_t opcode) { return kReservedByOpcode[opcode]; }

uint32_t unavailableFlags(uint8_t opcode, uint32_t flags, const Capabilities& capabilities) {
  uint32_t unavailable = 0;
  for (const CapabilityFlags& row : kCapabilitiesByOpcode[opcode]) {
    if (!(capabilities.*row.capability)) unavailable |= row.flags;
  }
  for (const DependentFlags& row : kDependentByOpcode[opcode]) {
    if ((flags & row.beside) == 0) unavailable |= row.flags;
  }
  return unavailable;
}

}  // namespace mdev::dsa

#include "dsa/typed/typed_capabilities.h"

namespace mdev::dsa {
namespace {

/// A conversion between floating-point formats, and its bit of DSACAP1.
struct Conversion {
  DataType from;
  DataType to;
  uint8_t bit;
};

constexpr Conversion kConversions[] = {
    {DataType::e5m2, DataType::fp16, 16}, {DataType::e5m2, DataType::bf16, 17}, {DataType::e5m2, DataType::fp32, 18},
    {DataType::e4m3, DataType::fp16, 19}, {DataType::e4m3, DataType::bf16, 20}, {DataType::e4m3, DataType::fp32, 21},
    {DataType::fp16, DataType::fp32, 22}, {DataType::bf16, DataType::fp32, 23}, {DataType::fp32, DataType::fp64, 24},
    {DataType::fp16, DataType::e5m2, 32}, {DataType::bf16, DataType::e5m2, 33}, {DataType::fp32, DataType::e5m2, 34},
    {DataType::fp16, DataType::e4m3, 35}, {DataType::bf16, DataType::e4m3, 36}, {DataType::fp32, DataType::e4m3, 37},
    {DataType::fp32, DataType::fp16, 38}, {DataType::fp32, DataType::bf16, 39}, {DataType::fp64, DataType::fp32, 40},
};

constexpr unsigned kComputeBits = 48;

// DSACAP2.
constexpr uint64_t kNegation = 1 << 0;
constexpr uint64_t kFlushToZero = 1 << 2;
constexpr uint64_t kDenormalsAreZero = 1 << 3;
constexpr uint64_t kSigned = 1 << 7;
constexpr uint64_t kSaturation = 1 << 8;
constexpr unsigned kRoundingBits = 12;

}  // namespace

bool TypedCapabilities::converts(DataType from, DataType to) const {
  if (from == to) return true;
  if (!isFloat(from) || !isFloat(to)) return !isFloat(from) && !isFloat(to);
  for (const Conversion& conversion : kConversions) {
    if (conversion.from == from && conversion.to == to) return (dsacap1 >> conversion.bit & 1) != 0;
  }
  return false;
}

bool TypedCapabilities::computes(Compute compute) const {
  switch (compute) {
    case Compute::add:
    case Compute::bitwiseAnd:
    case Compute::bitwiseOr:
    case Compute::bitwiseXor:
    case Compute::minimum:
    case Compute::maximum:
      return (dsacap1 >> (kComputeBits + static_cast<unsigned>(compute)) & 1) != 0;
  }
  return false;
}

bool TypedCapabilities::allows(ComputeFlags flags, DataType type) const {
  if (!flags.known()) return false;
  uint64_t needed = 0;
  if (flags.negatesFirst() || flags.negatesSecond()) needed |= kNegation;
  if (flags.flushesToZero()) needed |= kFlushToZero;
  if (flags.takesDenormalsAsZero()) needed |= kDenormalsAreZero;
  if (flags.isSigned()) needed |= kSigned;
  if (flags.saturates()) needed |= kSaturation;
  // Integers are not rounded.
  if (isFloat(type)) needed |= uint64_t{1} << (kRoundingBits + static_cast<unsigned>(flags.rounding()));
  return (needed & ~dsacap2) == 0;
}

}  // namespace mdev::dsa

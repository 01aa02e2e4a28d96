// Binary floating-point formats as numbers. DSA specification, appendix E; OCP 8-bit floating point; IEEE 754.
#pragma once

#include <cstdint>

#include "dsa/typed/data_type.h"

namespace mdev::dsa {

/// Sign, then the exponent, then the fraction, from the highest bit on.
struct FloatFormat {
  /// Bits of a significand, with the leading one, which is not stored.
  int precision;
  int exponentBits;
  /// False: the highest exponent is one like others, but for its last fraction, which is NaN.
  bool hasInfinity;

  constexpr int bias() const { return (1 << (exponentBits - 1)) - 1; }
  constexpr int fractionBits() const { return precision - 1; }
  /// Exponent of the smallest normal number's leading bit.
  constexpr int leastExponent() const { return 1 - bias(); }
  constexpr uint64_t signBit() const { return uint64_t{1} << (precision + exponentBits - 1); }
  /// Everything but the sign of: infinity (of formats that have it), the largest finite number, the fraction.
  constexpr uint64_t infinity() const { return ((uint64_t{1} << exponentBits) - 1) << fractionBits(); }
  constexpr uint64_t largest() const { return hasInfinity ? infinity() - 1 : infinity() | (fractionMask() - 1); }
  constexpr uint64_t fractionMask() const { return (uint64_t{1} << fractionBits()) - 1; }
};

inline constexpr FloatFormat kFloatFormats[] = {{3, 5, true}, {4, 4, false}, {11, 5, true},
                                                {8, 8, true}, {24, 8, true}, {53, 11, true}};

/// Of a type that is one.
constexpr const FloatFormat& formatOf(DataType type) {
  return kFloatFormats[static_cast<uint8_t>(type) - static_cast<uint8_t>(DataType::e5m2)];
}

}  // namespace mdev::dsa

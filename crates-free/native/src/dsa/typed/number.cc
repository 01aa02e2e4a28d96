#include "dsa/typed/number.h"

#include <bit>
#include <utility>

namespace mdev::dsa {
namespace {

using Kind = Number::Kind;

/// Place of a significand's leading bit.
constexpr int kLeading = 62;
constexpr uint64_t kQuiet = uint64_t{1} << kLeading;

/// The bits that are shifted out leave a mark in bit 0.
uint64_t shiftRightSticky(uint64_t value, int distance) {
  if (distance > kLeading) return value != 0 ? 1 : 0;
  const uint64_t lost = value & ((uint64_t{1} << distance) - 1);
  return value >> distance | (lost != 0 ? 1 : 0);
}

/// `value` without its last `bits` bits, rounded. `bits` is at least 1.
uint64_t roundOff(uint64_t value, int bits, bool negative, Rounding rounding) {
  if (bits > kLeading + 1) {
    // Less than half of the last place.
    value = value != 0 ? 1 : 0;
    bits = 2;
  }
  const uint64_t kept = value >> bits;
  const uint64_t lost = value & ((uint64_t{1} << bits) - 1);
  const uint64_t half = uint64_t{1} << (bits - 1);
  bool away = false;
  switch (rounding) {
    case Rounding::nearestEven:
      away = lost > half || (lost == half && (kept & 1) != 0);
      break;
    case Rounding::down:
      away = negative && lost != 0;
      break;
    case Rounding::up:
      away = !negative && lost != 0;
      break;
    case Rounding::toZero:
      break;
  }
  return kept + (away ? 1 : 0);
}

/// Whether a number that is too large becomes infinite, and not the largest one.
bool overflowsToInfinity(bool negative, Rounding rounding) {
  return rounding == Rounding::nearestEven || rounding == (negative ? Rounding::down : Rounding::up);
}

uint64_t packFinite(const FloatFormat& format, const Number& number, ComputeFlags flags, uint8_t& exceptions) {
  const Rounding rounding = flags.rounding();
  const int precision = format.precision;
  const int excess = kLeading + 1 - precision;
  const uint64_t rounded = roundOff(number.significand, excess, number.negative, rounding);
  const int carry = static_cast<int>(rounded >> precision);
  if (number.exponent + carry < format.leastExponent()) {
    exceptions |= kUnderflow;
    if (flags.flushesToZero()) return 0;
    // From the exact number again: rounding twice is not rounding once.
    return roundOff(number.significand, excess + format.leastExponent() - number.exponent, number.negative, rounding);
  }
  // The leading bit adds one to the exponent.
  const auto exponent = static_cast<uint64_t>(number.exponent - format.leastExponent());
  const uint64_t bits = (exponent << format.fractionBits()) + rounded;
  if (bits <= format.largest()) return bits;
  exceptions |= kOverflow;
  if (!overflowsToInfinity(number.negative, rounding)) return format.largest();
  return format.hasInfinity ? format.infinity() : format.infinity() | format.fractionMask();
}

uint64_t packInfinity(const FloatFormat& format, uint8_t& exceptions) {
  if (format.hasInfinity) return format.infinity();
  exceptions |= kOverflow;
  return format.infinity() | format.fractionMask();
}

uint64_t packNan(const FloatFormat& format, const Number& number) {
  if (!format.hasInfinity) return format.infinity() | format.fractionMask();
  return format.infinity() | (number.significand | kQuiet) >> (kLeading + 1 - format.fractionBits());
}

/// Below 0, 0 or above 0. Neither is NaN.
int compare(const Number& left, const Number& right) {
  if (left.negative != right.negative) return left.negative ? -1 : 1;
  int order = 0;
  if (left.kind != right.kind) {
    order = left.kind < right.kind ? -1 : 1;
  } else if (left.exponent != right.exponent) {
    order = left.exponent < right.exponent ? -1 : 1;
  } else if (left.significand != right.significand) {
    order = left.significand < right.significand ? -1 : 1;
  }
  return left.negative ? -order : order;
}

Number addFinite(Number large, Number small, Rounding rounding) {
  if (std::pair(large.exponent, large.significand) < std::pair(small.exponent, small.significand)) {
    std::swap(large, small);
  }
  const uint64_t aligned = shiftRightSticky(small.significand, large.exponent - small.exponent);
  if (large.negative == small.negative) {
    large.significand += aligned;
    if (large.significand >> (kLeading + 1) != 0) {
      large.significand = shiftRightSticky(large.significand, 1);
      ++large.exponent;
    }
    return large;
  }
  large.significand -= aligned;
  if (large.significand == 0) return {.negative = rounding == Rounding::down};
  const int up = std::countl_zero(large.significand) - 1;
  large.significand <<= up;
  large.exponent -= up;
  return large;
}

}  // namespace

Number unpack(const FloatFormat& format, uint64_t bits) {
  Number number;
  number.negative = (bits & format.signBit()) != 0;
  const uint64_t magnitude = bits & (format.signBit() - 1);
  const uint64_t fraction = magnitude & format.fractionMask();
  if (magnitude > format.largest()) {
    number.kind = format.hasInfinity && fraction == 0 ? Kind::infinity : Kind::nan;
    if (number.kind == Kind::nan) number.significand = fraction << (kLeading + 1 - format.fractionBits());
    return number;
  }
  if (magnitude == 0) return number;
  number.kind = Kind::finite;
  const bool normal = magnitude > format.fractionMask();
  const uint64_t significand = normal ? fraction | (format.fractionMask() + 1) : fraction;
  const int up = std::countl_zero(significand) - 1;
  number.significand = significand << up;
  const auto stored = static_cast<int>(magnitude >> format.fractionBits());
  number.exponent = (normal ? stored - format.bias() : format.leastExponent()) + kLeading - up - format.fractionBits();
  return number;
}

Number unpackOperand(const FloatFormat& format, uint64_t bits, bool denormalsAreZero, uint8_t& exceptions) {
  const uint64_t magnitude = bits & (format.signBit() - 1);
  if (magnitude != 0 && magnitude <= format.fractionMask()) {
    if (denormalsAreZero) return {.negative = (bits & format.signBit()) != 0};
    exceptions |= kDenormalOperand;
  }
  const Number number = unpack(format, bits);
  if (number.kind == Kind::nan) exceptions |= kInvalidOperation;
  return number;
}

uint64_t pack(const FloatFormat& format, const Number& number, ComputeFlags flags, uint8_t& exceptions) {
  const uint64_t sign = number.negative ? format.signBit() : 0;
  switch (number.kind) {
    case Kind::zero:
      break;
    case Kind::finite:
      return sign | packFinite(format, number, flags, exceptions);
    case Kind::infinity:
      return sign | packInfinity(format, exceptions);
    case Kind::nan:
      return sign | packNan(format, number);
  }
  return sign;
}

Number add(const Number& left, const Number& right, Rounding rounding, uint8_t& exceptions) {
  if (left.kind == Kind::nan) return left;
  if (right.kind == Kind::nan) return right;
  if (left.kind == Kind::infinity || right.kind == Kind::infinity) {
    if (left.kind == right.kind && left.negative != right.negative) {
      exceptions |= kInvalidOperation;
      // The processors' "real indefinite".
      return {.kind = Kind::nan, .negative = true};
    }
    return left.kind == Kind::infinity ? left : right;
  }
  if (left.kind == Kind::zero && right.kind == Kind::zero) {
    return {.negative = left.negative == right.negative ? left.negative : rounding == Rounding::down};
  }
  if (left.kind == Kind::zero) return right;
  if (right.kind == Kind::zero) return left;
  return addFinite(left, right, rounding);
}

Number minimum(const Number& left, const Number& right) {
  if (left.kind == Kind::nan) return left;
  if (right.kind == Kind::nan) return right;
  return compare(right, left) < 0 ? right : left;
}

Number maximum(const Number& left, const Number& right) {
  if (left.kind == Kind::nan) return left;
  if (right.kind == Kind::nan) return right;
  return compare(right, left) > 0 ? right : left;
}

}  // namespace mdev::dsa

// Floating-point numbers of any format, taken apart. Arithmetic is that of integers, so that neither the processor's
// rounding mode nor its treatment of denormals has a say.
#pragma once

#include <cstdint>

#include "dsa/typed/compute_flags.h"
#include "dsa/typed/float_format.h"

namespace mdev::dsa {

/// A number, which no format need be able to hold.
struct Number {
  enum class Kind : uint8_t { zero, finite, infinity, nan };

  Kind kind = Kind::zero;
  bool negative = false;
  /// Finite: that of the leading bit.
  int exponent = 0;
  /// Finite: from bit 62 on, where the leading bit is; bit 0 also stands for everything below it. NaN: its fraction,
  /// from bit 62 on.
  uint64_t significand = 0;
};

/// The number that `bits` are. Adds what is exceptional about it as an operand to `exceptions`.
Number unpackOperand(const FloatFormat& format, uint64_t bits, bool denormalsAreZero, uint8_t& exceptions);
/// The number that `bits` are, which were the result of something: nothing about them is exceptional.
Number unpack(const FloatFormat& format, uint64_t bits);
/// The bits of the number, rounded as the flags say. Adds overflow and underflow to `exceptions`: a result that is not
/// zero underflows when it is smaller than every normal number after it was rounded as if exponents had no end, whether
/// it is exact or not.
uint64_t pack(const FloatFormat& format, const Number& number, ComputeFlags flags, uint8_t& exceptions);

/// The exact sum but for its zero, whose sign depends on the rounding mode, and for what bit 0 stands for: with at most
/// 53 bits of precision in, it rounds as the exact sum does. NaN: the first one of the operands'.
Number add(const Number& left, const Number& right, Rounding rounding, uint8_t& exceptions);
/// The smaller one, or the larger one; -0 is smaller than +0. NaN as `add`.
Number minimum(const Number& left, const Number& right);
Number maximum(const Number& left, const Number& right);

}  // namespace mdev::dsa

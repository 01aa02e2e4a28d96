// What typed operations do with elements.
#pragma once

#include <cstddef>
#include <cstdint>

#include "dsa/typed/compute_flags.h"
#include "dsa/typed/data_type.h"

namespace mdev::dsa {

/// One descriptor's arithmetic. Between types there is a conversion, and types fit the computation. Elements need not
/// be aligned. Exceptions are added to.
///
/// A computation takes place in the wider of both types; its result is then converted. Integers are computed with as if
/// they had no end (negated ones too, and bitwise, in two's complement), and then saturated or cut to a type.
class Arithmetic {
 public:
  Arithmetic(DataType from, DataType to, ComputeFlags flags, Compute compute = Compute::add)
      : from_(from), to_(to), between_(wider(from, to)), flags_(flags), compute_(compute) {}

  /// Converts `count` elements, which are negated first if the flags say so.
  void convert(const std::byte* from, std::byte* to, uint32_t count, uint8_t& exceptions) const;
  /// Computes `count` elements of two operands.
  void compute(const std::byte* first, const std::byte* second, std::byte* to, uint32_t count,
               uint8_t& exceptions) const;

  /// What many operands are computed to, one after the other: in the wider type.
  DataType accumulatorType() const { return between_; }
  /// The first operand's elements; each operand is negated if the flags say so for the first.
  void begin(const std::byte* operand, std::byte* accumulators, uint32_t count, uint8_t& exceptions) const;
  /// The next operand's.
  void accumulate(const std::byte* operand, std::byte* accumulators, uint32_t count, uint8_t& exceptions) const;
  /// The accumulators in the type of the result.
  void end(const std::byte* accumulators, std::byte* to, uint32_t count, uint8_t& exceptions) const;

 private:
  const DataType from_;
  const DataType to_;
  const DataType between_;
  const ComputeFlags flags_;
  const Compute compute_;
};

}  // namespace mdev::dsa

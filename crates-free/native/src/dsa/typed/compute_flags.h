// What a descriptor says of a computation. DSA specification 8.1.10 to 8.1.12.
#pragma once

#include <cstdint>

namespace mdev::dsa {

/// What becomes of two elements; other codes are reserved.
enum class Compute : uint8_t { add = 1, bitwiseAnd = 3, bitwiseOr = 4, bitwiseXor = 5, minimum = 6, maximum = 7 };

constexpr bool isBitwise(Compute compute) {
  return compute == Compute::bitwiseAnd || compute == Compute::bitwiseOr || compute == Compute::bitwiseXor;
}

enum class Rounding : uint8_t { nearestEven, down, up, toZero };

/// The 12 compute flags. One that has nothing to apply to, such as rounding where elements are integers, has no effect.
class ComputeFlags {
 public:
  constexpr explicit ComputeFlags(uint16_t bits) : bits_(bits) {}

  /// No reserved bit is set, and the rounding mode is one.
  constexpr bool known() const { return (bits_ & 0xe00) == 0 && (bits_ >> 4 & 7) <= 3; }
  constexpr bool negatesFirst() const { return (bits_ & 1 << 0) != 0; }
  constexpr bool negatesSecond() const { return (bits_ & 1 << 1) != 0; }
  constexpr bool flushesToZero() const { return (bits_ & 1 << 2) != 0; }
  constexpr bool takesDenormalsAsZero() const { return (bits_ & 1 << 3) != 0; }
  constexpr Rounding rounding() const { return static_cast<Rounding>(bits_ >> 4 & 3); }
  constexpr bool isSigned() const { return (bits_ & 1 << 7) != 0; }
  constexpr bool saturates() const { return (bits_ & 1 << 8) != 0; }

 private:
  uint16_t bits_;
};

/// Exceptions, in the result byte of the record.
inline constexpr uint8_t kInvalidOperation = 1 << 0;
inline constexpr uint8_t kDenormalOperand = 1 << 1;
inline constexpr uint8_t kOverflow = 1 << 2;
inline constexpr uint8_t kUnderflow = 1 << 3;

}  // namespace mdev::dsa

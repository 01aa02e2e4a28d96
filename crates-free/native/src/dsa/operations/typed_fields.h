// What the descriptor of a typed operation says of its elements. DSA specification 8.1.9 to 8.1.12.
#pragma once

#include <cstdint>

#include "dsa/descriptor.h"
#include "dsa/limits.h"
#include "dsa/typed/arithmetic.h"

namespace mdev::dsa {

/// Bytes 56 to 58.
struct TypedFields {
  /// Codes of the types that are read and written.
  uint8_t from;
  uint8_t to;
  /// Code of the computation; 0 where there is none.
  uint8_t compute;
  ComputeFlags flags;

  static TypedFields of(const Descriptor& descriptor) {
    const auto types = descriptor.at<uint8_t>(56);
    const auto computation = descriptor.at<uint16_t>(57);
    return {static_cast<uint8_t>(types & 0xf), static_cast<uint8_t>(types >> 4),
            static_cast<uint8_t>(computation & 0xf), ComputeFlags(static_cast<uint16_t>(computation >> 4))};
  }

  /// Bytes of an element. The codes are those of types.
  uint32_t sizeFrom() const { return sizeOf(static_cast<DataType>(from)); }
  uint32_t sizeTo() const { return sizeOf(static_cast<DataType>(to)); }
  Arithmetic arithmetic() const {
    return {static_cast<DataType>(from), static_cast<DataType>(to), flags, static_cast<Compute>(compute)};
  }
};

/// Whether the device has the types, a conversion between them, the computation (if there is to be one) and all that
/// the flags ask for: the status if not, or 0.
uint8_t checkTyped(const TypedFields& fields, bool computes, const TypedCapabilities& capabilities);

}  // namespace mdev::dsa

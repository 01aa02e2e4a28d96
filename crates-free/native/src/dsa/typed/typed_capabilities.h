// What of typed operations, and of scatter-gather lists, a device has. DSA specification 9.2.30 to 9.2.32.
#pragma once

#include <cstdint>

#include "dsa/typed/compute_flags.h"
#include "dsa/typed/data_type.h"

namespace mdev::dsa {

/// DSACAP0 to DSACAP2 as their registers read; all 0 before version 3.0.
struct TypedCapabilities {
  uint64_t dsacap0 = 0;
  uint64_t dsacap1 = 0;
  uint64_t dsacap2 = 0;

  /// The type's code exists, and the device has it.
  bool hasType(uint8_t code) const { return code < kDataTypes && (dsacap1 >> code & 1) != 0; }
  /// Elements of one type become those of another. Every integer becomes every other one, and a type itself.
  bool converts(DataType from, DataType to) const;
  /// The computation exists, and the device has it.
  bool computes(Compute compute) const;
  /// Everything that the flags ask of elements of this type.
  bool allows(ComputeFlags flags, DataType type) const;
  /// A format of scatter-gather lists.
  bool hasListFormat(uint8_t format) const { return (dsacap0 >> (32 + format) & 1) != 0; }
  /// The bytes of a gather-reduce block are fewer.
  uint64_t mostReducedBlock() const { return uint64_t{1} << (dsacap0 >> 4 & 0xf); }
};

}  // namespace mdev::dsa

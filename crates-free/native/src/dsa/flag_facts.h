// What flags of single operations depend on, and what depends on them, as data. DSA specification 8.3 and 9.2.2.
#pragma once

#include <cstdint>
#include <span>

#include "dsa/limits.h"
#include "dsa/operation_facts.h"

namespace mdev::dsa {

/// Flags that exist where the device has a capability.
struct CapabilityFlags {
  uint8_t opcode;
  uint32_t flags;
  bool Capabilities::*capability;
};

/// Flags that mean something beside another one.
struct DependentFlags {
  uint8_t opcode;
  uint32_t flags;
  uint32_t beside;
};

/// Bytes that are reserved while a flag is set, or while it is clear.
struct ReservedByFlag {
  uint8_t opcode;
  uint32_t flag;
  bool set;
  ByteRange range;
};

/// The operation's rows.
std::span<const ReservedByFlag> reservedByFlags(uint8_t opcode);

/// Flags of the operation that may not be set: the device has not what they are for, or `flags` lack what they belong
/// to.
uint32_t unavailableFlags(uint8_t opcode, uint32_t flags, const Capabilities& capabilities);

}  // namespace mdev::dsa

// What each operation allows its descriptor to say, as data. DSA specification 5.5, tables 5-3 to 5-5.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "dsa/descriptor.h"
#include "dsa/limits.h"
#include "dsa/operations/operation.h"

namespace mdev::dsa {

/// Bytes of the descriptor, first and last, that must be zero, or of which some bits must.
struct ByteRange {
  uint8_t first;
  uint8_t last;
  uint8_t bits = 0xff;
};

/// One row of the tables of allowed flags and reserved fields.
struct OperationFacts {
  uint8_t opcode;
  /// Flags that the operation knows beyond fence, CRAV, RCR, RCI and the record's traffic class.
  uint32_t flags;
  /// Flags that must be set.
  uint32_t requiredFlags;
  /// Byte 32 holds a transfer size, or a number of elements: not 0, at most the queue's limit.
  bool transfers;
  std::span<const ByteRange> reserved;
  /// Null for those that do not work on memory: no-op, batch and drain.
  const Operation* operation = nullptr;
};

/// The operation's row, or null when the engine does not have it.
const OperationFacts* factsOf(uint8_t opcode);

/// The operation that works on memory, or null for those that do not and those that are not there.
const Operation* operationOf(uint8_t opcode);

/// Which bits of a descriptor must be zero, in its 64-bit words.
using ReservedBits = std::array<uint64_t, kDescriptorSize / sizeof(uint64_t)>;

/// `OperationFacts::reserved` of an operation that the engine has.
const ReservedBits& reservedBitsOf(uint8_t opcode);

/// Every operation that engines have.
const Operations& supportedOperations();

}  // namespace mdev::dsa

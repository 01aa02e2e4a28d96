// What each operation allows its descriptor to say, as data. DSA specification 5.5, tables 5-3 to 5-5.
#pragma once

#include <cstdint>
#include <span>

#include "dsa/limits.h"

namespace mdev::dsa {

/// Bytes of the descriptor that must be zero, first and last.
struct ByteRange {
  uint8_t first;
  uint8_t last;
};

/// One row of the tables of allowed flags and reserved fields.
struct OperationFacts {
  uint8_t opcode;
  /// Flags that the operation knows beyond fence, CRAV, RCR, RCI and the record's traffic class.
  uint32_t flags;
  /// Flags that must be set.
  uint32_t requiredFlags;
  /// Byte 32 holds a transfer size: not 0, at most the queue's limit.
  bool transfers;
  std::span<const ByteRange> reserved;
};

/// The operation's row, or null when the engine does not have it.
const OperationFacts* factsOf(uint8_t opcode);

/// Every operation that engines have.
const Operations& supportedOperations();

}  // namespace mdev::dsa

// What a device and a work queue allow a descriptor to ask for.
#pragma once

#include <bitset>
#include <cstdint>

#include "dsa/opcode.h"
#include "dsa/typed/typed_capabilities.h"

namespace mdev::dsa {

/// Bit n: operation n, as in OPCAP.
using Operations = std::bitset<kOpcodes>;

/// Capabilities of the device that decide what a descriptor may say. DSA specification 9.2.2.
struct Capabilities {
  /// GENCAP bit 1: source and destination of a memory move may overlap.
  bool overlappingMove = false;
  /// GENCAP bit 2: the cache-write hint may be set. It has no effect on memory that is always coherent.
  bool cacheControl = true;
  /// Translations can be fetched, as by a function whose address translation services are on: without, the operation
  /// is not supported.
  bool addressTranslation = false;
  /// GENCAP bit 7: translations may be fetched a stride apart.
  bool translationStride = false;
  /// GENCAP bit 8: the destination may be asked to be read back, which coherent memory makes a no-op.
  bool destinationReadback = false;
  /// GENCAP bit 9: a drain may say what it reads back.
  bool drainReadback = false;
  /// GENCAP bit 10: the pattern of a fill may have 16 bytes.
  bool fillPattern16 = false;
  /// GENCAP bit 11: checksums may have 64 bits.
  bool crc64 = false;
  /// GENCAP bit 12: records name the operand that faulted.
  bool faultInfo = false;
  /// GENCAP bit 15: the batch-error flag exists, and a batch's record has a result.
  bool batchContinuation = false;
  /// GENCAP bit 52: a batch may have one descriptor.
  bool batchOfOne = false;
  /// DSACAP0 to DSACAP2.
  TypedCapabilities typed{};
};

/// Limits of one enabled work queue. DSA specification 9.2.24.
struct QueueLimits {
  Operations operations;
  /// Largest transfer, bytes.
  uint64_t maxTransfer = 0;
  /// Largest number of descriptors of a batch.
  uint32_t maxBatch = 0;
  /// Largest number of entries of a scatter-gather list; 0 where there is none.
  uint32_t maxList = 0;
  /// The queue lets descriptors set the block-on-fault flag.
  bool blockOnFault = false;
  /// The completion-interrupt flag may be set.
  bool completionInterrupts = true;
};

}  // namespace mdev::dsa

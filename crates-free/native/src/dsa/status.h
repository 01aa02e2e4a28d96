// Codes of byte 0 of a completion record, and of the software-error register. DSA specification 5.4 to 5.8.
#pragma once

#include <cstdint>

namespace mdev::dsa {

inline constexpr uint8_t kStatusSuccess = 0x01;
inline constexpr uint8_t kStatusPredicateFalse = 0x02;
inline constexpr uint8_t kStatusPageFault = 0x03;
inline constexpr uint8_t kStatusBatchMemberFailed = 0x05;
inline constexpr uint8_t kStatusBatchListFault = 0x06;
inline constexpr uint8_t kStatusDeltaOrder = 0x07;
inline constexpr uint8_t kStatusDeltaOffset = 0x08;
inline constexpr uint8_t kStatusDif = 0x09;
inline constexpr uint8_t kStatusUnsupportedOperation = 0x10;
inline constexpr uint8_t kStatusInvalidFlags = 0x11;
inline constexpr uint8_t kStatusReservedField = 0x12;
inline constexpr uint8_t kStatusTransferSize = 0x13;
inline constexpr uint8_t kStatusDescriptorCount = 0x14;
inline constexpr uint8_t kStatusFieldValue = 0x15;
inline constexpr uint8_t kStatusOverlap = 0x16;
inline constexpr uint8_t kStatusDualcastAlignment = 0x17;
inline constexpr uint8_t kStatusListAlignment = 0x18;
inline constexpr uint8_t kStatusInterruptHandle = 0x19;
inline constexpr uint8_t kStatusRecordFault = 0x1a;
inline constexpr uint8_t kStatusRecordAlignment = 0x1b;
inline constexpr uint8_t kStatusPrivilege = 0x1d;
inline constexpr uint8_t kStatusAlignment = 0x1c;
inline constexpr uint8_t kStatusReadbackFault = 0x1f;

/// Set beside a fault's code when the faulting access was a write.
inline constexpr uint8_t kStatusFaultOnWrite = 0x80;
inline constexpr uint8_t kStatusCodeMask = 0x3f;

/// Only in the event log: the end of a drain, or of a batch, whose record software writes when it has written those of
/// other descriptors that could not be.
inline constexpr uint8_t kErrorDrainAfterFaults = 0x26;
inline constexpr uint8_t kErrorBatchAfterFaults = 0x27;

/// In the software-error register or the event log, never in a record.
inline constexpr uint8_t kErrorQueueFull = 0x53;
/// Only in the software-error register: the device has halted; the event log did not take an entry.
inline constexpr uint8_t kErrorConfigurationChanged = 0x51;
inline constexpr uint8_t kErrorEventLog = 0x54;

/// What counts as no error when a record was not requested (flag RCR clear).
constexpr bool endedWell(uint8_t status) {
  return status == kStatusSuccess || status == kStatusPredicateFalse || status == kStatusBatchMemberFailed;
}

/// Faults carry an address, and the direction of the access that failed.
constexpr bool isFault(uint8_t status) {
  const uint8_t code = status & kStatusCodeMask;
  return code == kStatusPageFault || code == kStatusBatchListFault || code == kStatusRecordFault ||
         code == kStatusReadbackFault;
}

}  // namespace mdev::dsa

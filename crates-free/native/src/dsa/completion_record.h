// The 32 bytes that tell the guest how a descriptor ended. DSA specification 8.2.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace mdev::dsa {

inline constexpr std::size_t kCompletionRecordSize = 32;
/// From here to its end the record depends on operation and status.
inline constexpr std::size_t kCompletionSpecific = 16;
/// 32 bits, with kStatusInvalidFlags: the flags at fault.
inline constexpr std::size_t kCompletionInvalidFlags = 16;
/// Of an operation with checksum: as many bits as that has.
inline constexpr std::size_t kCompletionCrc = 16;
/// 32 bits, of a created delta: bytes of the record.
inline constexpr std::size_t kCompletionDeltaSize = 16;
/// 8 bytes each, of operations that check integrity fields, and that make them.
inline constexpr std::size_t kCompletionSourceTags = 16;
inline constexpr std::size_t kCompletionDestinationTags = 24;

/// Operand of a fault, bits 3:1 of the record's fault information.
enum class FaultOperand : uint8_t {
  unknown = 0,
  source1 = 1,  ///< also a descriptor list, the first readback, translations that are fetched
  source2 = 2,  ///< also a CRC seed, the second readback
  destination1 = 3,
  destination2 = 4,
  record = 5,
};

using CompletionWords = std::array<uint64_t, kCompletionRecordSize / sizeof(uint64_t)>;

/// How a descriptor ended.
struct Completion {
  /// Never 0 in a record; 0 while the descriptor runs.
  uint8_t status = 0;
  // Not `result`: `encode` would load both at once, and wait for the processor to have written all that came before
  // the status, which is the operation's data.
  FaultOperand faultOperand = FaultOperand::unknown;
  /// Unit and meaning depend on operation and status (8.2.2 to 8.2.6).
  uint32_t completed = 0;
  uint64_t faultAddress = 0;
  /// Bytes from kCompletionSpecific on.
  std::array<std::byte, kCompletionRecordSize - kCompletionSpecific> specific{};
  uint8_t result = 0;

  /// A field of `specific`, at its place in the record.
  template <typename T>
  void put(std::size_t place, T value) {
    std::memcpy(&specific[place - kCompletionSpecific], &value, sizeof value);
  }
  template <typename T>
  T get(std::size_t place) const {
    T value;
    std::memcpy(&value, &specific[place - kCompletionSpecific], sizeof value);
    return value;
  }

  /// The record, the status in the lowest byte of word 0; `faultInfo` says whether the device reports the faulting
  /// operand. In words, because a record that is put together byte by byte and then read in larger pieces would wait
  /// for all that the processor is still writing.
  CompletionWords encode(bool faultInfo) const {
    const uint32_t operand = faultInfo ? uint32_t{static_cast<uint8_t>(faultOperand)} << 1 : 0;
    return {status | uint32_t{result} << 8 | operand << 16 | uint64_t{completed} << 32, faultAddress,
            get<uint64_t>(kCompletionSpecific), get<uint64_t>(kCompletionSpecific + sizeof(uint64_t))};
  }
};

}  // namespace mdev::dsa

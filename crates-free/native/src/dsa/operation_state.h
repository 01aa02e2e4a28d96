// What each operation keeps from one turn to the next, beside how far it has come.
#pragma once

#include <cstdint>
#include <variant>

namespace mdev::dsa {

/// CRC generation, with copy or without, once it has its seed.
template <typename Register>
struct ChecksumStateOf {
  Register crc = 0;
  /// The checksum's register before the piece that was worked on last, and where that piece began.
  Register before = 0;
  uint64_t from = 0;

  template <typename Self, typename Archive>
  static void exchange(Self& self, Archive& archive) {
    archive.value(self.crc);
    archive.value(self.before);
    archive.value(self.from);
  }
};

using ChecksumState = ChecksumStateOf<uint32_t>;
using Checksum64State = ChecksumStateOf<uint64_t>;

/// Creating a delta record.
struct DeltaCreateState {
  /// Bytes of the sources that have been looked at. Those behind `done` may have entries in staging.
  uint32_t compared = 0;
  /// Bytes of the record that are written: whole entries.
  uint32_t written = 0;

  template <typename Self, typename Archive>
  static void exchange(Self& self, Archive& archive) {
    archive.value(self.compared);
    archive.value(self.written);
  }
};

/// Applying a delta record.
struct DeltaApplyState {
  /// One more than the offset of the last entry that was applied; 0 before the first.
  uint32_t next = 0;

  template <typename Self, typename Archive>
  static void exchange(Self& self, Archive& archive) {
    archive.value(self.next);
  }
};

/// Type conversion, reduce and reduce dualcast.
struct ElementsState {
  /// Elements of the step: as many are to be fetched, or go out. 0 between steps.
  uint32_t count = 0;
  /// Exceptions of what goes out.
  uint8_t exceptions = 0;
  /// It goes to the destination that comes second.
  bool second = false;

  template <typename Self, typename Archive>
  static void exchange(Self& self, Archive& archive) {
    archive.value(self.count);
    archive.value(self.exceptions);
    archive.choice(self.second);
  }
};

/// The state of the operation that runs; none before its first turn, and of operations that need none. Their order is
/// part of the saved state: new ones come last.
using OperationState =
    std::variant<std::monostate, ChecksumState, DeltaCreateState, DeltaApplyState, ElementsState, Checksum64State>;

}  // namespace mdev::dsa

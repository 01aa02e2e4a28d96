// The way of an engine to guest memory by PASID.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <functional>
#include <optional>

#include "memory/epoch.h"
#include "sva/pasid_table.h"

namespace mdev {

/// What a thread needs to read PASID tables: make one per thread that does (it allocates), and keep it for the thread's
/// life. Beside the Reader that the thread has for the device's own space: guards of both may be open at a time.
class PasidReader {
 public:
  /// `wake`: as that of EpochDomain::Reader.
  explicit PasidReader(const std::function<void()>& wake = nullptr) : table_(wake), space_(wake) {}

 private:
  friend class PasidGuard;
  EpochDomain::Reader table_;
  EpochDomain::Reader space_;
};

/// What a PASID leads to.
enum class PasidState : uint8_t {
  found,
  /// Not attached, or not reachable now: every access by this PASID faults.
  absent,
  /// Its owner keeps readers out of the table or of the space: close the guard, do something else, and come again.
  excluded,
};

/// While it lives, the space behind a PASID stays what it is, and what its translations point to stays mapped: for one
/// chunk of work, because an unmap, a detach and an invalidation wait for it. Nothing is locked, nothing is allocated.
/// One at a time for each reader.
class PasidGuard {
 public:
  PasidGuard(PasidReader& reader, const PasidTable& table, uint32_t pasid)
      : table_(reader.table_, table.epochs()), space_(table.find(pasid)) {
    if (table.epochs().turnsAway()) {
      state_ = PasidState::excluded;
    } else if (space_ != nullptr) {
      pieces_.emplace(reader.space_, space_->epochs());
      state_ = space_->epochs().turnsAway() ? PasidState::excluded : PasidState::found;
    }
  }
  PasidGuard(const PasidGuard&) = delete;
  PasidGuard& operator=(const PasidGuard&) = delete;

  /// Ask first: only what is `found` has a space.
  PasidState state() const { return state_; }
  /// Translate in it as in any DmaSpace. Ends the process unless `found`: an engine that does not ask would read what
  /// its owner is taking away.
  const DmaSpace& space() const {
    if (state_ != PasidState::found) std::abort();
    return *space_;
  }
  /// When no guard of the reader is open: whether one by this PASID may come again. If not, the reader's `wake` is
  /// called when it may.
  static bool admits(PasidReader& reader, const PasidTable& table, uint32_t pasid) {
    const PasidGuard guard(reader, table, pasid);
    if (guard.state_ != PasidState::excluded) return true;
    return guard.pieces_ ? guard.space_->epochs().admits(reader.space_) : table.epochs().admits(reader.table_);
  }

 private:
  /// First, so that the space cannot be let go of before `pieces_` protects what is in it.
  const EpochGuard table_;
  const DmaSpace* const space_;
  std::optional<EpochGuard> pieces_;
  PasidState state_ = PasidState::absent;
};

}  // namespace mdev

// The way of an engine to guest memory by PASID.
#pragma once

#include <cstdint>
#include <optional>

#include "memory/epoch.h"
#include "sva/pasid_table.h"

namespace mdev {

/// What a thread needs to read PASID tables: make one per thread that does (it allocates), and keep it for the thread's
/// life. Beside the Reader that the thread has for the device's own space: guards of both may be open at a time.
class PasidReader {
 public:
  PasidReader() = default;

 private:
  friend class PasidGuard;
  EpochDomain::Reader table_;
  EpochDomain::Reader space_;
};

/// While it lives, the space behind a PASID stays what it is, and what its translations point to stays mapped: for one
/// chunk of work, because an unmap, a detach and an invalidation wait for it. Nothing is locked, nothing is allocated.
/// One at a time for each reader.
class PasidGuard {
 public:
  PasidGuard(PasidReader& reader, const PasidTable& table, uint32_t pasid)
      : table_(reader.table_, table.epochs()), space_(table.find(pasid)) {
    if (space_ != nullptr) pieces_.emplace(reader.space_, space_->epochs());
  }
  PasidGuard(const PasidGuard&) = delete;
  PasidGuard& operator=(const PasidGuard&) = delete;

  /// Translate in it as in any DmaSpace; null: every access by this PASID faults.
  const DmaSpace* space() const { return space_; }

 private:
  /// First, so that the space cannot be let go of before `pieces_` protects what is in it.
  const EpochGuard table_;
  const DmaSpace* const space_;
  std::optional<EpochGuard> pieces_;
};

}  // namespace mdev

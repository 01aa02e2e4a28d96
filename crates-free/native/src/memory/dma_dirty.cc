// The requests about dirty pages that a DmaSpace takes: those of VFIO's migration, and a handover's.
#include <cerrno>

#include "memory/dma_space_state.h"

namespace mdev {

namespace {

DirtyTracker::MapWalk mapsOf(const IovaTree& tree) {
  return [&tree](const std::function<bool(uint64_t, uint64_t)>& cover) {
    tree.forEach([&](const IovaEntry& entry) { return cover(entry.first, entry.last); });
  };
}

}  // namespace

int DmaSpace::startDirtyLog(uint64_t pageSize, std::span<const DirtyRange> ranges) {
  return state_->tracker->start(pageSize, ranges, state_->limits.maxDirtyLogBytes(), mapsOf(state_->tree));
}

void DmaSpace::stopDirtyLog() { state_->tracker->stop(); }

uint64_t DmaSpace::dirtyPageSize() const { return state_->tracker->pageSize(); }

int DmaSpace::reportDirty(uint64_t iova, uint64_t length, const DirtyQuery& query) const {
  const DirtyTracker& tracker = *state_->tracker;
  if (const int error = tracker.check(iova, length, query.pageSize); error != 0) return error;
  if (query.bitmap.size() != dirtyBitmapBytes(length, query.pageSize)) return EINVAL;
  const uint64_t last = iova + (length - 1);
  if (!tracker.tracks(iova, last)) return ENOENT;
  if (tracker.tracksAll()) {
    const IovaEntry* there = state_->tree.firstFrom(iova);
    if (there == nullptr || there->first > last) return ENOENT;
  }
  tracker.report(iova, length, query.pageSize, query.bitmap);
  return 0;
}

void DmaSpace::saveDirtyLog(HandoverWriter& archive) const { state_->tracker->save(archive); }

int DmaSpace::restoreDirtyLog(HandoverReader& archive) {
  return state_->tracker->restore(archive, state_->limits.maxDirtyLogBytes(), mapsOf(state_->tree));
}

}  // namespace mdev

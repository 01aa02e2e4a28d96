// Dirty pages that another process goes on to track: hint (0: nothing is tracked), ranges, then marked pages as runs,
// ascending: pages that are not, and pages that are, each number in groups of 7 bits; a run of 0 ends them.
#include <bit>
#include <cerrno>
#include <vector>

#include "memory/dirty_tracker.h"

namespace mdev {

namespace {

void writeNumber(HandoverWriter& archive, uint64_t number) {
  for (; number >= 0x80; number >>= 7) archive.value(static_cast<uint8_t>(number | 0x80));
  archive.value(static_cast<uint8_t>(number));
}

uint64_t readNumber(HandoverReader& archive) {
  uint64_t number = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    uint8_t group = 0;
    archive.value(group);
    number |= uint64_t{group & 0x7fu} << shift;
    if ((group & 0x80) == 0) return number;
  }
  archive.require(false);
  return 0;
}

}  // namespace

void DirtyTracker::save(HandoverWriter& archive) const {
  archive.value(log_ == nullptr ? uint64_t{0} : hint_);
  if (log_ == nullptr) return;
  exchangeCount(archive, ranges_.size(), kMaxRanges);
  for (const DirtyRange& range : ranges_) {
    archive.value(range.iova);
    archive.value(range.length);
  }
  const auto shift = static_cast<unsigned>(std::countr_zero(log_->pageSize()));
  uint64_t next = 0;
  // All stay marked: this process may have to go on.
  log_->read([&](uint64_t first, uint64_t last) {
    const uint64_t from = first >> shift;
    const uint64_t to = last >> shift;
    writeNumber(archive, from - next);
    writeNumber(archive, to - from + 1);
    next = to + 1;
  });
  writeNumber(archive, 0);
  writeNumber(archive, 0);
}

int DirtyTracker::restore(HandoverReader& archive, uint64_t limit, const MapWalk& maps) {
  uint64_t hint = 0;
  archive.value(hint);
  if (hint == 0) return archive.good() ? 0 : EINVAL;
  std::vector<DirtyRange> ranges(exchangeCount(archive, 0, kMaxRanges));
  for (DirtyRange& range : ranges) {
    archive.value(range.iova);
    archive.value(range.length);
  }
  if (!archive.good()) return EINVAL;
  if (const int error = start(hint, ranges, limit, maps); error != 0) return error;
  const auto shift = static_cast<unsigned>(std::countr_zero(log_->pageSize()));
  const uint64_t pages = uint64_t{1} << (64 - shift);
  for (uint64_t next = 0;;) {
    const uint64_t gap = readNumber(archive);
    const uint64_t run = readNumber(archive);
    archive.require(gap <= pages - next && run <= pages - next - gap);
    if (!archive.good()) return EINVAL;
    if (run == 0) return 0;
    const uint64_t first = next + gap;
    next = first + run;
    log_->mark(first << shift, ((next - 1) << shift) | (log_->pageSize() - 1));
  }
}

}  // namespace mdev

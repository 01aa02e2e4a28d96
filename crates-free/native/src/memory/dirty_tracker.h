// Dirty-page tracking of one instance: VFIO_DEVICE_FEATURE_DMA_LOGGING_START, _STOP and _REPORT.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/handover_archive.h"
#include "memory/dirty_log.h"
#include "memory/dma_limits.h"

namespace mdev {

/// Addresses to track: `length` bytes from `iova` on, as on the wire.
struct DirtyRange {
  uint64_t iova;
  uint64_t length;
  auto operator<=>(const DirtyRange&) const = default;
};

/// Bytes of a bitmap of one bit for each page of `length` bytes: whole 64-bit words. `length` and `pageSize` are not 0.
constexpr uint64_t dirtyBitmapBytes(uint64_t length, uint64_t pageSize) {
  return ((length - 1) / pageSize / 64 + 1) * 8;
}

class EpochDomain;

/// What engines and clients' answers write is marked here, by any thread; the owner thread does the rest. While nothing
/// is tracked a mark costs one branch.
class DirtyTracker {
 public:
  /// Most ranges that one START may name: as many as the kernel takes (one page of them).
  static constexpr std::size_t kMaxRanges = 256;

  /// `epochs`: of those who mark; only `start` and `stop` look at it.
  explicit DirtyTracker(EpochDomain& epochs) : epochs_(epochs) {}
  /// No reader may be left.
  ~DirtyTracker();
  DirtyTracker(const DirtyTracker&) = delete;
  DirtyTracker& operator=(const DirtyTracker&) = delete;

  /// Any thread that holds an EpochGuard, and the owner: `length` bytes at `iova` were written. Call it behind the
  /// write, and before anything that tells the guest of it.
  void wrote(uint64_t iova, uint64_t length) const {
    const DirtyLog* log = published_.load(std::memory_order_acquire);
    if (log != nullptr && length != 0) [[unlikely]]
      log->mark(iova, iova + (length - 1));
  }

  // --- Owner thread, outside of guards. Results are 0 or a positive errno; on error nothing changed. ---

  /// Calls its argument with the first and last byte of every DMA map.
  using MapWalk = std::function<void(const std::function<bool(uint64_t, uint64_t)>&)>;

  /// Tracks `ranges`, or, with none, all that is mapped now or later (`maps` says what that is now). `pageSize` is a
  /// hint; see `pageSize()`. An identical repeat succeeds and keeps what is marked. EINVAL: pageSize no power of two, a
  /// range empty or not aligned to it, ranges overlap, or something else is tracked; EOVERFLOW: a range wraps; E2BIG:
  /// more than kMaxRanges; ENOSPC: the log would take more than `limit` bytes; ENOMEM. What is written after the return
  /// is marked; waits for readers, for at most one chunk.
  int start(uint64_t pageSize, std::span<const DirtyRange> ranges, uint64_t limit, const MapWalk& maps);
  /// Ends tracking and drops what is marked. Idempotent.
  void stop();
  bool running() const { return log_ != nullptr; }
  /// Granularity in use, bytes; 0 when nothing is tracked. The hint, but 4096 at least, and 4096 if all is tracked.
  uint64_t pageSize() const { return log_ == nullptr ? 0 : log_->pageSize(); }
  bool tracksAll() const { return running() && ranges_.empty(); }

  /// Checks the arguments of `report`, and that something is tracked. EINVAL: nothing is, `length` 0, pageSize no power
  /// of two or beyond `length`; EOVERFLOW: the range wraps.
  int check(uint64_t iova, uint64_t length, uint64_t pageSize) const;
  /// True if every address of [first, last] is tracked (if all is, then every address is).
  bool tracks(uint64_t first, uint64_t last) const;
  /// Sets the bits of the dirty pages, bit 0 for the `pageSize` bytes at `iova`, and forgets them; never clears a bit
  /// of `bitmap`. A page tracked that lies only partly in the range is reported and stays marked, unless the rest of it
  /// is not tracked. The arguments have been checked; `bitmap` has dirtyBitmapBytes(length, pageSize).
  void report(uint64_t iova, uint64_t length, uint64_t pageSize, std::span<std::byte> bitmap) const;

  /// What is tracked and what is marked, for another process; nothing may be writing. All stays as it is.
  void save(HandoverWriter& archive) const;
  /// Tracks and marks what another tracker has saved; `start` as above, on a tracker that is not running. 0 or an
  /// errno; EINVAL: these are no such bytes.
  int restore(HandoverReader& archive, uint64_t limit, const MapWalk& maps);

  /// A map is about to be made. ENOSPC: everything is tracked, and the log has no room for it. May throw
  /// std::bad_alloc.
  int mapping(uint64_t first, uint64_t last, uint64_t limit);
  /// Maps in [first, last] are gone, and their readers. If all is tracked, a later map there begins clean, and the room
  /// is given back where `mapped` says that nothing is any more.
  void unmapped(uint64_t first, uint64_t last, const DirtyLog::Keep& mapped) const;

 private:
  EpochDomain& epochs_;
  std::atomic<const DirtyLog*> published_{nullptr};
  std::unique_ptr<DirtyLog> log_;
  /// As asked for.
  uint64_t hint_ = 0;
  std::vector<DirtyRange> ranges_;
  /// The same by address, neighbours joined.
  std::vector<IovaRange> tracked_;
};

}  // namespace mdev

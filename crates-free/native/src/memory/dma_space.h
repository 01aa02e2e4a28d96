// The guest memory that one instance may reach.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "base/foreign_fd.h"
#include "memory/dirty_tracker.h"
#include "memory/dma_limits.h"
#include "memory/epoch.h"
#include "memory/iova_cache.h"
#include "memory/message_dma.h"

namespace mdev {

/// Rights of a mapping and direction of an access; the values are those of VFIO_USER_F_DMA_REGION_READ and _WRITE.
inline constexpr uint32_t kDmaRead = 1;
inline constexpr uint32_t kDmaWrite = 2;

/// Largest map, bytes: what an instance may have of files, too (FileRegistry::kMaxWindowBytes).
inline constexpr uint64_t kMaxMapBytes = uint64_t{8} << 40;

class MemoryFile;

/// The piece of guest memory at an address.
struct Translation {
  enum class Kind : uint8_t {
    fault,    ///< nothing there, no right, bus master off, or the file is broken; length is 0
    mapped,   ///< `pointer` is valid until the reader's guard ends
    message,  ///< only reachable by message
  };
  Kind kind = Kind::fault;
  /// Address of the piece's first byte.
  uint64_t iova = 0;
  std::byte* pointer = nullptr;
  /// Usable bytes, at most what was asked for.
  uint64_t length = 0;
  /// Owner of `pointer`, for `finish`. Valid as long as the guard.
  const MemoryFile* file = nullptr;
};

/// Which pages of a range are dirty: the bitmap to set, one bit for each `pageSize` bytes from the range's start on, in
/// 64-bit words of host byte order; of exactly dirtyBitmapBytes(length, pageSize). Bits are set, never cleared.
struct DirtyQuery {
  /// Any power of two up to the range's length: it need not be the page size that is tracked.
  uint64_t pageSize;
  std::span<std::byte> bitmap;
};

/// One DMA map, as it was made.
struct DmaMap {
  uint64_t first;
  uint64_t last;
  uint32_t rights;
  /// Borrowed until the next change; equal for maps of one file and access mode. -1: reached by message, or not valid.
  int fd;
  uint64_t offset;
  /// False between `invalidateVaddr` and `restoreVaddr`.
  bool valid;
};

/// DMA maps of one instance: changed by the owner thread, read by engines without a lock.
class DmaSpace {
 public:
  DmaSpace();
  /// Any thread, inside a guard too: the memory goes when the last reader is gone. Requests by message are not
  /// cancelled; the owner has called setMessageDma(nullptr) before.
  ~DmaSpace();
  DmaSpace(const DmaSpace&) = delete;
  DmaSpace& operator=(const DmaSpace&) = delete;

  // --- Owner thread. Results are 0 or a positive errno; on error nothing changed. ---

  // None may be called inside an EpochGuard: those that take memory away wait for this space's readers, for at most one
  // chunk. How long that takes is up to the client's memory (a page that is slow to come), so a thread that serves
  // others calls them when a ReaderExclusion of `readers()` is complete: then they do not wait.

  /// Maps [iova, iova + size). `fd` may be empty: then the memory is reached by message and `offset` must be 0.
  /// EINVAL: size 0, no or unknown rights, address wrap, misaligned to the page size (`offset`: to 4096), outside of
  /// the windows, range beyond the end of the file, file of a refused kind; EACCES: rights beyond those of the fd;
  /// EEXIST: overlaps (an identical repeat succeeds); ENOSPC: too many maps, larger than kMaxMapBytes, beyond the
  /// limits of FileRegistry, or of a log of everything that is written; EIO: the file broke before; ENOMEM.
  int map(uint64_t iova, uint64_t size, uint32_t rights, ForeignFd fd, uint64_t offset);
  /// Removes every map that lies inside the range. EINVAL: size 0, address wrap, or the range cuts a map; ENOENT: it
  /// holds none; ENOMEM. On return no reader uses the memory any more, and requests by message in the range have ended.
  /// `unmapped`, if given, becomes the bytes that were mapped.
  int unmap(uint64_t iova, uint64_t size, uint64_t* unmapped = nullptr) { return unmap(iova, size, nullptr, unmapped); }
  /// As `unmap`, and reports which of the pages are dirty, to the last write. EINVAL also: the range is not tracked, or
  /// the query is malformed.
  int unmapReporting(uint64_t iova, uint64_t size, const DirtyQuery& query, uint64_t* unmapped = nullptr) {
    return unmap(iova, size, &query, unmapped);
  }
  /// VFIO_DMA_UNMAP_FLAG_VADDR: the maps inside the range stay, and the memory behind them goes, until `restoreVaddr`.
  /// Accesses fault meanwhile: nobody waits for a client that may never come back to it. As the kernel, which refuses
  /// to pin such memory with EBUSY. EINVAL: size 0, address wrap, the range cuts a map, or one of them is not valid
  /// already or reached by message; ENOENT: it holds none; ENOMEM. On return no reader uses the memory any more.
  int invalidateVaddr(uint64_t iova, uint64_t size);
  /// VFIO_DMA_MAP_FLAG_VADDR: another file, or another place in it, behind a map that is not valid. The map keeps its
  /// rights, and its dirty pages. ENOENT: nothing is mapped at `iova`; EINVAL: the map there is valid or another one,
  /// `offset` misaligned, range beyond the end of the file, no file, or one of a refused kind; EACCES: the map's rights
  /// are beyond those of the fd; ENOSPC, EIO, ENOMEM as `map`. On error the map stays as it is.
  int restoreVaddr(uint64_t iova, uint64_t size, ForeignFd fd, uint64_t offset);
  /// Returns the bytes that were mapped (modulo 2^64). Ends all requests by message that are under way, also those of a
  /// client that has mapped nothing.
  uint64_t unmapAll();
  /// COMMAND bit 2; false at first. While off, every translation faults; turning it off ends what is under way, as
  /// unmap.
  void setBusMaster(bool enabled);
  /// Waits until every guard of this space that is open now is closed.
  void awaitReaders();
  /// Default true. Without enforcement bus-master-enable makes no difference (some clients never program COMMAND).
  void setEnforceBusMaster(bool enforced);
  /// Default true: while a client maps nothing at all, it is asked for every access by message, and faults are its
  /// answers (QEMU's IOMMU translates so where the guest's page tables are of the first stage). False: such accesses
  /// fault.
  void setAskUnmapped(bool ask);
  /// The connection that answers for memory without a file, or null when there is none. The earlier one's requests end
  /// with ECANCELED.
  void setMessageDma(std::shared_ptr<MessageDma> channel);
  /// Nobody answers from now on. The channel is the caller's, with the requests that it has.
  std::shared_ptr<MessageDma> takeMessageDma();
  uint64_t mappings() const;
  /// All maps in ascending order, until `visit` returns false. It must not change the space.
  void forEachMap(const std::function<bool(const DmaMap&)>& visit) const;

  /// The operator's limits. EINVAL: no page size or one below 4096, no window, windows empty, overlapping or not
  /// ascending; EBUSY: what is mapped does not fit.
  int setLimits(DmaLimits limits);
  /// What the present client may have on top of that, as agreed with VERSION: `max_dma_maps` and `pgsizes` (0: any).
  /// Holds until `resetClient`.
  void setClientLimits(uint64_t maxMappings, uint64_t pageSizes);
  /// The client is gone: its limits and its dirty log go; its maps need `unmapAll`.
  void resetClient();
  /// What holds for the present client.
  DmaInfo info() const;

  // Dirty pages: VFIO_DEVICE_FEATURE_DMA_LOGGING_START, _STOP, _REPORT. What engines write, what the client writes for
  // the device by message, and what JavaScript writes is marked, in the addresses that the device used.

  /// See DirtyTracker::start. Without ranges: all that is mapped, now or later.
  int startDirtyLog(uint64_t pageSize, std::span<const DirtyRange> ranges);
  /// What was marked is gone; a report fails from now on. Idempotent.
  void stopDirtyLog();
  /// Granularity of the log in use, which the reply to START tells; 0 without one.
  uint64_t dirtyPageSize() const;
  /// Reads and clears. Whatever was written before the call, and told to the guest, is reported; a page written
  /// meanwhile is reported now or next time. EINVAL: nothing is tracked, `length` 0, malformed query; EOVERFLOW: the
  /// range wraps; ENOENT: a part of the range is not tracked, or, if everything is, nothing of it is mapped.
  int reportDirty(uint64_t iova, uint64_t length, const DirtyQuery& query) const;

  /// The dirty log's part of a handover; see DirtyTracker.
  void saveDirtyLog(HandoverWriter& archive) const;
  int restoreDirtyLog(HandoverReader& archive);

  /// What its readers open their guards in. Any thread; for as long as the space, or a guard in it.
  const EpochDomain& epochs() const { return *epochs_; }
  /// The same for a ReaderExclusion: while one is complete, nothing here waits for readers.
  std::shared_ptr<EpochDomain> readers() const;

  // --- Any thread that holds an EpochGuard of `epochs()`; lock-free, never allocates. ---

  /// The piece that starts at `iova`, within one map: a longer buffer takes several calls. `iova + length` may wrap:
  /// the piece ends at 2^64 then. `rights` is what the access needs. `length` 0 faults.
  /// With a `cache`, of the calling thread's, pieces of the maps that it found last are found faster.
  Translation translate(uint64_t iova, uint64_t length, uint32_t rights, IovaCache* cache = nullptr) const;
  /// The piece that ends just before `end` (for backward copies; 0 means 2^64): pointer addresses its first byte.
  Translation translateBackward(uint64_t end, uint64_t length, uint32_t rights, IovaCache* cache = nullptr) const;
  /// Ends each use of a piece, under the guard under which it was found: `length` bytes from `from` on were read, or
  /// written (these are dirty now; so call it before the guest can learn of them). False when the piece's file broke
  /// (was truncated by the client) since: what was copied is void.
  bool finish(const Translation& piece, const std::byte* from, uint64_t length, bool wrote) const;
  /// Only asks whether the file is still whole.
  static bool intact(const Translation& piece);

  /// The channel, or null. Any thread, with or without a guard. Who submits inside the guard under which it translated
  /// is sure that an unmap cancels the request.
  std::shared_ptr<MessageDma> messageDma() const;

 private:
  struct State;
  const IovaEntry* reach(uint64_t address, uint32_t rights, IovaCache* cache) const;
  int checkUnmap(uint64_t iova, uint64_t size) const;
  int unmap(uint64_t iova, uint64_t size, const DirtyQuery* query, uint64_t* unmapped);
  void updateReachable();

  std::shared_ptr<State> state_;
  EpochDomain* const epochs_;
  /// Frees the state when its readers are gone: made at the start, because there may be no memory at the end.
  EpochDomain::Retirement retirement_;
};

}  // namespace mdev

// The guest memory that one instance may reach.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/foreign_fd.h"
#include "memory/epoch.h"
#include "memory/message_dma.h"

namespace mdev {

/// Rights of a mapping and direction of an access; the values are those of VFIO_USER_F_DMA_REGION_READ and _WRITE.
inline constexpr uint32_t kDmaRead = 1;
inline constexpr uint32_t kDmaWrite = 2;

class MemoryFile;

/// The piece of guest memory at an address.
struct Translation {
  enum class Kind : uint8_t {
    fault,    ///< nothing there, no right, bus master off, or the file is broken; length is 0
    mapped,   ///< `pointer` is valid until the reader's guard ends
    message,  ///< only reachable by message
  };
  Kind kind = Kind::fault;
  std::byte* pointer = nullptr;
  /// Usable bytes, at most what was asked for.
  uint64_t length = 0;
  /// Owner of `pointer`, for `finish`. Valid as long as the guard.
  const MemoryFile* file = nullptr;
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

  // None may be called inside an EpochGuard: those that take memory away wait for readers, for at most one chunk.

  /// Maps [iova, iova + size). `fd` may be empty: then the memory is reached by message and `offset` must be 0.
  /// EINVAL: size 0, no or unknown rights, address wrap, misaligned to 4096, range beyond the end of the file, file of
  /// a refused kind; EACCES: rights beyond those of the fd; EEXIST: overlaps (an identical repeat succeeds); ENOSPC:
  /// more than `maxMappings`, or beyond the limits of FileRegistry; EIO: the file broke before; ENOMEM.
  int map(uint64_t iova, uint64_t size, uint32_t rights, ForeignFd fd, uint64_t offset);
  /// Removes every map that lies inside the range. EINVAL: size 0, address wrap, or the range cuts a map; ENOENT: it
  /// holds none; ENOMEM. On return no reader uses the memory any more, and requests by message in the range have ended.
  int unmap(uint64_t iova, uint64_t size);
  void unmapAll();
  /// COMMAND bit 2; false at first. While off, every translation faults; turning it off ends what is under way, as
  /// unmap.
  void setBusMaster(bool enabled);
  /// Default true. Without enforcement bus-master-enable makes no difference (some clients never program COMMAND).
  void setEnforceBusMaster(bool enforced);
  /// The connection that answers for memory without a file, or null when there is none. The earlier one's requests end
  /// with ECANCELED.
  void setMessageDma(std::shared_ptr<MessageDma> channel);
  uint64_t mappings() const;
  /// Default 65,535, as the kernel's type1 container.
  void setMaxMappings(uint64_t limit);

  // --- Any thread that holds an EpochGuard; lock-free, never allocates. ---

  /// The piece that starts at `iova`, within one map: a longer buffer takes several calls. `iova + length` may wrap:
  /// the piece ends at 2^64 then. `rights` is what the access needs. `length` 0 faults.
  Translation translate(uint64_t iova, uint64_t length, uint32_t rights) const;
  /// The piece that ends just before `end` (for backward copies; 0 means 2^64): pointer addresses its first byte.
  Translation translateBackward(uint64_t end, uint64_t length, uint32_t rights) const;
  /// Ends each use of a piece, under the guard under which it was found: `length` bytes from `from` on were read, or
  /// written. False when the piece's file broke (was truncated by the client) since: what was copied is void.
  bool finish(const Translation& piece, const std::byte* from, uint64_t length, bool wrote) const;
  /// Only asks whether the file is still whole.
  static bool intact(const Translation& piece);

  /// The channel, or null. Any thread, with or without a guard. Who submits inside the guard under which it translated
  /// is sure that an unmap cancels the request.
  std::shared_ptr<MessageDma> messageDma() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mdev

// One file of the guest's memory, mapped once.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/file_descriptor.h"
#include "memory/file_kind.h"
#include "memory/file_window.h"

namespace mdev {

class EpochDomain;

/// A file and the window over the hull of the ranges in use. A range outside makes a larger window, which readers find
/// at once; the smaller one goes when the last reader has left it. Owner thread, except what its members say.
class MemoryFile {
 public:
  /// `epochs`: of those who read it; outlives the file.
  MemoryFile(FileDescriptor fd, const FileFacts& facts, EpochDomain& epochs);
  /// No reader may be left.
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  const FileIdentity& identity() const { return identity_; }
  /// The descriptor that it keeps of all that the client sent.
  int fd() const { return fd_.get(); }
  /// Makes `range` reachable. `fileSize` is the file's size now, `limit` the largest window allowed, bytes. Returns 0,
  /// ENOSPC (beyond `limit`, or the process's) or mmap's errno; on error nothing changed.
  int cover(const FileRange& range, uint64_t fileSize, uint64_t limit);
  /// Address space that the window takes, bytes.
  uint64_t windowBytes() const { return window_ == nullptr ? 0 : window_->range().size(); }

  /// Maps that refer to this file; kept by the registry.
  uint64_t uses = 0;

  // --- Any thread that holds an EpochGuard under which it found a map of this file ---

  /// The byte at `offset`, which a map covers.
  std::byte* at(uint64_t offset) const { return published_.load(std::memory_order_acquire)->at(offset); }
  /// True once an access has met a page that the client had taken away.
  bool broken() const { return broken_.load(std::memory_order_acquire); }

 private:
  int open(const FileRange& range, std::shared_ptr<FileWindow>& window);

  EpochDomain& epochs_;
  FileDescriptor fd_;
  FileIdentity identity_;
  uint64_t pageSize_;
  std::atomic<bool> broken_{false};
  std::shared_ptr<FileWindow> window_;
  std::atomic<const FileWindow*> published_{nullptr};
};

}  // namespace mdev

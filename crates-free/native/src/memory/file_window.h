// One mapping of a stretch of a client's file.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "memory/sigbus.h"

namespace mdev {

/// A stretch of a file, bytes: [start, end).
struct FileRange {
  uint64_t start;
  uint64_t end;
  uint64_t size() const { return end - start; }
  bool contains(const FileRange& other) const { return start <= other.start && other.end <= end; }
};

/// Address space that all windows of the process may take, bytes. A client's sparse file costs it nothing, but the
/// server's address space is finite, and its heap lives there too.
inline constexpr uint64_t kMaxProcessWindowBytes = uint64_t{64} << 40;

/// Maps the range shared, unmaps it when it dies (Unmapper), and survives that the file is shrunk meanwhile.
class FileWindow {
 public:
  /// `range` is aligned to `pageSize`; `broken` is set when the file turns out shorter, and must outlive the window.
  /// Returns 0, ENOSPC (kMaxProcessWindowBytes) or mmap's errno. May throw std::bad_alloc.
  static int open(int fd, const FileRange& range, uint64_t pageSize, bool writable, std::atomic<bool>& broken,
                  std::shared_ptr<FileWindow>& window);
  ~FileWindow();
  FileWindow(const FileWindow&) = delete;
  FileWindow& operator=(const FileWindow&) = delete;

  const FileRange& range() const { return range_; }
  /// The byte at `offset` of the file; inside the range.
  std::byte* at(uint64_t offset) const { return base_ + (offset - range_.start); }

 private:
  explicit FileWindow(const FileRange& range) : range_(range) {}

  FileRange range_;
  bool charged_ = false;
  std::byte* base_ = nullptr;
  std::optional<SigbusRange> sigbus_;
};

}  // namespace mdev

#include "memory/memory_file.h"

#include <algorithm>
#include <cerrno>
#include <functional>
#include <utility>

#include "memory/epoch.h"

namespace mdev {

namespace {

uint64_t alignDown(uint64_t value, uint64_t alignment) { return value / alignment * alignment; }

// `value` is at most the largest file offset, so there is room above it.
uint64_t alignUp(uint64_t value, uint64_t alignment) { return alignDown(value + alignment - 1, alignment); }

// The hull at least doubles on a side where it grows, so that n maps cost log n windows.
FileRange withRoom(const FileRange& old, const FileRange& hull, uint64_t fileEnd) {
  FileRange roomy = hull;
  const uint64_t step = old.size();
  if (hull.end > old.end) roomy.end = std::max(hull.end, std::min(fileEnd, old.end + std::min(step, fileEnd)));
  if (hull.start < old.start) roomy.start = std::min(hull.start, old.start - std::min(step, old.start));
  return roomy;
}

}  // namespace

MemoryFile::MemoryFile(FileDescriptor fd, const FileFacts& facts, EpochDomain& epochs)
    : epochs_(epochs), fd_(std::move(fd)), identity_(facts.identity), pageSize_(facts.pageSize) {}

MemoryFile::~MemoryFile() = default;

int MemoryFile::open(const FileRange& range, std::shared_ptr<FileWindow>& window) {
  return FileWindow::open(fd_.get(), range, pageSize_, identity_.writable, broken_, window);
}

int MemoryFile::cover(const FileRange& range, uint64_t fileSize, uint64_t limit) {
  const FileRange aligned = {alignDown(range.start, pageSize_), alignUp(range.end, pageSize_)};
  if (window_ != nullptr && window_->range().contains(aligned)) return 0;

  std::shared_ptr<FileWindow> larger;
  FileRange hull = aligned;
  int error = ENOSPC;
  if (window_ != nullptr) {
    const FileRange& old = window_->range();
    hull = {std::min(old.start, aligned.start), std::max(old.end, aligned.end)};
    const FileRange roomy = withRoom(old, hull, alignUp(fileSize, pageSize_));
    if (roomy.size() <= limit) error = open(roomy, larger);
  }
  if (error != 0 && hull.size() <= limit) error = open(hull, larger);
  if (error != 0) return error;

  // Made first, because it allocates. It shares the old window: the last owner unmaps it.
  EpochDomain::Retirement drop([old = window_] {});
  published_.store(larger.get(), std::memory_order_release);
  window_ = std::move(larger);
  epochs_.retire(std::move(drop));
  return 0;
}

}  // namespace mdev

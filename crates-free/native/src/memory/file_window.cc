#include "memory/file_window.h"

#include <sys/mman.h>

#include <cerrno>

#include "memory/unmapper.h"

namespace mdev {

namespace {

std::atomic<uint64_t> processBytes{0};

bool charge(uint64_t bytes) {
  uint64_t used = processBytes.load(std::memory_order_relaxed);
  do {
    if (bytes > kMaxProcessWindowBytes - used) return false;
  } while (!processBytes.compare_exchange_weak(used, used + bytes, std::memory_order_relaxed));
  return true;
}

void discharge(std::size_t bytes) { processBytes.fetch_sub(bytes, std::memory_order_relaxed); }

}  // namespace

int FileWindow::open(int fd, const FileRange& range, uint64_t pageSize, bool writable, std::atomic<bool>& broken,
                     std::shared_ptr<FileWindow>& window) {
  // From here on its destructor undoes what was done.
  std::shared_ptr<FileWindow> opened(new FileWindow(range));
  if (!charge(range.size())) return ENOSPC;
  opened->charged_ = true;

  // NORESERVE: huge pages that the client has not allocated are not taken from the pool for us.
  void* base = ::mmap(nullptr, range.size(), writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED | MAP_NORESERVE,
                      fd, static_cast<off_t>(range.start));
  if (base == MAP_FAILED) return errno;
  opened->base_ = static_cast<std::byte*>(base);
  // A guest's memory has no place in the server's core file.
  ::madvise(base, range.size(), MADV_DONTDUMP);
  opened->sigbus_.emplace(opened->base_, range.size(), pageSize, broken);
  window = std::move(opened);
  return 0;
}

FileWindow::~FileWindow() {
  // Before the address can belong to somebody else.
  sigbus_.reset();
  if (base_ != nullptr) {
    Unmapper::instance().unmap(base_, range_.size(), discharge);
  } else if (charged_) {
    discharge(range_.size());
  }
}

}  // namespace mdev

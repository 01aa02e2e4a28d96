// File descriptors that somebody else made.
#pragma once

#include <memory>
#include <utility>

#include "base/fd_closer.h"
#include "base/file_descriptor.h"

namespace mdev {

/// Owns one file descriptor that came from a client; -1 means none. Move-only. What it refers to is the client's
/// choice, so that close(2) may wait for him; therefore it is closed by an FdCloser, whoever lets go of it.
class ForeignFd {
 public:
  ForeignFd() = default;
  ForeignFd(int fd, std::shared_ptr<FdCloser> closer) : fd_(fd), closer_(std::move(closer)) {}
  /// A descriptor of our own, where one of a client's may stand too: closed at once.
  ForeignFd(FileDescriptor own) : fd_(own.release()) {}  // NOLINT(google-explicit-constructor)
  ForeignFd(ForeignFd&& other) noexcept : fd_(other.release()), closer_(std::move(other.closer_)) {}
  ForeignFd& operator=(ForeignFd&& other) noexcept {
    if (this == &other) return *this;
    reset();
    fd_ = other.release();
    closer_ = std::move(other.closer_);
    return *this;
  }
  ForeignFd(const ForeignFd&) = delete;
  ForeignFd& operator=(const ForeignFd&) = delete;
  ~ForeignFd() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  /// Gives the descriptor away without closing it.
  int release() { return std::exchange(fd_, -1); }
  /// Gives it away as one of a known kind (an eventfd, an accepted memory file), which closes without waiting.
  FileDescriptor known() { return FileDescriptor(release()); }
  /// Who closes it, and what comes out of it; null: it is our own.
  const std::shared_ptr<FdCloser>& closer() const { return closer_; }
  void reset() {
    if (fd_ < 0) return;
    FileDescriptor fd(release());
    if (closer_ != nullptr) closer_->close(std::move(fd));
  }

 private:
  int fd_ = -1;
  std::shared_ptr<FdCloser> closer_;
};

}  // namespace mdev

// Where file descriptors of others are closed.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>

#include "base/file_descriptor.h"

namespace mdev {

/// Closes descriptors on a thread of its own: close(2) of a socket with SO_LINGER or of a FUSE file, and of a UNIX
/// socket in whose queue such a one waits, lasts as long as their maker likes.
///
/// Each device has one, not the process: a client that keeps the thread waiting keeps only his own descriptors. The
/// thread is there while something waits to be closed, belongs to nobody, and ends with the process, however long that
/// close takes; the addon is never unloaded under it. Any thread; owned by shared_ptr.
class FdCloser : public std::enable_shared_from_this<FdCloser> {
 public:
  /// Descriptors that may wait. `close` takes more: they are open already, and closing them here could block. Whoever
  /// brings them has to be cut off when the closer is `behind`.
  static constexpr std::size_t kMaxWaiting = 512;

  FdCloser() = default;
  FdCloser(const FdCloser&) = delete;
  FdCloser& operator=(const FdCloser&) = delete;
  ~FdCloser();

  /// Never waits.
  void close(FileDescriptor fd);
  /// More than kMaxWaiting descriptors wait.
  bool behind() const;

  /// Waits until no closer of this process has anything left; false when that takes longer than `limit`. For tests that
  /// count descriptors.
  static bool drain(std::chrono::milliseconds limit);

 private:
  void run();

  /// Of all closers: given to one and not closed yet.
  inline static std::atomic<std::size_t> unclosed_{0};

  mutable std::mutex mutex_;
  std::deque<FileDescriptor> waiting_;
  bool running_ = false;
};

}  // namespace mdev

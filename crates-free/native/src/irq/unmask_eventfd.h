// The eventfd by which a client unmasks INTx.
#pragma once

#include <utility>

#include "base/file_descriptor.h"

namespace mdev {

/// An eventfd of a client's, as the server waits for it. The client holds the open file too: it may take O_NONBLOCK
/// away, empty the counter between our looking and our reading, or signal without end. So nothing here reads in a way
/// that could wait, and a signal is one event however often one looks: the loop does not spin on a counter that it
/// cannot empty. Owner thread.
class UnmaskEventfd {
 public:
  /// Without `open` it is of no use.
  explicit UnmaskEventfd(FileDescriptor eventfd) : eventfd_(std::move(eventfd)) {}
  UnmaskEventfd(const UnmaskEventfd&) = delete;
  UnmaskEventfd& operator=(const UnmaskEventfd&) = delete;

  /// 0, or the errno with which the kernel refused (EMFILE, ENOMEM).
  int open();
  /// A descriptor that is readable when a signal has come. It stays open as long as this lives.
  int readable() const { return epoll_.get(); }
  /// Whether a signal has come since the last call. Several are one.
  bool take() const;
  /// The client's eventfd, which stays this object's.
  int eventfd() const { return eventfd_.get(); }

 private:
  const FileDescriptor eventfd_;
  FileDescriptor epoll_;
};

}  // namespace mdev

// One receive and one send on a non-blocking UNIX stream socket, with file descriptors.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "base/file_descriptor.h"
#include "base/foreign_fd.h"

namespace mdev {

/// SCM_MAX_FD of Linux: no message carries more.
inline constexpr std::size_t kMaxFdsPerRead = 253;

struct ReceiveResult {
  /// Bytes; 0 is the end of the stream; negative is an errno (-EAGAIN: nothing there).
  ssize_t size = 0;
  /// Close-on-exec.
  std::vector<ForeignFd> fds;
  /// The kernel could not deliver all fds (too many open files): what arrived cannot be trusted to be complete.
  bool truncated = false;
};

/// Has urgent bytes (MSG_OOB) delivered where they stand, as any other. Otherwise a read drops them, and closes the
/// file descriptors that came with them while it is in the kernel, however long that takes. Before the first
/// `receiveOnce`.
void takeUrgentInLine(int socket);

/// Reads once, never blocks. `closer` closes the fds that come.
ReceiveResult receiveOnce(int socket, std::span<std::byte> room, const std::shared_ptr<FdCloser>& closer);

/// Sends once, never blocks, raises no SIGPIPE. Returns the bytes taken, or a negative errno. `fds` go with the first
/// byte.
ssize_t sendOnce(int socket, std::span<const std::byte> bytes, std::span<const FileDescriptor> fds);

/// True when the other side of a stream socket is closed or shut down.
bool peerHungUp(int socket);

}  // namespace mdev

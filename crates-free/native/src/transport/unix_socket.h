// UNIX stream sockets by path, or inherited.
#pragma once

#include <sys/types.h>

#include <stdexcept>
#include <string>

#include "base/file_descriptor.h"
#include "base/foreign_fd.h"

namespace mdev {

/// Why a socket could not be had: an errno, and a sentence for the operator that names the path or the descriptor.
class SocketError : public std::runtime_error {
 public:
  SocketError(int code, const std::string& message) : std::runtime_error(message), code_(code) {}
  int code() const { return code_; }

 private:
  int code_;
};

/// A socket that listens at a path; the path goes with it.
class ListeningSocket {
 public:
  /// Listens at `path`, for the owner only (mode 0600). A socket file that nobody listens at any more is replaced.
  /// SocketError: ENAMETOOLONG (108 bytes or more), EADDRINUSE (somebody answers, another server is starting there, or
  /// it is no socket), ENOENT, ENOTDIR, EACCES, … from the directory.
  static ListeningSocket at(const std::string& path);
  /// Takes over a descriptor that listens already; its path, if any, is left alone.
  static ListeningSocket adopt(FileDescriptor socket);
  /// The same with the path that another process has made for it: it goes with this one now, if it is there.
  static ListeningSocket adopt(FileDescriptor socket, const std::string& path);
  /// Another process takes over: the path stays.
  void disown() { path_.clear(); }

  ListeningSocket(ListeningSocket&&) = default;
  ListeningSocket& operator=(ListeningSocket&&) = delete;
  ~ListeningSocket();

  int fd() const { return socket_.get(); }
  /// The next client, non-blocking and close-on-exec; empty with `error` set to a positive errno (EAGAIN: none waits).
  ForeignFd accept(int& error);

 private:
  explicit ListeningSocket(FileDescriptor socket) : socket_(socket.release(), std::make_shared<FdCloser>()) {}

  /// Its end drops clients that nobody accepted, with what they have sent: not here.
  ForeignFd socket_;
  /// Empty when the path is not ours to remove.
  std::string path_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

/// A connection to whoever listens at `path`, non-blocking. SocketError; EAGAIN: the listener's queue is full.
FileDescriptor connectUnix(const std::string& path);

/// What an inherited descriptor is good for.
enum class SocketRole : uint8_t { listening, connected };

/// SocketError (EINVAL, EBADF, ENOTCONN): not open, or not a UNIX stream socket that listens or is connected. Makes it
/// non-blocking and close-on-exec.
SocketRole prepareSocket(int fd);

/// The process at the other side of a connected socket, as it was when it connected. SocketError.
pid_t peerProcess(int fd);

/// The effective user of that process, as it was then. SocketError.
uid_t peerUser(int fd);

}  // namespace mdev

// The way bytes and file descriptors travel between a UNIX stream socket and whoever reads it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/file_descriptor.h"
#include "base/foreign_fd.h"

namespace mdev {

/// Bytes to send. `fds` go with the first byte; then `bytes` ends where their message ends.
struct Outgoing {
  std::span<const std::byte> bytes;
  std::span<const FileDescriptor> fds;
};

/// What a user can do after a turn without hearing anything new.
enum class Turn : uint8_t {
  idle,  ///< nothing
  more,  ///< the round's budget is used up, or the output is full; work is left
};

/// The side of a stream that understands it. Owner thread only; a transport calls it, never inside another call.
///
/// The transport pulls: it asks where to put what arrives and what there is to send, in an order of its own, so that
/// one system call may do both. It works in rounds; other work of the thread has its chance between two of them.
class TransportUser {
 public:
  virtual ~TransportUser() = default;

  virtual void roundBegan() = 0;
  /// Where the next read goes; empty when nothing may be read now. The place stays valid until `received`, or until the
  /// transport is closed.
  virtual std::span<std::byte> receiveRoom() = 0;
  /// One read brought `size` bytes (not 0, at the start of the room) and `fds`.
  virtual void received(std::size_t size, std::vector<ForeignFd> fds) = 0;
  /// Works on what has arrived, a bounded amount in all turns of a round.
  virtual Turn turn() = 0;
  /// What is next to send; empty when nothing is. The bytes stay in place until `sent` has taken them all.
  virtual Outgoing toSend() = 0;
  /// The first `size` bytes of `toSend()` (and their fds) are gone.
  virtual void sent(std::size_t size) = 0;
  /// The time of `Transport::setDeadline` is over.
  virtual void overdue() {}
  /// The stream is over; the user closes the transport.
  virtual void ended(const std::string& reason) = 0;
  /// Ends every round, also one in which the transport was closed.
  virtual void roundEnded() = 0;
};

/// A connected stream. Owner thread only, except `wake`.
///
/// Level-triggered: it begins a round when the socket holds bytes and there is room, when it takes more of what there
/// is to send, after `wake`, and after `Turn::more`.
class Transport {
 public:
  virtual ~Transport() = default;

  /// Begins to call `user`, and keeps it until `close`. Throws std::system_error.
  virtual void start(std::shared_ptr<TransportUser> user) = 0;
  /// Any thread, between `start` and `close`: a round is due although nothing arrived.
  virtual void wake() = 0;
  /// Once, after `time` from now: a round begins with `TransportUser::overdue`. Once per transport, after `start`.
  virtual void setDeadline(std::chrono::milliseconds time) = 0;
  /// Ends the stream, which the other side sees at once, and calls the user no more, except `roundEnded`. The user may
  /// call it in the middle of a call. Repeats do nothing.
  virtual void close() = 0;
  /// While shared, `close` does not end the stream: another process has the socket, too. At first it is not.
  virtual void setShared(bool shared) = 0;
  /// The socket, which stays the transport's; -1 when it is closed.
  virtual int descriptor() const = 0;
  /// True when the other side has hung up, even if bytes of it are still unread.
  virtual bool peerGone() const = 0;
};

}  // namespace mdev

// What every stream of vfio-user messages has, whichever side it is on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "transport/output_queue.h"
#include "transport/transport.h"
#include "vfio_user/framer.h"

namespace mdev::vfio_user {

/// Hears of a stream's end, and of the rounds of its transport. Owner thread.
class StreamHandler {
 public:
  virtual ~StreamHandler() = default;
  /// Once, at the end.
  virtual void closed(const std::string& reason) = 0;
  /// Around everything that a transport lets the stream do; `roundEnded` comes also after `closed`.
  virtual void roundBegan() = 0;
  virtual void roundEnded() = 0;
};

/// Messages in, bytes out, until one side closes. Owned by shared_ptr; owner thread only.
class MessageStream : public TransportUser, public std::enable_shared_from_this<MessageStream> {
 public:
  /// A round ends after this many messages.
  static constexpr uint32_t kRoundMessages = 256;

  /// Throws std::system_error when the socket cannot be watched.
  void start() { transport_->start(shared_from_this()); }
  /// Closes at once. Repeats do nothing.
  void close(const std::string& reason);
  bool isOpen() const { return !closed_; }
  /// The socket, which stays the stream's; -1 when it is closed.
  int descriptor() const { return transport_->descriptor(); }
  /// True when the other side has hung up, even if bytes of it are still unread.
  bool peerGone() const { return transport_->peerGone(); }
  /// Bytes that the socket has not taken yet.
  std::size_t unsent() const { return output_.size(); }

  void received(std::size_t size, std::vector<ForeignFd> fds) override { framer_.received(size, std::move(fds)); }
  Outgoing toSend() override { return output_.next(); }
  void sent(std::size_t size) override { output_.sent(size); }
  void ended(const std::string& reason) override;

 protected:
  MessageStream(std::unique_ptr<Transport> transport, CarriesFds carriesFds, uint32_t maxMessage, uint32_t maxFds);

  /// Closes without the other side's noticing: another process goes on. `onClosed` is not called.
  void letGo();
  /// The stream is closed: nothing is read or sent any more. Once.
  virtual void onClosed(const std::string& reason) = 0;

  const std::unique_ptr<Transport> transport_;
  Framer framer_;
  OutputQueue output_;
  /// Of this round.
  uint32_t messages_ = 0;
  bool closed_ = false;
};

}  // namespace mdev::vfio_user

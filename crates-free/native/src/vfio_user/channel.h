// The client's side of a stream: whole messages in, any bytes out.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/fd_closer.h"
#include "transport/output_queue.h"
#include "transport/transport.h"
#include "vfio_user/framer.h"

namespace mdev::vfio_user {

/// Hears what a channel brings. Owner thread; any call may close the channel.
class ChannelHandler {
 public:
  virtual ~ChannelHandler() = default;
  /// `message` begins with its header and is valid during the call.
  virtual void message(std::span<const std::byte> message, std::vector<ForeignFd> fds) = 0;
  /// Once, at the end.
  virtual void closed(const std::string& reason) = 0;
  /// Around everything that the transport lets the channel do; `roundEnded` comes also after `closed`.
  virtual void roundBegan() = 0;
  virtual void roundEnded() = 0;
};

/// Frames vfio-user messages without understanding them: a client is built on it, and so are tests that send what no
/// client would.
///
/// Owned by shared_ptr; owner thread only.
class Channel final : public TransportUser, public std::enable_shared_from_this<Channel> {
 public:
  /// Largest message that is accepted, bytes: more than any server of ours sends.
  static constexpr uint32_t kMaxMessage = 4 * 1024 * 1024;
  static constexpr uint32_t kRoundMessages = 256;

  /// `closer` is the one that closes what `transport` receives.
  Channel(std::unique_ptr<Transport> transport, std::shared_ptr<ChannelHandler> handler,
          std::shared_ptr<const FdCloser> closer);

  /// Throws std::system_error when the socket cannot be watched.
  void start();
  /// Sends `bytes`, which need not be a message. With fds they are sent by a call of their own.
  void send(std::span<const std::byte> bytes, std::vector<FileDescriptor> fds);
  /// Bytes that the socket has not taken yet.
  std::size_t pending() const { return output_.size(); }
  /// While paused nothing is read.
  void setPaused(bool paused);
  void close(const std::string& reason);
  bool isOpen() const { return !closed_; }

  void roundBegan() override;
  std::span<std::byte> receiveRoom() override;
  void received(std::size_t size, std::vector<ForeignFd> fds) override;
  Turn turn() override;
  Outgoing toSend() override;
  void sent(std::size_t size) override;
  void ended(const std::string& reason) override;
  void roundEnded() override;

 private:
  const std::unique_ptr<Transport> transport_;
  const std::shared_ptr<ChannelHandler> handler_;
  const std::shared_ptr<const FdCloser> closer_;
  Framer framer_;
  OutputQueue output_;
  uint32_t messages_ = 0;
  bool paused_ = false;
  bool closed_ = false;
};

}  // namespace mdev::vfio_user

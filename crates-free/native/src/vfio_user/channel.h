// The client's side of a stream: whole messages in, any bytes out.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/fd_closer.h"
#include "vfio_user/message_stream.h"

namespace mdev::vfio_user {

/// Hears what a channel brings. Any call may close the channel.
class ChannelHandler : public StreamHandler {
 public:
  /// `message` begins with its header and is valid during the call.
  virtual void message(std::span<const std::byte> message, std::vector<ForeignFd> fds) = 0;
};

/// Frames vfio-user messages without understanding them: a client is built on it, and so are tests that send what no
/// client would.
class Channel final : public MessageStream {
 public:
  /// Largest message that is accepted, bytes: more than any server of ours sends.
  static constexpr uint32_t kMaxMessage = 4 * 1024 * 1024;
  /// Bytes of answers that may wait for the socket. With more, nothing is read until the other side has taken some: one
  /// that asks and does not read its answers fills its own memory, not ours.
  static constexpr std::size_t kMostUnsentAnswers = 2 * 1024 * 1024;

  /// `closer` is the one that closes what `transport` receives.
  Channel(std::unique_ptr<Transport> transport, std::shared_ptr<ChannelHandler> handler,
          std::shared_ptr<const FdCloser> closer);

  /// Sends `bytes`, which need not be a message. With fds they are sent by a call of their own.
  void send(std::span<const std::byte> bytes, std::vector<FileDescriptor> fds);
  /// Sends the answer to a message of the other side's. Unlike what this side asks for, it counts against
  /// `kMostUnsentAnswers`: two sides that both ask a lot, and both stop reading, would wait for each other.
  void answer(std::span<const std::byte> bytes);
  /// Offers a short message (at most a page) to the socket at once. 0: the other side will find it, whatever happens to
  /// this one. EAGAIN: there is no room for it now, or something waits to be sent before it. EPIPE and other errnos:
  /// the other side never hears of it.
  int sendNow(std::span<const std::byte> bytes);
  /// What the other side sends from now on is refused there (EPIPE). What it has sent is read, and then the stream
  /// ends; a duplicate of the socket still says what it is given.
  void endReading();
  /// While paused nothing is read.
  void setPaused(bool paused);

  void roundBegan() override;
  std::span<std::byte> receiveRoom() override;
  void received(std::size_t size, std::vector<ForeignFd> fds) override;
  Turn turn() override;
  void sent(std::size_t size) override;
  void roundEnded() override { handler_->roundEnded(); }

 private:
  /// An answer that the socket has not taken all of. Positions count the bytes of the whole stream.
  struct Answer {
    uint64_t end;
    std::size_t size;
  };

  void onClosed(const std::string& reason) override;
  bool owesTooMuch() const { return owed_ > kMostUnsentAnswers; }

  const std::shared_ptr<ChannelHandler> handler_;
  const std::shared_ptr<const FdCloser> closer_;
  bool paused_ = false;
  /// Bytes that the socket has taken.
  uint64_t sent_ = 0;
  std::deque<Answer> answers_;
  /// Bytes of `answers_`.
  std::size_t owed_ = 0;
};

}  // namespace mdev::vfio_user

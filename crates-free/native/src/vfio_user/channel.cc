#include "vfio_user/channel.h"

#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "transport/socket_io.h"

namespace mdev::vfio_user {

Channel::Channel(std::unique_ptr<Transport> transport, std::shared_ptr<ChannelHandler> handler,
                 std::shared_ptr<const FdCloser> closer)
    // What the other side's messages may carry is for the handler to know.
    : MessageStream(
          std::move(transport), [](const Header&) { return true; }, kMaxMessage, kMaxFdsPerRead),
      handler_(std::move(handler)),
      closer_(std::move(closer)) {}

void Channel::send(std::span<const std::byte> bytes, std::vector<FileDescriptor> fds) {
  if (closed_) return;
  output_.appendWithFds(bytes, std::move(fds));
  transport_->wake();
}

void Channel::answer(std::span<const std::byte> bytes) {
  if (closed_) return;
  output_.append(bytes);
  answers_.push_back({sent_ + output_.size(), bytes.size()});
  owed_ += bytes.size();
  transport_->wake();
}

void Channel::sent(std::size_t size) {
  MessageStream::sent(size);
  sent_ += size;
  for (; !answers_.empty() && answers_.front().end <= sent_; answers_.pop_front()) owed_ -= answers_.front().size;
}

void Channel::onClosed(const std::string& reason) {
  answers_.clear();
  owed_ = 0;
  handler_->closed(reason);
}

int Channel::sendNow(std::span<const std::byte> bytes) {
  if (closed_) return EPIPE;
  if (output_.size() != 0) return EAGAIN;
  const ssize_t size = sendOnce(transport_->descriptor(), bytes, {});
  if (size < 0) return static_cast<int>(-size);
  if (static_cast<std::size_t>(size) == bytes.size()) return 0;
  // Linux takes a page as one piece. Nobody waits for half a message.
  close("the socket took a part of a message");
  return EPIPE;
}

void Channel::endReading() {
  if (closed_) return;
  // The end of the stream, which comes next, is not to end what is said over a duplicate of the socket.
  transport_->setShared(true);
  ::shutdown(transport_->descriptor(), SHUT_RD);
}

void Channel::setPaused(bool paused) {
  paused_ = paused;
  if (!closed_) transport_->wake();
}

void Channel::roundBegan() {
  messages_ = 0;
  handler_->roundBegan();
}

std::span<std::byte> Channel::receiveRoom() {
  if (closed_ || paused_ || owesTooMuch()) return {};
  return framer_.room();
}

void Channel::received(std::size_t size, std::vector<ForeignFd> fds) {
  const bool brought = !fds.empty();
  framer_.received(size, std::move(fds));
  if (brought && closer_->behind()) {
    close("more file descriptors than can be closed; one of them keeps the others waiting");
  }
}

Turn Channel::turn() {
  while (!closed_ && !paused_ && !owesTooMuch() && messages_ < kRoundMessages) {
    std::optional<Message> message = framer_.next();
    if (!message) return Turn::idle;
    if (message->badSize) {
      close("a message of " + std::to_string(message->header.size) + " bytes");
      return Turn::idle;
    }
    ++messages_;
    handler_->message(framer_.whole(), std::move(message->fds));
    framer_.consume();
  }
  return closed_ || paused_ ? Turn::idle : Turn::more;
}

}  // namespace mdev::vfio_user

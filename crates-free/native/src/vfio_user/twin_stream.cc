#include "vfio_user/twin_stream.h"

#include <utility>

namespace mdev::vfio_user {

TwinStream::TwinStream(std::unique_ptr<Transport> transport, std::shared_ptr<DmaMessenger> dma,
                       std::weak_ptr<Owner> owner)
    : MessageStream(
          std::move(transport), [](const Header&) { return false; }, kMaxMessage, kMaxMessageFds),
      dma_(std::move(dma)),
      owner_(std::move(owner)) {}

void TwinStream::roundBegan() {
  messages_ = 0;
  if (const auto owner = owner_.lock()) owner->twinRoundBegan();
}

void TwinStream::roundEnded() {
  if (const auto owner = owner_.lock()) owner->twinRoundEnded();
}

std::span<std::byte> TwinStream::receiveRoom() {
  if (closed_ || paused_) return {};
  return framer_.room();
}

void TwinStream::received(std::size_t size, std::vector<ForeignFd> fds) {
  const bool brought = !fds.empty();
  framer_.received(size, std::move(fds), false);
  if (brought) fail("the client sent file descriptors on the twin socket");
}

const char* TwinStream::serve(const Message& message) {
  if (message.badSize || message.strayFds) return "the client sent a message of a bad form on the twin socket";
  if (!isDmaReply(message.header)) return "the client sent on the twin socket what is no reply to a DMA request";
  return dma_->reply(message.header, message.body);
}

Turn TwinStream::turn() {
  if (paused_) return Turn::idle;
  while (!closed_ && messages_ < kRoundMessages) {
    const std::optional<Message> message = framer_.next();
    if (!message) break;
    ++messages_;
    const char* const reason = serve(*message);
    if (closed_) return Turn::idle;
    framer_.consume();
    if (reason != nullptr) {
      fail(reason);
      return Turn::idle;
    }
  }
  if (closed_) return Turn::idle;
  sendRequests();
  return messages_ == kRoundMessages ? Turn::more : Turn::idle;
}

void TwinStream::sendRequests() { dma_->fill(output_); }

Outgoing TwinStream::toSend() {
  if (paused_) return {};
  // Nothing else would begin another turn when the output is sent.
  if (output_.size() == 0 && dma_->starved() && !closed_) sendRequests();
  return output_.next();
}

void TwinStream::fail(const char* reason) {
  if (const auto owner = owner_.lock()) owner->twinFailed(reason);
}

void TwinStream::onClosed(const std::string& reason) {
  if (const auto owner = owner_.lock()) owner->twinFailed("the twin socket: " + reason);
}

}  // namespace mdev::vfio_user

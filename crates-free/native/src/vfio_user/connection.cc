#include "vfio_user/connection.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace mdev::vfio_user {

namespace {

bool carriesFds(const Header& header) {
  return (header.flags & kTypeMask) == kTypeCommand &&
         (header.command == kCommandDmaMap || header.command == kCommandSetIrqs);
}

}  // namespace

Connection::Connection(std::shared_ptr<DeviceCore> core, std::unique_ptr<Transport> transport,
                       std::shared_ptr<ConnectionHandler> handler)
    : core_(std::move(core)),
      transport_(std::move(transport)),
      handler_(std::move(handler)),
      // The messenger outlives the connection in the hands of engines, but forgets the transport when it is closed.
      dma_(std::make_shared<DmaMessenger>([wire = transport_.get()] { wire->wake(); })),
      framer_(carriesFds, kMaxMessage, kMaxMessageFds) {}

Connection::~Connection() { dma_->close(); }

void Connection::start() { transport_->start(shared_from_this()); }

void Connection::negotiated(uint32_t maxTransfer) {
  if (closed_ || negotiated_) return;
  negotiated_ = true;
  dma_->setMaxTransfer(std::max(maxTransfer, 1u));
  core_->dma()->setMessageDma(dma_);
}

void Connection::resume() {
  if (!closed_) transport_->wake();
}

void Connection::finish(const std::string& reason) {
  if (closed_ || finishing_) return;
  finishing_ = true;
  finishReason_ = reason;
  transport_->wake();
}

void Connection::close(const std::string& reason) {
  if (closed_) return;
  const auto self = shared_from_this();
  closed_ = true;
  core_->flush();
  transport_->close();
  output_.clear();
  // Whoever still refers to the connection does not keep the client's files.
  framer_.dropFds();
  if (negotiated_) {
    core_->dma()->setMessageDma(nullptr);
    dma_->close();
    core_->clientGone();
  } else {
    dma_->close();
  }
  handler_->closed(reason);
}

std::span<std::byte> Connection::receiveRoom() {
  if (!serving() || current_) return {};
  return framer_.room();
}

void Connection::received(std::size_t size, std::vector<ForeignFd> fds) {
  const bool brought = !fds.empty();
  framer_.received(size, std::move(fds), negotiated_);
  if (brought && core_->closer()->behind()) {
    DeviceStatistics::count(core_->statistics().refused);
    finish("more file descriptors than can be closed; one of them keeps the others waiting");
  }
}

void Connection::roundBegan() {
  messages_ = 0;
  copied_ = 0;
  handler_->roundBegan();
}

Turn Connection::turn() {
  const Turn result = serveMessages();
  // However it ended.
  core_->flush();
  return result;
}

Turn Connection::serveMessages() {
  while (serving() && inBudget() && takeMessage()) {
    const bool whole = serve();
    if (closed_) return Turn::idle;
    if (!whole) break;
    if (!finishing_) framer_.consume();
    current_.reset();
    ++messages_;
  }
  if (finishing_) return Turn::idle;
  const bool full = output_.size() > kMaxOutput;
  if (negotiated_ && !full) sendRequests();
  return full || (!inBudget() && framer_.held() > 0) ? Turn::more : Turn::idle;
}

bool Connection::takeMessage() {
  if (current_) return true;
  progress_ = 0;
  if (!negotiated_) {
    // Nobody waits for the end of a first message that is too long to be legal.
    const std::optional<Header> header = framer_.firstHeader();
    if (header && header->size > kMaxFirstMessage) {
      current_ = Message{*header, {}, {}, false, true};
      return true;
    }
  }
  current_ = framer_.next();
  return current_.has_value();
}

void Connection::sendRequests() {
  const char* const reason = dma_->fill(output_);
  if (reason == nullptr || finishing_) return;
  DeviceStatistics::count(core_->statistics().refused);
  finish(reason);
}

Outgoing Connection::toSend() {
  // Nothing else would begin another turn when the output is sent.
  if (output_.size() == 0 && dma_->starved() && !closed_) sendRequests();
  return output_.next();
}

void Connection::sent(std::size_t size) { output_.sent(size); }

void Connection::ended(const std::string& reason) {
  close(framer_.atBoundary() ? reason : reason + " in the middle of a message");
}

void Connection::roundEnded() {
  if (finishing_) close(finishReason_);
  handler_->roundEnded();
}

}  // namespace mdev::vfio_user

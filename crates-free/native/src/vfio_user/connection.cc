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
    : MessageStream(std::move(transport), carriesFds, kMaxMessage, kMostMessageFds),
      core_(std::move(core)),
      handler_(std::move(handler)),
      // The messenger outlives the connection in the hands of engines, but forgets the transport when it is closed.
      dma_(std::make_shared<DmaMessenger>([wire = transport_.get()] { wire->wake(); })) {}

Connection::~Connection() {
  dma_->close();
  // One that is not closed never began: its restoring failed half-way.
  if (twin_ != nullptr) twin_->close("the connection has not begun");
}

void Connection::negotiated(Agreement agreement) {
  if (closed_ || negotiated_) return;
  agreement_ = std::move(agreement);
  if (agreement_.twin != nullptr) {
    const auto self = std::static_pointer_cast<Connection>(shared_from_this());
    const auto twin = std::make_shared<TwinStream>(std::move(agreement_.twin), dma_, self);
    twin->start();
    twin_ = twin;
    dma_->setWake([wire = twin.get()] { wire->wake(); });
  }
  join();
}

void Connection::join() {
  negotiated_ = true;
  dma_->setMaxTransfer(std::max(agreement_.maxTransfer, 1u));
  client_ = core_->clientCame(dma_);
}

void Connection::answer(std::span<const std::byte> body, std::vector<FileDescriptor> fds) {
  if (closed_ || !asked_) return;
  reply(body, std::move(fds));
  answered();
}

void Connection::refuse(int error) {
  if (closed_ || !asked_) return;
  reject(error);
  answered();
}

void Connection::answered() {
  asked_ = false;
  if (!waiting_ || closed_) return;
  waiting_ = false;
  dropMessage();
  transport_->wake();
}

void Connection::finish(const std::string& reason) {
  if (closed_ || finishing_) return;
  finishing_ = true;
  finishReason_ = reason;
  if (broken_ == nullptr) transport_->setDeadline(kFarewell);
  transport_->wake();
}

void Connection::twinFailed(const std::string& reason) {
  if (closed_ || finishing_) return;
  blame(reason.c_str());
}

void Connection::blame(const char* reason) {
  DeviceStatistics::count(core_->statistics().refused);
  finish(reason);
}

std::span<std::byte> Connection::receiveRoom() {
  if (!serving() || service_ == Service::nothing || broken_ != nullptr) return {};
  if (service_ == Service::replies && !current_) {
    return negotiated_ ? framer_.roomBehind(kMaxHeld) : std::span<std::byte>();
  }
  if (!current_) return framer_.room();
  return waiting_ && negotiated_ ? framer_.roomBehind(kMaxHeld) : std::span<std::byte>();
}

void Connection::received(std::size_t size, std::vector<ForeignFd> fds) {
  const bool brought = !fds.empty();
  framer_.received(size, std::move(fds), negotiated_);
  if (brought && core_->closer()->behind()) {
    blame("more file descriptors than can be closed; one of them keeps the others waiting");
  }
}

void Connection::roundBegan() {
  messages_ = 0;
  copied_ = 0;
  slowSince_.reset();
  late_ = false;
  handler_->roundBegan();
}

Turn Connection::turn() {
  const Turn result = serveMessages();
  // However it ended.
  core_->flush();
  return result;
}

Turn Connection::serveMessages() {
  if (service_ == Service::nothing) return Turn::idle;
  serveInOrder();
  while (repliesOnly() && !closed_) {
    serveRepliesBehind();
    if (repliesOnly()) break;
    // What came behind it completed what the message waited for.
    serveInOrder();
  }
  if (broken_ != nullptr && !current_ && inBudget() && serving()) blame(broken_);
  if (closed_ || finishing_) return Turn::idle;
  const bool full = output_.size() > kMaxOutput;
  if (negotiated_ && !full) sendRequests();
  return full || (!inBudget() && (framer_.held() > 0 || broken_ != nullptr)) ? Turn::more : Turn::idle;
}

void Connection::serveInOrder() {
  while (serving() && !waiting_ && inBudget() && takeMessage()) {
    const uint64_t traps = core_->statistics().traps.load(std::memory_order_relaxed);
    const bool whole = serve();
    if (closed_) return;
    watchTime(traps);
    if (!whole) return;
    dropMessage();
    ++messages_;
  }
}

void Connection::watchTime(uint64_t trapsBefore) {
  if (!slow_ && core_->statistics().traps.load(std::memory_order_relaxed) == trapsBefore) return;
  slow_ = false;
  const auto now = std::chrono::steady_clock::now();
  if (!slowSince_) {
    slowSince_ = now;
  } else if (now - *slowSince_ >= kRoundTime) {
    late_ = true;
  }
}

void Connection::serveRepliesBehind() {
  while (serving() && repliesOnly() && inBudget()) {
    const std::optional<Message> message = framer_.takeBehind(isDmaReply);
    if (!message) return;
    ++messages_;
    const char* const reason = serveReply(*message);
    if (reason != nullptr && !closed_) breakOff(reason);
  }
}

void Connection::breakOff(const char* reason) {
  // Commands that wait for a handover are not begun any more.
  if (!waiting_ && service_ != Service::all) return blame(reason);
  framer_.endBeforeTaken();
  broken_ = reason;
  transport_->setDeadline(kFarewell);
  // What the message in front waits for may be an answer that nobody will read.
  askNoMore();
}

void Connection::askNoMore() {
  if (negotiated_) core_->clientLeaves(client_);
  dma_->close();
}

bool Connection::takeMessage() {
  if (current_) return true;
  if (service_ != Service::all) return false;
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

void Connection::dropMessage() {
  if (!finishing_) framer_.consume();
  current_.reset();
}

void Connection::sendRequests() {
  if (twin_ != nullptr) return;
  dma_->fill(output_);
}

Outgoing Connection::toSend() {
  if (service_ == Service::nothing) return {};
  // Nothing else would begin another turn when the output is sent.
  if (output_.size() == 0 && dma_->starved() && !closed_ && !finishing_) sendRequests();
  return output_.next();
}

void Connection::roundEnded() {
  // In its turn, but not if that waits for the client to read.
  if (overdue_ && broken_ != nullptr && !finishing_ && !closed_ && output_.size() > kMaxOutput) blame(broken_);
  // Not before the client has taken what it is owed, unless that takes it too long. A handover does not wait for it.
  if (finishing_) {
    // Until then nobody waits for what is not read any more.
    askNoMore();
    exclusion_.reset();
    if (output_.size() == 0 || overdue_ || service_ != Service::all) close(finishReason_);
  }
  handler_->roundEnded();
}

}  // namespace mdev::vfio_user

#include "vfio_user/dma_messenger.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace mdev::vfio_user {

namespace {

bool commandMatches(const Header& header, bool write) {
  return header.command == (write ? kCommandDmaWrite : kCommandDmaRead);
}

constexpr const char* kOtherCommand = "the client answered a request with another command";

}  // namespace

DmaMessenger::DmaMessenger(std::function<void()> wake) : QueuedDma(std::move(wake)) { onWire_.reserve(kMaxOnWire); }

uint16_t DmaMessenger::freeId() {
  const auto used = [this](uint16_t id) {
    return owed_.test(id) ||
           std::any_of(onWire_.begin(), onWire_.end(), [id](const Piece& piece) { return piece.id == id; });
  };
  while (used(nextId_)) ++nextId_;
  return nextId_++;
}

void DmaMessenger::fill(OutputQueue& output) {
  starved_ = false;
  takeSubmitted();
  for (MessageRequest* request = requests().front(); request != nullptr; request = request->next.get()) {
    while (request->issued < request->count) {
      const uint32_t count = std::min(request->count - request->issued, maxTransfer_);
      if (onWire_.size() == kMaxOnWire || bytesOnWire_ + count > kMaxBytesOnWire) return;
      // All that is on the wire may be cancelled.
      if (onWire_.size() + owedCount_ >= kMaxOwed) return;
      const uint32_t size = sizeof(Header) + sizeof(DmaBody) + (request->write ? count : 0);
      if (output.size() + size > kMaxUnsent) {
        starved_ = true;
        return;
      }
      const Piece piece{freeId(), request->write, request->address + request->issued, count, request->issued, request};
      output.append(encoded(Header{piece.id, piece.write ? kCommandDmaWrite : kCommandDmaRead, size, kTypeCommand, 0}));
      output.append(encoded(DmaBody{piece.address, count}));
      if (piece.write) output.append(std::span(request->data).subspan(piece.offset, count));
      request->issued += count;
      bytesOnWire_ += count;
      onWire_.push_back(piece);
    }
  }
}

const char* DmaMessenger::reply(const Header& header, std::span<const std::byte> body) {
  const auto place =
      std::find_if(onWire_.begin(), onWire_.end(), [&](const Piece& piece) { return piece.id == header.id; });
  if (place == onWire_.end()) return replyOwed(header);
  const Piece piece = *place;
  if (!commandMatches(header, piece.write)) return kOtherCommand;
  onWire_.erase(place);
  bytesOnWire_ -= piece.count;
  // Also when the client failed: it may have written a part.
  if (piece.write) noteWritten(piece.address, piece.count);

  if ((header.flags & kError) != 0) {
    // Whatever the client's reason is: this memory could not be reached.
    finish(*piece.request, EFAULT);
    return nullptr;
  }
  if (body.size() != sizeof(DmaBody) + (piece.write ? 0 : piece.count)) {
    finish(*piece.request, EFAULT);
    return "the client's answer to a DMA request has the wrong size";
  }
  const auto echoed = decode<DmaBody>(body);
  if (echoed.address != piece.address || echoed.count != piece.count) {
    finish(*piece.request, EFAULT);
    return "the client's answer to a DMA request has another address or count";
  }
  MessageRequest& request = *piece.request;
  if (!piece.write) std::memcpy(request.data.data() + piece.offset, body.data() + sizeof(DmaBody), piece.count);
  request.answered += piece.count;
  if (request.answered == request.count) finish(request, 0);
  return nullptr;
}

const char* DmaMessenger::replyOwed(const Header& header) {
  if (!owed_.test(header.id)) return "the client answered a request that it was not sent";
  if (!commandMatches(header, owedWrites_.test(header.id))) return kOtherCommand;
  owed_.reset(header.id);
  --owedCount_;
  return nullptr;
}

void DmaMessenger::forget(const Selection& selection, MessageList&) {
  const std::size_t forgotten = std::erase_if(onWire_, [&](const Piece& piece) {
    if (!selection.holds(*piece.request)) return false;
    owed_.set(piece.id);
    owedWrites_.set(piece.id, piece.write);
    ++owedCount_;
    bytesOnWire_ -= piece.count;
    if (piece.write) noteWritten(piece.address, piece.count);
    return true;
  });
  // There is room on the wire for others now.
  if (forgotten > 0) wake();
}

}  // namespace mdev::vfio_user

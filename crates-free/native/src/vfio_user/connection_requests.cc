// The messages that a connection serves, one by one.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "vfio_user/connection.h"

namespace mdev::vfio_user {

namespace {

constexpr uint64_t kPage = 4096;
/// Bytes of a region reply in front of the data.
constexpr std::size_t kRegionReplyFront = sizeof(Header) + sizeof(RegionBody);
constexpr const char* kHandlerFailed = "the server failed to handle a message";

}  // namespace

bool Connection::serve() {
  const Header& header = current_->header;
  if (!negotiated_) return serveFirst();
  if (current_->badSize) {
    refuse(EINVAL);
    if (header.size > kMaxMessage) {
      finish("a message of " + std::to_string(header.size) + " bytes, at most " + std::to_string(kMaxMessage) +
             " are legal");
    }
    return true;
  }
  const uint32_t type = header.flags & kTypeMask;
  if (type == kTypeReply && (header.command == kCommandDmaRead || header.command == kCommandDmaWrite)) {
    serveReply();
    return true;
  }
  if (type != kTypeCommand || current_->strayFds) {
    refuse(EINVAL);
    return true;
  }
  switch (header.command) {
    case kCommandRegionRead:
    case kCommandRegionWrite:
      return serveRegion();
    case kCommandDmaMap:
      dmaMap();
      return true;
    case kCommandDmaUnmap:
      dmaUnmap();
      return true;
    case kCommandSetIrqs:
      setIrqs();
      return true;
    case kCommandVersion:
    case kCommandDmaRead:
    case kCommandDmaWrite:
      refuse(EINVAL);
      return true;
    default:
      return serveHandler();
  }
}

bool Connection::serveFirst() {
  const Header& header = current_->header;
  const bool isVersion = (header.flags & kTypeMask) == kTypeCommand && header.command == kCommandVersion;
  if (current_->badSize || current_->strayFds || !isVersion) {
    refuse(EINVAL);
    finish(isVersion ? "a VERSION message of a bad form" : "the first message is not VERSION");
    return true;
  }
  return serveHandler();
}

bool Connection::serveHandler() {
  std::vector<std::byte> reply;
  // JavaScript may take long.
  core_->flush();
  const int error = handler_->message(current_->header.command, current_->body, reply);
  if (closed_) return true;
  if (error == ConnectionHandler::kLater) return false;
  if (error == ConnectionHandler::kFailed) {
    refuse(EIO);
    finish(kHandlerFailed);
  } else if (error != 0) {
    refuse(error);
  } else {
    answer(reply);
  }
  return true;
}

void Connection::serveReply() {
  // What is late and was cancelled is dropped by the messenger; what nobody asked for ends the connection: the two
  // sides disagree about what was said.
  const char* reason = current_->strayFds ? "the client answered a DMA request with file descriptors"
                                          : dma_->reply(current_->header, current_->body);
  if (reason == nullptr || closed_) return;
  DeviceStatistics::count(core_->statistics().refused);
  finish(reason);
}

uint32_t Connection::pieceOf(uint64_t offset, uint32_t count) const {
  const uint32_t left = count - progress_;
  if (left <= kRoundBytes) return left;
  // Ends at a page, so that no register is cut that the client accessed whole.
  const uint64_t begin = offset + progress_;
  return static_cast<uint32_t>((begin + kRoundBytes) / kPage * kPage - begin);
}

bool Connection::serveRegion() {
  const Header header = current_->header;
  const bool write = header.command == kCommandRegionWrite;
  const std::span<const std::byte> bytes = framer_.body();
  if (bytes.size() < sizeof(RegionBody)) {
    refuse(EINVAL);
    return true;
  }
  const auto body = decode<RegionBody>(bytes);
  if (progress_ == 0) {
    // The whole range first: nothing half done.
    const uint64_t size = core_->regionSize(body.region);
    const uint32_t right = write ? kRegionWrite : kRegionRead;
    const bool legal = (core_->regionFlags(body.region) & right) != 0 && body.count <= kMaxTransfer &&
                       body.offset <= size && body.count <= size - body.offset &&
                       (!write || bytes.size() - sizeof body == body.count);
    if (!legal) {
      refuse(EINVAL);
      return true;
    }
    reply_.resize(kRegionReplyFront + (write ? 0 : body.count));
  }
  do {
    const uint32_t size = pieceOf(body.offset, body.count);
    const uint64_t offset = body.offset + progress_;
    const int error =
        write ? core_->post(body.region, offset, bytes.subspan(sizeof body + progress_, size))
              : core_->read(body.region, offset, std::span(reply_).subspan(kRegionReplyFront + progress_, size));
    // A hook may have closed the connection; then nobody is left to answer.
    if (closed_) return true;
    if (error != 0) {
      passOn(error);
      return true;
    }
    progress_ += size;
    copied_ += size;
  } while (progress_ < body.count && copied_ < kRoundBytes);
  if (progress_ < body.count) return false;

  if ((header.flags & kNoReply) != 0) return true;
  const Header front{header.id, header.command, static_cast<uint32_t>(reply_.size()), kTypeReply, 0};
  std::memcpy(reply_.data(), &front, sizeof front);
  std::memcpy(reply_.data() + sizeof front, &body, sizeof body);
  output_.append(reply_);
  return true;
}

void Connection::dmaMap() {
  if (current_->body.size() < sizeof(DmaMapBody)) return refuse(EINVAL);
  const auto body = decode<DmaMapBody>(current_->body);
  constexpr uint32_t rights = kDmaMapRead | kDmaMapWrite;
  if (body.argsz < sizeof body || (body.flags & ~rights) != 0 || (body.flags & rights) == 0 ||
      current_->fds.size() > 1) {
    return refuse(EINVAL);
  }
  ForeignFd fd;
  if (!current_->fds.empty()) fd = std::move(current_->fds.front());
  const int error = core_->dma()->map(body.address, body.size, body.flags & rights, std::move(fd), body.offset);
  if (error != 0) return refuse(error);
  answer({});
}

void Connection::dmaUnmap() {
  if (current_->body.size() < sizeof(DmaUnmapBody)) return refuse(EINVAL);
  const auto body = decode<DmaUnmapBody>(current_->body);
  if (body.argsz < sizeof body || body.argsz > kMaxTransfer + sizeof(Header) / 2) return refuse(EINVAL);
  int error = 0;
  if (body.flags == kDmaUnmapAll) {
    if (body.address != 0 || body.size != 0) return refuse(EINVAL);
    core_->dma()->unmapAll();
  } else {
    if (body.flags != 0) return refuse(EINVAL);
    error = core_->dma()->unmap(body.address, body.size);
  }
  // Requests by message that ended with it may have called a hook.
  if (closed_) return;
  if (error != 0) return refuse(error);
  answer(encoded(body));
}

void Connection::setIrqs() {
  if (current_->body.size() < sizeof(SetIrqsBody)) return refuse(EINVAL);
  const auto body = decode<SetIrqsBody>(current_->body);
  if (body.argsz < sizeof body) return refuse(EINVAL);
  const SetIrqs request{body.flags, body.index, body.start, body.count, current_->body.subspan(sizeof body)};
  const int error = core_->setIrqs(request, std::move(current_->fds));
  if (error != 0) return passOn(error);
  answer({});
}

void Connection::answer(std::span<const std::byte> body) {
  const Header& header = current_->header;
  if ((header.flags & kNoReply) != 0) return;
  output_.append(
      encoded(Header{header.id, header.command, static_cast<uint32_t>(sizeof(Header) + body.size()), kTypeReply, 0}));
  output_.append(body);
}

void Connection::refuse(int error) {
  DeviceStatistics::count(core_->statistics().refused);
  passOn(error);
}

void Connection::passOn(int error) {
  const Header header = current_->header;
  if ((header.flags & kNoReply) == 0) {
    output_.append(
        encoded(Header{header.id, header.command, sizeof(Header), kTypeReply | kError, static_cast<uint32_t>(error)}));
  }
  const uint64_t bit = uint64_t{1} << std::min<uint32_t>(header.command, 63);
  if ((refusedCommands_ & bit) != 0) return;
  refusedCommands_ |= bit;
  core_->flush();
  if (handler_->refused(header.command, error) == ConnectionHandler::kFailed) finish(kHandlerFailed);
}

}  // namespace mdev::vfio_user

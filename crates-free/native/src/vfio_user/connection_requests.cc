// The messages that a connection serves, one by one.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "vfio_user/connection.h"

namespace mdev::vfio_user {

namespace {

constexpr const char* kHandlerFailed = "the server failed to handle a message";

}  // namespace

bool Connection::serve() {
  const Header& header = current_->header;
  if (!negotiated_) return serveFirst();
  if (current_->badSize) {
    reject(EINVAL);
    if (header.size > kMaxMessage) {
      finish("a message of " + std::to_string(header.size) + " bytes, at most " + std::to_string(kMaxMessage) +
             " are legal");
    }
    return true;
  }
  if (isDmaReply(header)) {
    const char* const reason = serveReply(*current_);
    if (reason != nullptr && !closed_) blame(reason);
    return true;
  }
  const uint32_t type = header.flags & kTypeMask;
  if (type != kTypeCommand || current_->strayFds) {
    reject(EINVAL);
    return true;
  }
  if (!mayServe()) return false;
  const bool whole = serveCommand();
  exclusion_.reset();
  return whole;
}

bool Connection::serveCommand() {
  const uint16_t command = current_->header.command;
  if (command != kCommandRegionRead && command != kCommandRegionWrite) slow_ = true;
  switch (command) {
    case kCommandRegionRead:
    case kCommandRegionWrite:
      return serveRegion();
    case kCommandRegionWriteMulti:
      return serveRegionWriteMulti();
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
      reject(EINVAL);
      return true;
    default:
      return serveHandler();
  }
}

bool Connection::serveFirst() {
  const Header& header = current_->header;
  const bool isVersion = (header.flags & kTypeMask) == kTypeCommand && header.command == kCommandVersion;
  if (current_->badSize || current_->strayFds || !isVersion) {
    reject(EINVAL);
    finish(isVersion ? "a VERSION message of a bad form" : "the first message is not VERSION");
    return true;
  }
  return serveHandler();
}

bool Connection::serveHandler() {
  std::vector<std::byte> body;
  asked_ = true;
  slow_ = true;
  // JavaScript may take long.
  core_->flush();
  const int error = handler_->message(current_->header.command, current_->body, body);
  if (closed_ || !asked_) return true;
  if (error == ConnectionHandler::kLater) {
    waiting_ = true;
    return false;
  }
  asked_ = false;
  if (error == ConnectionHandler::kFailed) {
    reject(EIO);
    finish(kHandlerFailed);
  } else if (error != 0) {
    reject(error);
  } else {
    reply(body);
  }
  return true;
}

const char* Connection::serveReply(const Message& message) {
  // What is late and was cancelled is dropped by the messenger; what nobody asked for ends the connection: the two
  // sides disagree about what was said.
  if (message.strayFds) return "the client answered a DMA request with file descriptors";
  if (twin_ != nullptr) return "the client answered a DMA request beside the twin socket";
  return dma_->reply(message.header, message.body);
}

// The device may have been taken away, and given to another client, before this connection has heard of it.
bool Connection::holdsDevice() const { return core_->isClient(client_) && !core_->isClosed(); }

void Connection::dmaMap() {
  if (current_->body.size() < sizeof(DmaMapBody)) return reject(EINVAL);
  const auto body = decode<DmaMapBody>(current_->body);
  constexpr uint32_t rights = kDmaMapRead | kDmaMapWrite;
  if (body.argsz < sizeof body || (body.flags & ~rights) != 0 || (body.flags & rights) == 0 ||
      current_->fds.size() > 1) {
    return reject(EINVAL);
  }
  if (!holdsDevice()) return reject(ENODEV);
  ForeignFd fd;
  if (!current_->fds.empty()) fd = std::move(current_->fds.front());
  const int error = core_->dma()->map(body.address, body.size, body.flags & rights, std::move(fd), body.offset);
  if (error != 0) return reject(error);
  reply({});
}

void Connection::dmaUnmap() {
  if (current_->body.size() < sizeof(DmaUnmapBody)) return reject(EINVAL);
  const auto body = decode<DmaUnmapBody>(current_->body);
  if (body.argsz < sizeof body || body.argsz > kMaxTransfer + sizeof(Header) / 2) return reject(EINVAL);
  if (!holdsDevice()) return reject(ENODEV);
  if (body.flags == kDmaUnmapDirty) return dmaUnmapReporting(body);
  int error = 0;
  if (body.flags == kDmaUnmapAll) {
    if (body.address != 0 || body.size != 0) return reject(EINVAL);
    core_->dma()->unmapAll();
  } else {
    if (body.flags != 0) return reject(EINVAL);
    error = core_->dma()->unmap(body.address, body.size);
  }
  // Requests by message that ended with it may have called a hook.
  if (closed_) return;
  if (error != 0) return reject(error);
  reply(encoded(body));
}

void Connection::dmaUnmapReporting(const DmaUnmapBody& body) {
  constexpr std::size_t front = sizeof(DmaUnmapBody) + sizeof(DirtyBitmapBody);
  if (current_->body.size() < front || body.argsz < front) return reject(EINVAL);
  const auto bitmap = decode<DirtyBitmapBody>(current_->body.subspan(sizeof body));
  if (body.size == 0 || bitmap.pageSize == 0 || bitmap.size > body.argsz - front ||
      bitmap.size != dirtyBitmapBytes(body.size, bitmap.pageSize)) {
    return reject(EINVAL);
  }
  std::vector<std::byte> answer(front + bitmap.size);
  std::memcpy(answer.data(), current_->body.data(), front);
  const DirtyQuery query{bitmap.pageSize, std::span(answer).subspan(front)};
  const int error = core_->dma()->unmapReporting(body.address, body.size, query);
  if (closed_) return;
  if (error != 0) return reject(error);
  reply(answer);
}

void Connection::setIrqs() {
  if (current_->body.size() < sizeof(SetIrqsBody)) return reject(EINVAL);
  const auto body = decode<SetIrqsBody>(current_->body);
  if (body.argsz < sizeof body) return reject(EINVAL);
  if (!holdsDevice()) return reject(ENODEV);
  const SetIrqs request{body.flags, body.index, body.start, body.count, current_->body.subspan(sizeof body)};
  const int error = core_->setIrqs(request, std::move(current_->fds));
  if (error != 0) return passOn(error);
  reply({});
}

void Connection::reply(std::span<const std::byte> body, std::vector<FileDescriptor> fds) {
  const Header& header = current_->header;
  if ((header.flags & kNoReply) != 0) return;
  const Header front{header.id, header.command, static_cast<uint32_t>(sizeof(Header) + body.size()), kTypeReply, 0};
  if (fds.empty()) {
    output_.append(encoded(front));
    output_.append(body);
    return;
  }
  std::vector<std::byte> whole(encoded(front).begin(), encoded(front).end());
  whole.insert(whole.end(), body.begin(), body.end());
  output_.appendWithFds(whole, std::move(fds));
}

void Connection::reject(int error) {
  DeviceStatistics::count(core_->statistics().refused);
  passOn(error);
}

void Connection::replyError(int error) {
  const Header header = current_->header;
  if ((header.flags & kNoReply) != 0) return;
  output_.append(
      encoded(Header{header.id, header.command, sizeof(Header), kTypeReply | kError, static_cast<uint32_t>(error)}));
}

void Connection::passOn(int error) {
  const Header header = current_->header;
  replyError(error);
  const uint64_t bit = uint64_t{1} << std::min<uint32_t>(header.command, 63);
  if ((refusedCommands_ & bit) != 0) return;
  refusedCommands_ |= bit;
  core_->flush();
  if (handler_->refused(header.command, error) == ConnectionHandler::kFailed) finish(kHandlerFailed);
}

}  // namespace mdev::vfio_user

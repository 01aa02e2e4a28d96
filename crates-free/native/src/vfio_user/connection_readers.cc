// What would wait for engines, without waiting: requests that take memory away or stop the device, and the client's
// end.
#include <algorithm>
#include <memory>
#include <utility>

#include "vfio_user/connection.h"

namespace mdev::vfio_user {

bool Connection::writesConfigSpace() const {
  const std::span<const std::byte> body = framer_.body();
  if (current_->header.command == kCommandRegionWrite) {
    return body.size() >= sizeof(RegionBody) && decode<RegionBody>(body).region == kRegionConfig;
  }
  if (body.size() < sizeof(uint64_t)) return false;
  const std::span<const std::byte> writes = body.subspan(sizeof(uint64_t));
  const std::size_t end = std::min<std::size_t>(writes.size() / sizeof(RegionWriteEntry), progress_ + kRoundMessages);
  for (std::size_t n = progress_; n < end; ++n) {
    if (decode<RegionWriteEntry>(writes.subspan(n * sizeof(RegionWriteEntry))).region == kRegionConfig) return true;
  }
  return false;
}

bool Connection::needsReadersOut() const {
  const std::span<const std::byte> body = current_->body;
  switch (current_->header.command) {
    case kCommandDmaUnmap:
    case kCommandDeviceReset:
      return true;
    case kCommandRegionWrite:
    case kCommandRegionWriteMulti:
      // Bus master, the power state, and a function-level reset.
      return writesConfigSpace();
    case kCommandDeviceFeature: {
      // The dirty log.
      if (body.size() < sizeof(DeviceFeatureBody)) return false;
      return (decode<DeviceFeatureBody>(body).flags & (kDeviceFeatureSet | kDeviceFeatureProbe)) == kDeviceFeatureSet;
    }
    default:
      return false;
  }
}

bool Connection::mayServe() {
  if (!needsReadersOut() || !holdsDevice()) return true;
  slow_ = true;
  if (!exclusion_) exclusion_.emplace(core_->dma()->readers());
  return exclusion_->completeOrTell([wire = transport_.get()] { wire->wake(); });
}

void Connection::onClosed(const std::string& reason) {
  core_->flush();
  if (negotiated_ && core_->isClient(client_)) {
    end_.emplace(core_->dma()->readers());
    if (!end_->complete()) return endLater(reason);
  }
  end(reason);
}

/// What the client brought is kept as long as an engine is in it, and so is the client's hold.
void Connection::endLater(const std::string& reason) {
  const auto self = std::static_pointer_cast<Connection>(shared_from_this());
  endSignal_ = handler_->signal([self, reason] {
    if (self->end_ && self->end_->complete()) self->end(reason);
  });
  // Without a signal the loop has ended: nobody is left who could be kept waiting.
  if (endSignal_ == nullptr || end_->completeOrTell([signal = endSignal_.get()] { signal->send(); })) {
    return end(reason);
  }
  // Nobody answers any more.
  dma_->close();
  if (twin_ != nullptr) twin_->close(reason);
}

void Connection::end(const std::string& reason) {
  const auto self = shared_from_this();
  if (negotiated_) core_->clientGone(client_);
  dma_->close();
  if (twin_ != nullptr) twin_->close(reason);
  // Before others hear that the device is free.
  exclusion_.reset();
  end_.reset();
  const auto ended = std::move(endSignal_);
  handler_->closed(reason);
}

}  // namespace mdev::vfio_user

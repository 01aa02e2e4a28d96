#include "vfio_user/message_stream.h"

#include <utility>

namespace mdev::vfio_user {

MessageStream::MessageStream(std::unique_ptr<Transport> transport, CarriesFds carriesFds, uint32_t maxMessage,
                             uint32_t maxFds)
    : transport_(std::move(transport)), framer_(carriesFds, maxMessage, maxFds) {}

void MessageStream::close(const std::string& reason) {
  if (closed_) return;
  const auto self = shared_from_this();
  closed_ = true;
  transport_->close();
  output_.clear();
  // Whoever still refers to the stream does not keep the other side's files.
  framer_.dropFds();
  onClosed(reason);
}

void MessageStream::letGo() {
  if (closed_) return;
  const auto self = shared_from_this();
  closed_ = true;
  transport_->setShared(true);
  transport_->close();
  output_.clear();
  framer_.dropFds();
}

void MessageStream::ended(const std::string& reason) {
  close(framer_.atBoundary() ? reason : reason + " in the middle of a message");
}

}  // namespace mdev::vfio_user

// A connection that goes on in another process: what is given, and what is taken.
#include <algorithm>
#include <memory>
#include <utility>

#include "vfio_user/connection.h"

namespace mdev::vfio_user {

namespace {

/// Bytes that may wait to be sent: one message more than is served for, and as much as requests add to it.
constexpr std::size_t kMaxUnsent = Connection::kMaxOutput + kMaxMessage + DmaMessenger::kMaxUnsent;

}  // namespace

bool DmaMessenger::settled() { return !takeSubmitted() && onWire_.empty(); }

void DmaMessenger::save(HandoverWriter& archive) const {
  archive.value(nextId_);
  archive.value(owedCount_);
  for (std::size_t id = 0; id < owed_.size(); ++id) {
    if (!owed_.test(id)) continue;
    archive.value(static_cast<uint16_t>(id));
    archive.choice(owedWrites_.test(id));
  }
}

void DmaMessenger::restore(HandoverReader& archive) {
  archive.value(nextId_);
  for (uint32_t left = exchangeCount(archive, 0, kMaxOwed + kMaxOnWire); left > 0 && archive.good(); --left) {
    uint16_t id = 0;
    bool write = false;
    archive.value(id);
    archive.choice(write);
    archive.require(!owed_.test(id));
    owed_.set(id);
    owedWrites_.set(id, write);
    ++owedCount_;
  }
}

void TwinStream::setPaused(bool paused) {
  paused_ = paused;
  if (closed_) return;
  transport_->setShared(paused);
  transport_->wake();
}

void TwinStream::save(HandoverWriter& archive) {
  framer_.save(archive);
  output_.save(archive);
}

void TwinStream::restore(HandoverReader& archive) {
  paused_ = true;
  transport_->setShared(true);
  framer_.restore(archive, kMaxMessage + InputBuffer::kInitialSize);
  output_.restore(archive, kMaxUnsent);
}

void Connection::suspend() {
  if (closed_ || service_ != Service::all) return;
  service_ = Service::replies;
  transport_->wake();
}

void Connection::save(HandoverWriter& archive) {
  service_ = Service::nothing;
  transport_->setShared(true);
  if (twin_ != nullptr) twin_->setPaused(true);
  // What the device's code may still have asked for; engines have settled.
  dma_->cancelAll();
  archive.value(refusedCommands_);
  framer_.save(archive);
  output_.save(archive);
  archive.choice(twin_ != nullptr);
  dma_->save(archive);
  if (twin_ != nullptr) twin_->save(archive);
}

bool Connection::restore(HandoverReader& archive, std::optional<Agreement> agreement) {
  service_ = Service::nothing;
  transport_->setShared(true);
  if (agreement && agreement->twin != nullptr) agreement->twin->setShared(true);
  archive.value(refusedCommands_);
  framer_.restore(archive, agreement ? kMaxHeld + InputBuffer::kInitialSize : InputBuffer::kInitialSize);
  output_.restore(archive, kMaxUnsent);
  bool hasTwin = false;
  archive.choice(hasTwin);
  archive.require(hasTwin == (agreement && agreement->twin != nullptr));
  dma_->restore(archive);
  if (!archive.good()) return false;
  std::shared_ptr<TwinStream> twin;
  if (hasTwin) {
    const auto self = std::static_pointer_cast<Connection>(shared_from_this());
    twin = std::make_shared<TwinStream>(std::move(agreement->twin), dma_, self);
    twin->restore(archive);
  }
  if (!archive.finished()) return false;
  if (twin != nullptr) {
    twin->start();
    // From here on the destructor closes it, whatever else fails.
    twin_ = std::move(twin);
    dma_->setWake([wire = twin_.get()] { wire->wake(); });
  }
  if (agreement) {
    agreement_ = std::move(*agreement);
    join();
  }
  return true;
}

void Connection::resume() {
  if (closed_ || service_ == Service::all) return;
  service_ = Service::all;
  transport_->setShared(false);
  transport_->wake();
  if (twin_ != nullptr) twin_->setPaused(false);
}

void Connection::handedOver() {
  if (closed_) return;
  const auto self = shared_from_this();
  letGo();
  if (negotiated_ && core_->isClient(client_)) static_cast<void>(core_->dma()->takeMessageDma());
  dma_->close();
  if (twin_ != nullptr) twin_->letGo();
  handler_->closed("handed over");
}

}  // namespace mdev::vfio_user

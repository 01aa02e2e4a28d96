// The life of a DeviceCore, and its clients. Its regions are in device_regions.cc, accesses to them in
// device_access.cc.
#include "core/device_core.h"

#include <cerrno>
#include <utility>

namespace mdev {

DeviceCore::DeviceCore() : dma_(std::make_shared<DmaSpace>()), mailbox_(std::make_shared<TrapMailbox>()) {}

DeviceCore::~DeviceCore() = default;

void DeviceCore::setTrapHandler(TrapHandler* handler) { trap_ = handler; }

void DeviceCore::setMemoryDecode(bool enabled) { memoryDecode_ = enabled; }

void DeviceCore::setIoDecode(bool enabled) { ioDecode_ = enabled; }

void DeviceCore::setRomDecode(bool enabled) { romDecode_ = enabled; }

void DeviceCore::setEnforceMemoryDecode(bool enforced) { enforceMemoryDecode_ = enforced; }

void DeviceCore::setIsolated(bool isolated) { isolated_ = isolated; }

int DeviceCore::setIrqs(const SetIrqs& request, std::vector<ForeignFd> fds) {
  const int error = closed_ ? EINVAL : interrupts_.set(request, std::move(fds));
  return error == 0 ? 0 : refuse(error);
}

uint64_t DeviceCore::clientCame(std::shared_ptr<MessageDma> channel) {
  const uint64_t client = ++client_;
  // Ends the requests of an earlier channel, which may do anything.
  dma_->setMessageDma(std::move(channel));
  return client;
}

void DeviceCore::clientLeaves(uint64_t client) {
  if (isClient(client)) endClientsWork();
}

void DeviceCore::clientGone(uint64_t client) {
  if (isClient(client)) clientGone();
}

void DeviceCore::endClientsWork() {
  for (const Region& region : regions_) {
    if (region.port != nullptr) region.port->clientGone();
  }
}

void DeviceCore::clientGone() {
  ++client_;
  // First: what is left of its work would reach the memory of the next client.
  endClientsWork();
  // Turns that had begun on that work: memory that is asked for by message has no map whose end would wait for them.
  dma_->awaitReaders();
  // What those turns have told still: an entry in the event log would reach the memory of the next client.
  endClientsWork();
  const std::shared_ptr<MessageDma> channel = dma_->takeMessageDma();
  dma_->unmapAll();
  dma_->resetClient();
  interrupts_.clientGone();
  // Last: what hears of it may let the next client in.
  if (channel != nullptr) channel->cancelAll();
}

void DeviceCore::close() {
  flush();
  closed_ = true;
  trap_ = nullptr;
  for (Region& region : regions_) region = {};
  clientGone();
}

}  // namespace mdev

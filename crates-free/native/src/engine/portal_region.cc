#include "engine/portal_region.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace mdev {

PortalRegion::PortalRegion(std::vector<std::shared_ptr<WorkQueue>> queues)
    : queues_(std::move(queues)), slots_(queues_.size()) {}

Served PortalRegion::read(uint64_t, std::span<std::byte> data) {
  std::fill(data.begin(), data.end(), std::byte{0xff});
  return Served::done;
}

Served PortalRegion::write(uint64_t offset, std::span<const std::byte> data) {
  const uint64_t index = offset / kQueueStride;
  const uint64_t inQueue = offset % kQueueStride;
  if (index >= queues_.size() || inQueue >= kMsixPages * kPage) return Served::done;
  WorkQueue& queue = *queues_[index];
  QueueSlots& slots = slots_[index];
  uint64_t at = inQueue;
  while (!data.empty() && at < kMsixPages * kPage) {
    const uint64_t inSlot = at % dsa::kDescriptorSize;
    const std::size_t size = std::min<std::size_t>(data.size(), dsa::kDescriptorSize - inSlot);
    if (queue.accepts()) {
      writeSlot(queue, slots[at / dsa::kDescriptorSize], inSlot, data.first(size));
    } else {
      queue.drop();
    }
    data = data.subspan(size);
    at += size;
  }
  return Served::done;
}

void PortalRegion::writeSlot(WorkQueue& queue, Slot& slot, uint64_t at, std::span<const std::byte> data) {
  constexpr uint64_t kAll = ~uint64_t{0};
  const uint64_t bytes = (data.size() == dsa::kDescriptorSize ? kAll : (uint64_t{1} << data.size()) - 1) << at;
  const bool completes = (slot.present | bytes) == kAll;
  if ((slot.present & bytes) != 0 || (at == 0 && !completes)) forget(queue, slot);
  std::memcpy(slot.descriptor.bytes.data() + at, data.data(), data.size());
  slot.present |= bytes;
  if (slot.present != kAll) return;
  slot.present = 0;
  queue.submit(slot.descriptor);
  submitted_ = true;
}

void PortalRegion::forget(WorkQueue& queue, Slot& slot) {
  if (std::exchange(slot.present, 0) != 0) queue.drop();
}

void PortalRegion::clientGone() {
  dropAllPartial();
  for (const auto& queue : queues_) queue->abort(true);
}

void PortalRegion::flush() {
  if (!std::exchange(submitted_, false)) return;
  for (const auto& queue : queues_) queue->announce();
}

void PortalRegion::dropPartial(uint32_t queue) {
  for (Slot& slot : slots_[queue]) slot.present = 0;
}

void PortalRegion::dropAllPartial() {
  for (QueueSlots& queue : slots_) {
    for (Slot& slot : queue) slot.present = 0;
  }
}

}  // namespace mdev

#include "engine/portal_region.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace mdev {

namespace {

constexpr uint64_t kAll = ~uint64_t{0};

/// How many of the next bytes lie in the same slot.
std::size_t sizeInSlot(uint64_t at, std::size_t size) {
  return std::min<std::size_t>(size, dsa::kDescriptorSize - at % dsa::kDescriptorSize);
}

/// Pages alternate between unlimited and limited portals.
bool isLimited(uint64_t at) { return at / PortalRegion::kPage % 2 != 0; }

}  // namespace

PortalRegion::PortalRegion(std::vector<std::shared_ptr<WorkQueue>> queues, std::shared_ptr<WorkQueue> log)
    : queues_(std::move(queues)), log_(std::move(log)), slots_(queues_.size()) {}

Served PortalRegion::read(uint64_t offset, std::span<std::byte> data) {
  std::fill(data.begin(), data.end(), std::byte{0xff});
  const uint64_t index = offset / kQueueStride;
  if (index >= queues_.size()) return Served::done;
  const QueueSlots& slots = slots_[index];
  for (uint64_t at = offset % kQueueStride; !data.empty() && at < kMsixPages * kPage;) {
    const std::size_t size = sizeInSlot(at, data.size());
    if (slots[at / dsa::kDescriptorSize].present == kAll) std::fill_n(data.begin(), size, std::byte{0});
    data = data.subspan(size);
    at += size;
  }
  return Served::done;
}

Served PortalRegion::write(uint64_t offset, std::span<const std::byte> data, const Arrival& arrival) {
  const bool whole =
      arrival.size == dsa::kDescriptorSize && data.size() == arrival.size && offset % dsa::kDescriptorSize == 0;
  const bool deferrable = whole && !arrival.posted;
  const uint64_t index = offset / kQueueStride;
  const uint64_t inQueue = offset % kQueueStride;
  if (index >= queues_.size() || inQueue >= kMsixPages * kPage) return deferrable ? Served::retry : Served::done;
  WorkQueue& queue = *queues_[index];
  QueueSlots& slots = slots_[index];
  uint64_t at = inQueue;
  if (deferrable) return defer(queue, slots[at / dsa::kDescriptorSize], data, isLimited(at));
  while (!data.empty() && at < kMsixPages * kPage) {
    const uint64_t inSlot = at % dsa::kDescriptorSize;
    const std::size_t size = sizeInSlot(at, data.size());
    Slot& slot = slots[at / dsa::kDescriptorSize];
    if (queue.accepts()) {
      writeSlot(queue, slot, inSlot, data.first(size));
    } else if (queue.shared() && !whole) {
      writeShared(queue, slot, inSlot, data.first(size), isLimited(at));
    } else {
      queue.drop();
      slot.present = 0;
    }
    data = data.subspan(size);
    at += size;
  }
  return Served::done;
}

/// Puts a piece into the slot. True when that makes the descriptor complete.
bool PortalRegion::complete(WorkQueue& queue, Slot& slot, uint64_t at, std::span<const std::byte> data) {
  const uint64_t bytes = (data.size() == dsa::kDescriptorSize ? kAll : (uint64_t{1} << data.size()) - 1) << at;
  const bool completes = (slot.present | bytes) == kAll;
  if ((slot.present & bytes) != 0 || (at == 0 && !completes)) forget(queue, slot);
  std::memcpy(slot.descriptor.bytes.data() + at, data.data(), data.size());
  slot.present |= bytes;
  return slot.present == kAll;
}

void PortalRegion::writeSlot(WorkQueue& queue, Slot& slot, uint64_t at, std::span<const std::byte> data) {
  if (!complete(queue, slot, at, data)) return;
  slot.present = 0;
  queue.submit(slot.descriptor);
  submitted_ = true;
}

void PortalRegion::writeShared(WorkQueue& queue, Slot& slot, uint64_t at, std::span<const std::byte> data,
                               bool limited) {
  if (slot.present == kAll) slot.present = 0;
  if (!complete(queue, slot, at, data)) return;
  if (queue.enqueue(slot.descriptor, limited)) {
    submitted_ = true;
  } else {
    slot.present = 0;
  }
}

/// A whole descriptor that is taken or answered with Retry. What was in its slot is overwritten in either case.
Served PortalRegion::defer(WorkQueue& queue, Slot& slot, std::span<const std::byte> data, bool limited) {
  if (!queue.shared()) {
    if (slot.present == kAll) slot.present = 0;
    queue.countRetry();
    return Served::retry;
  }
  writeShared(queue, slot, 0, data, limited);
  return slot.present == kAll ? Served::done : Served::retry;
}

void PortalRegion::forget(WorkQueue& queue, Slot& slot) {
  if (std::exchange(slot.present, 0) != 0) queue.drop();
}

void PortalRegion::clientGone() {
  clearAll();
  for (const auto& queue : queues_) queue->abort({}, true);
  if (log_ != nullptr) log_->abort({}, true);
}

void PortalRegion::flush() {
  if (!std::exchange(submitted_, false)) return;
  for (const auto& queue : queues_) queue->announce();
}

void PortalRegion::dropPartial(uint32_t queue) {
  for (Slot& slot : slots_[queue]) {
    if (slot.present != kAll) slot.present = 0;
  }
}

void PortalRegion::clear(uint32_t queue) {
  for (Slot& slot : slots_[queue]) slot.present = 0;
}

void PortalRegion::clearAll() {
  for (uint32_t queue = 0; queue < slots_.size(); ++queue) clear(queue);
}

}  // namespace mdev

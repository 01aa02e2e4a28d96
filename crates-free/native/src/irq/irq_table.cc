#include "irq/irq_table.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <utility>

#include "base/eventfd.h"

namespace mdev {

IrqTable::IrqTable(uint32_t count) : count_(count), vectors_(count), ownPending_(pendingWords()) {
  pending_ = ownPending_.data();
}

IrqTable::~IrqTable() = default;

int IrqTable::assign(uint32_t start, std::vector<ForeignFd> fds) {
  if (!holds(start, fds.size())) return EINVAL;
  for (const ForeignFd& fd : fds) {
    if (fd && !(isEventfd(fd.get()) && setNonBlocking(fd.get()))) return EINVAL;
  }
  // The replaced descriptors leave after the lock: closing them takes a while.
  std::vector<FileDescriptor> eventfds(fds.size());
  std::transform(fds.begin(), fds.end(), eventfds.begin(), [](ForeignFd& fd) { return fd.known(); });
  const std::lock_guard lock(mutex_);
  for (std::size_t i = 0; i < eventfds.size(); ++i) {
    std::swap(vectors_[start + i].eventfd, eventfds[i]);
    deliverPending(static_cast<uint32_t>(start + i));
  }
  return 0;
}

int IrqTable::release(uint32_t start, uint32_t count) {
  if (!holds(start, count)) return EINVAL;
  std::vector<FileDescriptor> released(count);
  const std::lock_guard lock(mutex_);
  for (uint32_t i = 0; i < count; ++i) std::swap(vectors_[start + i].eventfd, released[i]);
  return 0;
}

void IrqTable::trigger(uint32_t vector) {
  if (vector >= count_) return;
  const std::lock_guard lock(mutex_);
  pendingWord(vector).fetch_or(uint64_t{1} << (vector % 64), std::memory_order_acq_rel);
  deliverPending(vector);
}

void IrqTable::loopback(uint32_t vector) {
  if (vector >= count_) return;
  const std::lock_guard lock(mutex_);
  signal(vectors_[vector]);
}

void IrqTable::setAllMasked(bool masked) {
  const std::lock_guard lock(mutex_);
  allMasked_ = masked;
  deliverAllPending();
}

void IrqTable::setMasked(uint32_t vector, bool masked) {
  if (vector >= count_) return;
  const std::lock_guard lock(mutex_);
  vectors_[vector].masked = masked;
  deliverPending(vector);
}

void IrqTable::bindPending(uint64_t* words, std::shared_ptr<void> owner) {
  const std::lock_guard lock(mutex_);
  for (std::size_t i = 0; i < pendingWords(); ++i) {
    const uint64_t latched = std::atomic_ref(pending_[i]).exchange(0);
    std::atomic_ref(words[i]).store(latched);
  }
  pending_ = words;
  pendingOwner_ = std::move(owner);
}

bool IrqTable::pending(uint32_t vector) const {
  if (vector >= count_) return false;
  const std::lock_guard lock(mutex_);
  return (pendingWord(vector).load(std::memory_order_acquire) >> (vector % 64) & 1) != 0;
}

void IrqTable::reset() {
  const std::lock_guard lock(mutex_);
  allMasked_ = false;
  for (Vector& vector : vectors_) vector.masked = false;
  forgetPending();
}

void IrqTable::signal(const Vector& vector) const {
  if (vector.eventfd) signalForeignEventfd(vector.eventfd.get());
}

void IrqTable::deliverPending(uint32_t vector) {
  const Vector& target = vectors_[vector];
  if (allMasked_ || target.masked || !target.eventfd) return;
  const uint64_t bit = uint64_t{1} << (vector % 64);
  if ((pendingWord(vector).fetch_and(~bit, std::memory_order_acq_rel) & bit) != 0) signal(target);
}

void IrqTable::deliverAllPending() {
  if (allMasked_) return;
  for (std::size_t word = 0; word < pendingWords(); ++word) {
    uint64_t latched = std::atomic_ref(pending_[word]).load(std::memory_order_acquire);
    for (; latched != 0; latched &= latched - 1) {
      const auto vector = static_cast<uint32_t>(word * 64 + std::countr_zero(latched));
      // Bits behind the last vector are the guest's PBA padding, or what a device wrote there.
      if (vector < count_) deliverPending(vector);
    }
  }
}

void IrqTable::forgetPending() {
  for (std::size_t word = 0; word < pendingWords(); ++word) std::atomic_ref(pending_[word]).store(0);
}

std::atomic_ref<uint64_t> IrqTable::pendingWord(uint32_t vector) const {
  return std::atomic_ref<uint64_t>(pending_[vector / 64]);
}

}  // namespace mdev

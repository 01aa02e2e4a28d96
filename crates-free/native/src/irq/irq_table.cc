#include "irq/irq_table.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <utility>

#include "base/eventfd.h"

namespace mdev {

namespace {

uint32_t bitOf(uint32_t vector) { return uint32_t{1} << (vector % 32); }

}  // namespace

class IrqTable::Everything {
 public:
  explicit Everything(const IrqTable& table) : stripes_(table.stripes_) {
    for (Stripe& stripe : stripes_) stripe.mutex.lock();
  }
  ~Everything() {
    for (Stripe& stripe : stripes_) stripe.mutex.unlock();
  }
  Everything(const Everything&) = delete;
  Everything& operator=(const Everything&) = delete;

 private:
  std::array<Stripe, kStripes>& stripes_;
};

IrqTable::IrqTable(uint32_t count) : count_(count), vectors_(count), ownPending_(words()) {
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
  for (std::size_t i = 0; i < eventfds.size(); ++i) {
    const auto vector = static_cast<uint32_t>(start + i);
    const std::lock_guard lock(mutexOf(vector));
    std::swap(vectors_[vector].eventfd, eventfds[i]);
    deliverPending(vector);
  }
  return 0;
}

int IrqTable::release(uint32_t start, uint32_t count) {
  if (!holds(start, count)) return EINVAL;
  for (uint32_t vector = start; vector < start + count; ++vector) {
    FileDescriptor released;
    const std::lock_guard lock(mutexOf(vector));
    std::swap(vectors_[vector].eventfd, released);
  }
  return 0;
}

bool IrqTable::hasEventfd(uint32_t vector) const {
  if (vector >= count_) return false;
  const std::lock_guard lock(mutexOf(vector));
  return static_cast<bool>(vectors_[vector].eventfd);
}

void IrqTable::trigger(uint32_t vector) {
  if (vector >= count_) return;
  const std::lock_guard lock(mutexOf(vector));
  pendingWord(vector / 32).fetch_or(bitOf(vector));
  deliverPending(vector);
}

void IrqTable::loopback(uint32_t vector) {
  if (vector >= count_) return;
  const std::lock_guard lock(mutexOf(vector));
  signal(vectors_[vector]);
}

void IrqTable::setAllMasked(bool masked) { keepBack(allMasked_, masked); }

void IrqTable::setHeld(bool held) { keepBack(held_, held); }

void IrqTable::keepBack(std::atomic<bool>& by, bool back) {
  by.store(back);
  if (!back) {
    deliverAllPending();
    return;
  }
  // Who looked at the mask before has fired when its lock is free.
  for (Stripe& stripe : stripes_) const std::lock_guard lock(stripe.mutex);
}

void IrqTable::setMasked(uint32_t vector, bool masked) {
  if (vector >= count_) return;
  const std::lock_guard lock(mutexOf(vector));
  vectors_[vector].masked = masked;
  deliverPending(vector);
}

void IrqTable::bindPending(uint32_t* bound, std::shared_ptr<void> owner) {
  const Everything lock(*this);
  for (std::size_t word = 0; word < words(); ++word) {
    const uint32_t latched = pendingWord(word).exchange(0);
    std::atomic_ref(bound[word]).store(latched);
  }
  pending_ = bound;
  pendingOwner_ = std::move(owner);
}

bool IrqTable::pending(uint32_t vector) const {
  if (vector >= count_) return false;
  const std::lock_guard lock(mutexOf(vector));
  return (pendingWord(vector / 32).load() & bitOf(vector)) != 0;
}

void IrqTable::forgetPending() {
  const Everything lock(*this);
  for (std::size_t word = 0; word < words(); ++word) pendingWord(word).store(0);
}

void IrqTable::reset() {
  const Everything lock(*this);
  allMasked_.store(false);
  for (Vector& vector : vectors_) vector.masked = false;
  for (std::size_t word = 0; word < words(); ++word) pendingWord(word).store(0);
}

IrqTableState IrqTable::save() const {
  const Everything lock(*this);
  IrqTableState state{allMasked_.load(), std::vector<uint32_t>(words()), std::vector<uint32_t>(words())};
  for (uint32_t vector = 0; vector < count_; ++vector) {
    if (vectors_[vector].masked) state.masked[vector / 32] |= bitOf(vector);
    state.pending[vector / 32] |= pendingWord(vector / 32).load() & bitOf(vector);
  }
  return state;
}

int IrqTable::restore(const IrqTableState& state) {
  if (state.masked.size() != words() || state.pending.size() != words()) return EINVAL;
  {
    const Everything lock(*this);
    allMasked_.store(state.allMasked);
    for (std::size_t word = 0; word < words(); ++word) pendingWord(word).store(0);
    for (uint32_t vector = 0; vector < count_; ++vector) {
      vectors_[vector].masked = (state.masked[vector / 32] & bitOf(vector)) != 0;
      if ((state.pending[vector / 32] & bitOf(vector)) != 0) pendingWord(vector / 32).fetch_or(bitOf(vector));
    }
  }
  deliverAllPending();
  return 0;
}

void IrqTable::forEachEventfd(const std::function<void(uint32_t, int)>& visit) const {
  const Everything lock(*this);
  for (uint32_t vector = 0; vector < count_; ++vector) {
    if (vectors_[vector].eventfd) visit(vector, vectors_[vector].eventfd.get());
  }
}

void IrqTable::signal(const Vector& vector) {
  if (vector.eventfd) signalForeignEventfd(vector.eventfd.get());
}

void IrqTable::deliverPending(uint32_t vector) {
  const Vector& target = vectors_[vector];
  if (held_.load() || allMasked_.load() || target.masked || !target.eventfd) return;
  const uint32_t bit = bitOf(vector);
  if ((pendingWord(vector / 32).fetch_and(~bit) & bit) != 0) signal(target);
}

void IrqTable::deliverAllPending() {
  for (std::size_t word = 0; word < words(); ++word) {
    uint32_t latched = pendingWord(word).load();
    for (; latched != 0; latched &= latched - 1) {
      const auto vector = static_cast<uint32_t>(word * 32 + std::countr_zero(latched));
      // Bits behind the last vector are the guest's PBA padding, or what a device wrote there.
      if (vector >= count_) break;
      const std::lock_guard lock(mutexOf(vector));
      deliverPending(vector);
    }
  }
}

}  // namespace mdev

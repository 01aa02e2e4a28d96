#include "irq/intx_line.h"

#include <utility>

#include "base/eventfd.h"

namespace mdev {

void IntxLine::setAsserted(bool asserted) {
  const std::lock_guard lock(mutex_);
  state_.asserted = asserted;
  deliver();
}

bool IntxLine::asserted() const {
  const std::lock_guard lock(mutex_);
  return state_.asserted;
}

void IntxLine::setDisabled(bool disabled) {
  const std::lock_guard lock(mutex_);
  state_.disabled = disabled;
  deliver();
}

void IntxLine::setHeld(bool held) {
  const std::lock_guard lock(mutex_);
  held_ = held;
  deliver();
}

void IntxLine::enable(FileDescriptor eventfd) {
  // What it replaces leaves after the lock.
  const std::lock_guard lock(mutex_);
  std::swap(eventfd_, eventfd);
  deliver();
}

void IntxLine::disable() {
  FileDescriptor released;
  const std::lock_guard lock(mutex_);
  std::swap(eventfd_, released);
  state_.masked = false;
}

void IntxLine::mask() {
  const std::lock_guard lock(mutex_);
  state_.masked = true;
}

void IntxLine::unmask() {
  const std::lock_guard lock(mutex_);
  state_.masked = false;
  deliver();
}

void IntxLine::loopback() {
  const std::lock_guard lock(mutex_);
  if (eventfd_ && !state_.disabled) signalForeignEventfd(eventfd_.get());
}

void IntxLine::reset() {
  const std::lock_guard lock(mutex_);
  state_.asserted = false;
  state_.disabled = false;
}

IntxState IntxLine::save() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

void IntxLine::restore(const IntxState& state) {
  const std::lock_guard lock(mutex_);
  state_ = state;
  deliver();
}

int IntxLine::eventfd() const {
  const std::lock_guard lock(mutex_);
  return eventfd_.get();
}

void IntxLine::deliver() {
  if (held_ || !state_.asserted || state_.masked || state_.disabled || !eventfd_) return;
  state_.masked = true;
  signalForeignEventfd(eventfd_.get());
}

}  // namespace mdev

#include "core/interrupts.h"

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <string>
#include <utility>

#include "base/eventfd.h"

namespace mdev {

Interrupts::Interrupts() : intx_(std::make_shared<IntxLine>()) {
  for (auto& table : tables_) table = std::make_shared<IrqTable>(0);
}

Interrupts::~Interrupts() = default;

void Interrupts::setCount(uint32_t index, uint32_t count) {
  constexpr std::array<uint32_t, kPciIrqs> kMost = {1, kMsiVectorsMax, kMsixVectorsMax, 1, 1};
  if (index >= kPciIrqs) {
    throw std::invalid_argument("irq index is " + std::to_string(index) + "; expected 0 to " +
                                std::to_string(kPciIrqs - 1));
  }
  if (count > kMost[index]) {
    throw std::invalid_argument("irq index " + std::to_string(index) + " with " + std::to_string(count) +
                                " vectors; expected at most " + std::to_string(kMost[index]));
  }
  disable(index);
  if (index == kIrqIntx) {
    intxCount_ = count;
    intx_ = std::make_shared<IntxLine>();
  } else {
    tables_[index] = std::make_shared<IrqTable>(count);
  }
  hold();
}

void Interrupts::clientGone() {
  for (uint32_t index = 0; index < kPciIrqs; ++index) disable(index);
  for (const uint32_t index : {kIrqErr, kIrqReq}) tables_[index]->forgetPending();
}

void Interrupts::disable(uint32_t index) {
  if (index == kIrqIntx) {
    unmaskWatch_.reset();
    unmaskEventfd_.reset();
    intx_->disable();
  } else {
    tables_[index]->disable();
  }
  if (enabled_ != index) return;
  enabled_.reset();
  enabledVectors_ = 0;
}

int Interrupts::setUnmaskEventfd(ForeignFd fd) {
  std::unique_ptr<UnmaskEventfd> eventfd;
  std::shared_ptr<void> watch;
  if (fd) {
    if (!isEventfd(fd.get())) return EINVAL;
    if (!watch_) return ENOTTY;
    eventfd = std::make_unique<UnmaskEventfd>(fd.known());
    if (const int error = eventfd->open(); error != 0) return error;
    if (unmaskWatched_) {
      watch = watchUnmask(*eventfd);
      if (watch == nullptr) return ENOMEM;
    }
  }
  unmaskWatch_ = std::move(watch);
  unmaskEventfd_ = std::move(eventfd);
  return 0;
}

std::shared_ptr<void> Interrupts::watchUnmask(const UnmaskEventfd& eventfd) const {
  return watch_(eventfd.readable(), [line = intx_, signalled = &eventfd] {
    if (signalled->take()) line->unmask();
  });
}

void Interrupts::setUnmaskWatched(bool watched) {
  unmaskWatched_ = watched;
  unmaskWatch_.reset();
  // A watch that cannot be had leaves the client's own unmasking, by SET_IRQS.
  if (watched && unmaskEventfd_ != nullptr) unmaskWatch_ = watchUnmask(*unmaskEventfd_);
}

InterruptState Interrupts::save() const {
  InterruptState state{enabled_, enabledVectors_, intx_->save(), {}};
  std::transform(tables_.begin(), tables_.end(), state.tables.begin(), [](const auto& table) { return table->save(); });
  return state;
}

void Interrupts::setHeld(bool held) {
  held_ = held;
  hold();
}

void Interrupts::setMessagesHeld(bool held) {
  messagesHeld_ = held;
  hold();
}

void Interrupts::hold() {
  intx_->setHeld(held_);
  tables_[kIrqErr]->setHeld(held_);
  for (const uint32_t index : {kIrqMsi, kIrqMsix}) tables_[index]->setHeld(held_ || messagesHeld_);
}

bool Interrupts::fits(const InterruptState& state) const {
  const auto words = [](const IrqTableState& table) { return std::pair(table.masked.size(), table.pending.size()); };
  for (uint32_t index = 0; index < kPciIrqs; ++index) {
    if (words(state.tables[index]) != words(tables_[index]->save())) return false;
  }
  return !state.enabled.has_value() || (*state.enabled <= kIrqMsix && state.enabledVectors <= count(*state.enabled));
}

int Interrupts::adopt(InterruptState state) {
  if (!fits(state)) return EINVAL;
  const InterruptState own = save();
  state.enabled = own.enabled;
  state.enabledVectors = own.enabledVectors;
  state.intx.masked = own.intx.masked;
  for (const uint32_t index : {kIrqErr, kIrqReq}) state.tables[index] = own.tables[index];
  return restore(state);
}

int Interrupts::restore(const InterruptState& state) {
  if (!fits(state)) return EINVAL;
  enabled_ = state.enabled;
  enabledVectors_ = state.enabledVectors;
  intx_->restore(state.intx);
  for (uint32_t index = 0; index < kPciIrqs; ++index) static_cast<void>(tables_[index]->restore(state.tables[index]));
  return 0;
}

int Interrupts::restoreEventfd(uint32_t index, uint32_t vector, EventfdUse use, ForeignFd fd) {
  if (index >= kPciIrqs || vector >= count(index) || !fd || !isEventfd(fd.get())) return EINVAL;
  if (use == EventfdUse::unmask) return index == kIrqIntx ? setUnmaskEventfd(std::move(fd)) : EINVAL;
  if (index == kIrqIntx) {
    intx_->enable(fd.known());
    return 0;
  }
  std::vector<ForeignFd> fds;
  fds.push_back(std::move(fd));
  return tables_[index]->assign(vector, std::move(fds));
}

void Interrupts::forEachEventfd(const std::function<void(uint32_t, uint32_t, EventfdUse, int)>& visit) const {
  if (intx_->eventfd() >= 0) visit(kIrqIntx, 0, EventfdUse::trigger, intx_->eventfd());
  if (unmaskEventfd_ != nullptr) visit(kIrqIntx, 0, EventfdUse::unmask, unmaskEventfd_->eventfd());
  for (uint32_t index = kIrqMsi; index < kPciIrqs; ++index) {
    tables_[index]->forEachEventfd([&](uint32_t vector, int fd) { visit(index, vector, EventfdUse::trigger, fd); });
  }
}

}  // namespace mdev

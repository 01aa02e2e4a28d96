#include "engine/command_completion.h"

#include <algorithm>
#include <utility>

#include "engine/queue_run.h"

namespace mdev {

CommandCompletion::CommandCompletion(std::shared_ptr<RegisterMemory> memory, std::shared_ptr<IrqTable> irqs)
    : memory_(std::move(memory)), irqs_(std::move(irqs)) {}

CommandCompletion::~CommandCompletion() = default;

bool CommandCompletion::pending() const {
  const std::lock_guard lock(mutex_);
  return pending_.load();
}

bool CommandCompletion::start(std::vector<Target> targets, CommandEffects effects) {
  const std::lock_guard lock(mutex_);
  targets_ = std::move(targets);
  effects_ = std::move(effects);
  // Before the targets are looked at: who ends one of them afterwards sees this, and looks again.
  pending_.store(true);
  if (suspended_ || !allEnded()) return false;
  apply();
  return true;
}

void CommandCompletion::cancel() {
  const std::lock_guard lock(mutex_);
  pending_.store(false);
  targets_.clear();
  effects_ = {};
}

void CommandCompletion::finishIfDone() {
  const std::lock_guard lock(mutex_);
  if (pending_.load() && !suspended_ && allEnded()) apply();
}

void CommandCompletion::suspend() {
  const std::lock_guard lock(mutex_);
  suspended_ = true;
}

void CommandCompletion::resume() {
  const std::lock_guard lock(mutex_);
  suspended_ = false;
  if (pending_.load() && allEnded()) apply();
}

void CommandCompletion::adopt(std::vector<Target> targets, CommandEffects effects) {
  const std::lock_guard lock(mutex_);
  targets_ = std::move(targets);
  effects_ = std::move(effects);
  pending_.store(true);
}

bool CommandCompletion::allEnded() const {
  return std::all_of(targets_.begin(), targets_.end(),
                     [](const Target& target) { return target.run->endedBefore(target.sequence, target.selection); });
}

void CommandCompletion::apply() {
  targets_.clear();
  for (const RegisterEffect& effect : effects_.registers) effect.apply(*memory_);
  for (const uint32_t vector : effects_.vectors) irqs_->trigger(vector);
  pending_.store(false);
}

}  // namespace mdev

#include "engine/command_completion.h"

#include <algorithm>
#include <utility>

#include "engine/event_log.h"
#include "engine/queue_run.h"

namespace mdev {

CommandCompletion::CommandCompletion(std::shared_ptr<RegisterMemory> memory, std::shared_ptr<IrqTable> irqs,
                                     EventLog& log)
    : memory_(std::move(memory)), irqs_(std::move(irqs)), log_(log) {}

CommandCompletion::~CommandCompletion() = default;

bool CommandCompletion::pending() const {
  const std::lock_guard lock(mutex_);
  return pending_.load();
}

bool CommandCompletion::start(std::vector<Target> targets, CommandEffects effects, LogUse log) {
  const std::lock_guard lock(mutex_);
  // Before the targets are looked at: who ends one of them afterwards sees this, and looks again.
  set(std::move(targets), std::move(effects), log);
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

void CommandCompletion::adopt(std::vector<Target> targets, CommandEffects effects, LogUse log) {
  const std::lock_guard lock(mutex_);
  set(std::move(targets), std::move(effects), log);
}

void CommandCompletion::set(std::vector<Target> targets, CommandEffects effects, LogUse log) {
  targets_ = std::move(targets);
  effects_ = std::move(effects);
  logUse_ = log;
  logMark_.reset();
  pending_.store(true);
}

bool CommandCompletion::allEnded() {
  const bool ended = std::all_of(targets_.begin(), targets_.end(), [](const Target& target) {
    return target.run->endedBefore(target.sequence, target.selection);
  });
  if (!ended || logUse_ == LogUse::none) return ended;
  // Not before: what ends may end by an error.
  if (!logMark_) logMark_ = log_.mark(logUse_ == LogUse::close);
  return log_.writtenBefore(*logMark_);
}

void CommandCompletion::apply() {
  targets_.clear();
  for (const RegisterEffect& effect : effects_.registers) effect.apply(*memory_);
  for (const uint32_t vector : effects_.vectors) irqs_->trigger(vector);
  pending_.store(false);
}

}  // namespace mdev

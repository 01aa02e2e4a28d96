// A command of the device that ends when descriptors have ended.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "engine/register_effect.h"
#include "engine/selection.h"
#include "irq/irq_table.h"

namespace mdev {

class EventLog;
class QueueRun;

/// What becomes true when a command ends: register words in this order, then vectors.
struct CommandEffects {
  std::vector<RegisterEffect> registers;
  std::vector<uint32_t> vectors;
};

/// At most one command of a device waits for engines; the one that ends the last descriptor applies its effects.
class CommandCompletion {
 public:
  /// What is selected of everything that was submitted to `run` before `sequence`.
  struct Target {
    std::shared_ptr<QueueRun> run;
    uint64_t sequence;
    Selection selection = {};
  };

  /// What a command does with the errors that wait for the event log when its last target has ended.
  enum class LogUse : uint8_t {
    none,
    drain,  ///< waits until they are written
    close,  ///< the same, and later ones are not the log's
  };

  CommandCompletion(std::shared_ptr<RegisterMemory> memory, std::shared_ptr<IrqTable> irqs, EventLog& log);
  ~CommandCompletion();

  /// True when a command waits. An engine that is applying one finishes that first: false means that its effects are
  /// there.
  bool pending() const;
  /// Applies the effects at once (true) or when the last target has ended (false). None may be pending.
  bool start(std::vector<Target> targets, CommandEffects effects, LogUse log = LogUse::none);
  /// Drops a pending command's effects: on return they are applied entirely or never.
  void cancel();
  /// From now on nothing is applied until `resume`: on return an engine that was applying something is done with it.
  void suspend();
  void resume();

  /// What is waited for, for `state` of a device. Owner thread, while suspended.
  const std::vector<Target>& targets() const { return targets_; }
  LogUse logUse() const { return logUse_; }
  /// A command that was pending in another device. While suspended, and none is pending.
  void adopt(std::vector<Target> targets, CommandEffects effects, LogUse log);

  /// Called after a descriptor ended. Any thread.
  void check() {
    if (pending_.load()) finishIfDone();
  }

 private:
  void finishIfDone();
  void set(std::vector<Target> targets, CommandEffects effects, LogUse log);
  bool allEnded();
  void apply();

  const std::shared_ptr<RegisterMemory> memory_;
  const std::shared_ptr<IrqTable> irqs_;
  std::atomic<bool> pending_{false};
  bool suspended_ = false;
  mutable std::mutex mutex_;
  std::vector<Target> targets_;
  CommandEffects effects_;
  EventLog& log_;
  LogUse logUse_ = LogUse::none;
  /// What was to be written when the last target had ended.
  std::optional<uint64_t> logMark_;
};

}  // namespace mdev

// The queues of one device, its portals, and the commands on them.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/device_context.h"
#include "engine/portal_region.h"
#include "engine/queue_config.h"
#include "engine/register_effect.h"
#include "engine/work_queue.h"

namespace mdev {

class Group;
class RegisterTable;
class StateWriter;

/// What a QueueDevice consists of.
struct QueueDeviceOptions {
  /// Region memory with the registers of `offsets`.
  std::shared_ptr<RegisterMemory> registers;
  std::shared_ptr<DmaSpace> dma;
  /// Counts accesses to guest memory that failed.
  std::shared_ptr<std::atomic<uint64_t>> dmaFaults;
  /// The MSI-X vectors.
  std::shared_ptr<IrqTable> irqs;
  /// Work queues, 1 to 256.
  uint32_t queues = 0;
  /// Interrupt handles: the vectors from 0 on that descriptors may name.
  uint32_t handles = 0;
  RegisterOffsets offsets;
  dsa::Capabilities capabilities;
  /// What the registers are: those of `offsets` have to be shared. Null when there is no guest that could reach them.
  std::shared_ptr<const RegisterTable> table = nullptr;
};

/// Owner thread only.
class QueueDevice {
 public:
  /// Throws std::invalid_argument that names the option and what was expected.
  explicit QueueDevice(const QueueDeviceOptions& options);
  /// Closes it.
  ~QueueDevice();
  QueueDevice(const QueueDevice&) = delete;
  QueueDevice& operator=(const QueueDevice&) = delete;

  uint32_t queues() const { return static_cast<uint32_t>(queues_.size()); }
  const std::shared_ptr<PortalRegion>& portal() const { return portal_; }

  /// Throws std::invalid_argument, std::logic_error when the queue has not ended, or std::bad_alloc.
  void enable(uint32_t queue, const QueueConfig& config, const std::shared_ptr<Group>& group);
  /// For an enabled shared queue, from now on; see QueueConfig. Throws std::invalid_argument: no such queue.
  void setThreshold(uint32_t queue, uint32_t threshold);

  /// From now on errors go to the event log, which a group's engines write, if there are any. The guest's EVLSTATUS
  /// says where it begins. Throws std::invalid_argument, std::logic_error when a log is open, or std::bad_alloc.
  void openEventLog(const EventLogConfig& config, const std::shared_ptr<Group>& group);

  /// A command over some queues.
  struct Command {
    std::vector<uint32_t> queues;
    /// They take no descriptors any more.
    bool stopAccepting = false;
    /// What was submitted is abandoned instead of waited for, at its chunk; requests by message that the client has not
    /// answered are cancelled.
    bool abort = false;
    CommandEffects effects;
    /// Only what acts for this PASID is abandoned, or waited for.
    std::optional<uint32_t> pasid = std::nullopt;
    /// Errors that wait for the event log are written before, unless this aborts: then they are left as they are.
    bool drainEventLog = false;
    /// The event log is the guest's memory no more when this ends: what waits for it is written, or dropped if this
    /// aborts.
    bool closeEventLog = false;
  };
  /// Applies the effects when everything that was submitted before has ended: now (true), or later on an engine's
  /// thread (false). What the guest has seen to end counts as ended: for an engine that is between a record in mapped
  /// memory and its interrupt this waits. Throws std::invalid_argument, std::logic_error while another command is
  /// pending, or std::bad_alloc; then nothing has changed.
  bool command(Command command);
  bool commandPending() const { return device_->command.pending(); }

  /// Function-level and device reset: abandons every descriptor at its chunk, half-written ones in portals, and a
  /// pending command. On return neither guest memory nor a register nor a vector is touched any more, and no request by
  /// message is outstanding; waits for engines for at most one chunk, as an unmap. Not inside an EpochGuard.
  void reset();

  /// Nothing is dispatched any more, and every descriptor in flight stops at its chunk. On return guest memory,
  /// registers and vectors are left alone until `resume`, but for requests by message that are still to be answered:
  /// see `settled`. What the guest submits meanwhile waits. Waits for engines for at most one chunk, as `reset`. May be
  /// called again. Not inside an EpochGuard.
  void suspend();
  bool suspended() const { return device_->suspended.load(); }
  /// While suspended: no request by message is outstanding.
  bool settled() const;
  /// While suspended: ends requests that the client has not answered. They are made again after `resume`, with the same
  /// data. Only a record's status that the client may have written counts as written, because the guest may have given
  /// the record's memory to something else since.
  void cancelMessages();
  /// Every descriptor goes on where it stopped. May be called again.
  void resume();

  /// Everything that is not in registers: queues, descriptors that wait, those in flight with their progress, halves in
  /// portals, the pending command, counters. The device stays as it is. Throws std::logic_error when it is not
  /// suspended and settled, or std::bad_alloc.
  std::vector<std::byte> state() const;
  /// The queues' configuration, as the registers of the restored device say, and who serves them; nothing for those
  /// that are not enabled.
  struct RestoredQueue {
    QueueConfig config;
    std::shared_ptr<Group> group;
  };
  /// Goes on for another device in its place: what this one has is reset. The registers are restored already, and are
  /// left alone. `effects`: of the command that waits, if the registers say that one does; the state does not tell what
  /// a command may change. Throws std::invalid_argument when the bytes are not such a state or do not fit to this
  /// device, std::logic_error when it is not suspended, or std::bad_alloc; then nothing has changed.
  /// `log`: the event log, if the registers say that it is in use.
  struct RestoredEventLog {
    EventLogConfig config;
    std::shared_ptr<Group> group;
  };
  void restore(std::span<const std::byte> state, std::span<const std::optional<RestoredQueue>> queues,
               std::optional<CommandEffects> effects = std::nullopt,
               const std::optional<RestoredEventLog>& log = std::nullopt);

  void recordError(const SoftwareError& error) { device_->report(error); }
  /// Errors that came to SWERROR.
  uint64_t softwareErrors() const { return device_->errors.recorded(); }
  const EventLog& eventLog() const { return device_->log; }

  const WorkQueue& queue(uint32_t index) const { return *queues_.at(index); }

  /// Resets it, and takes no writes any more. May be called again.
  void close();

 private:
  /// What a queue may be enabled with. Throws std::invalid_argument.
  static void requireConfig(const QueueConfig& config);
  void requireEffects(const CommandEffects& effects) const;
  void requireEventLog(const EventLogConfig& config) const;
  bool keepsEventLog() const;
  void saveEventLog(StateWriter& archive) const;

  const std::shared_ptr<DeviceContext> device_;
  const std::shared_ptr<const RegisterTable> table_;
  std::vector<std::shared_ptr<WorkQueue>> queues_;
  /// Errors on their way to the event log.
  const std::shared_ptr<WorkQueue> logQueue_;
  /// All of these.
  std::vector<std::shared_ptr<WorkQueue>> everyQueue_;
  std::shared_ptr<PortalRegion> portal_;
  bool closed_ = false;
};

}  // namespace mdev

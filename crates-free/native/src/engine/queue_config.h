// The configuration with which a work queue is enabled, and its counters.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "dsa/descriptor.h"
#include "dsa/limits.h"
#include "engine/device_context.h"

namespace mdev {

/// WQCFG while the queue is enabled. DSA specification 9.2.24.
struct QueueConfig {
  /// Entries.
  uint32_t size = 0;
  /// A dedicated queue takes posted writes, a shared one deferrable writes (ENQCMD), which it can refuse.
  bool dedicated = true;
  /// A limited portal of a shared queue takes descriptors while fewer than this wait; more than `size` counts as that.
  uint32_t threshold = UINT32_MAX;
  /// 1 to 15: descriptors dispatched before every other queue of the group gets its turn.
  uint32_t priority = 1;
  /// In a shared queue each descriptor has its own (see `submitterOf`): this says that it has one, and whether it may
  /// be a privileged one.
  std::optional<Pasid> pasid;
  dsa::QueueLimits limits;
  /// Descriptors begun and not ended, if that is fewer than the group has.
  uint32_t mostInProgress = ~uint32_t{0};
};

/// Whom a descriptor acts for: a dedicated queue's is configured, a shared one's is in bytes 0 to 3, where ENQCMD has
/// put it. For a member of a batch, that of the batch. DSA specification 5.3.
inline std::optional<Pasid> submitterOf(const QueueConfig& config, const dsa::Descriptor& descriptor) {
  if (config.dedicated || !config.pasid) return config.pasid;
  return Pasid{descriptor.pasid(), descriptor.privileged()};
}

/// The run of errors on their way to an event log: in order, and like the best queue.
inline QueueConfig eventLogQueue() {
  QueueConfig config;
  config.size = EventLog::kMostWaiting;
  config.priority = 15;
  config.mostInProgress = 1;
  return config;
}

/// Counts since the device was made. Written by the owner thread and by engines.
struct QueueCounters {
  /// Descriptors accepted, and how they ended.
  std::atomic<uint64_t> submitted{0}, completed{0}, abandoned{0};
  /// Descriptors, or parts of them, written while the queue did not take any.
  std::atomic<uint64_t> dropped{0};
  /// Descriptors refused because the queue was full.
  std::atomic<uint64_t> full{0};
  /// Descriptors that were answered with Retry: nothing was wrong. Not among a device's state, which has had five.
  std::atomic<uint64_t> retried{0};
};

}  // namespace mdev

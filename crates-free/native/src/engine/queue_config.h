// The configuration with which a work queue is enabled, and its counters.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "dsa/limits.h"
#include "engine/device_context.h"

namespace mdev {

/// WQCFG while the queue is enabled. DSA specification 9.2.24.
struct QueueConfig {
  /// Entries.
  uint32_t size = 0;
  /// A shared queue takes no posted writes.
  bool dedicated = true;
  /// 1 to 15: descriptors dispatched before every other queue of the group gets its turn.
  uint32_t priority = 1;
  std::optional<Pasid> pasid;
  dsa::QueueLimits limits;
};

/// Counts since the device was made. Written by the owner thread and by engines.
struct QueueCounters {
  /// Descriptors accepted, and how they ended.
  std::atomic<uint64_t> submitted{0}, completed{0}, abandoned{0};
  /// Descriptors, or parts of them, written while the queue did not take any.
  std::atomic<uint64_t> dropped{0};
  /// Descriptors refused because the queue was full.
  std::atomic<uint64_t> full{0};
};

}  // namespace mdev

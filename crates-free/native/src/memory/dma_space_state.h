// What a DmaSpace holds; its owner's side and its readers' side share it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

#include "memory/dirty_tracker.h"
#include "memory/dma_limits.h"
#include "memory/dma_space.h"
#include "memory/epoch.h"
#include "memory/file_registry.h"
#include "memory/iova_tree.h"
#include "memory/memory_file.h"

namespace mdev {

/// Of offsets into a file, whatever the page size of the addresses is.
inline constexpr uint64_t kOffsetAlignment = 4096;

struct DmaSpace::State {
  /// Declared first: the others hold it.
  EpochDomain epochs;
  IovaTree tree{epochs};
  FileRegistry files{epochs};
  /// Shared with the channel, which notes what the client writes.
  std::shared_ptr<DirtyTracker> tracker = std::make_shared<DirtyTracker>(epochs);
  AgreedLimits limits;
  bool busMaster = false;
  bool enforceBusMaster = true;
  /// What the two say together; the readers' copy.
  std::atomic<bool> reachable{false};
  mutable std::mutex channelMutex;
  std::shared_ptr<MessageDma> channel;
  bool askUnmapped = true;
  /// There is a client to ask, and it has mapped nothing; the readers' copy.
  std::atomic<bool> asks{false};

  /// Owner thread: after each change of what it depends on.
  void updateAsks() {
    asks.store(askUnmapped && tree.size() == 0 && currentChannel() != nullptr, std::memory_order_release);
  }
  std::shared_ptr<MessageDma> currentChannel() const {
    const std::lock_guard lock(channelMutex);
    return channel;
  }
};

}  // namespace mdev

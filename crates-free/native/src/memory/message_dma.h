// Guest memory that has no file: reached through the client, by message.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "memory/dirty_tracker.h"

namespace mdev {

/// Largest transfer of one request, bytes. Equal to an engine's chunk.
inline constexpr uint32_t kMessageDmaMax = 64 * 1024;

/// Somebody who makes one request after another and may have to give up those that are under way. Requests carry
/// sequence numbers of their owner's.
struct MessageOwner {
  /// Requests of lower numbers are given up: they are not sent any more, and `MessageDma::cancelAbandoned` ends those
  /// that were.
  std::atomic<uint64_t> abandonedBefore{0};
};

/// One DMA_READ or DMA_WRITE. The requester allocates it once and uses it again after `finished`.
class MessageRequest {
 public:
  virtual ~MessageRequest() = default;
  /// Called exactly once per submit, on the owner thread (or on the submitting thread when there is no client, or when
  /// the request was given up): 0, or an errno. Must not block; typically wakes the engine that parked the descriptor.
  virtual void finished(int error) = 0;

  bool write = false;
  uint64_t address = 0;
  /// 1..kMessageDmaMax.
  uint32_t count = 0;
  /// Null: only cancelled with everything else at its address. Only looked into while it is submitted.
  const MessageOwner* owner = nullptr;
  uint64_t sequence = 0;

  bool abandoned() const { return owner != nullptr && sequence < owner->abandonedBefore.load(); }

  // --- The channel's, between `submit` and `finished` ---

  /// Bytes that were given to the client, which may have carried them out. The requester may read it after `finished`.
  uint32_t issued = 0;
  /// Bytes that the client has answered for.
  uint32_t answered = 0;
  /// The next one in the channel's list, so that taking a request allocates nothing.
  std::shared_ptr<MessageRequest> next;

  // --- The requester's again; last, so that who walks a list touches one cache line or two of each ---

  /// Payload of a write; filled for a read before `finished(0)`.
  std::array<std::byte, kMessageDmaMax> data;
};

/// The way to the client. Implemented by a connection; held by DmaSpace while a client is attached.
class MessageDma {
 public:
  virtual ~MessageDma() = default;
  /// Any thread. Never blocks, allocates or throws, and never runs `finished` under the caller's feet on the owner
  /// thread. A request that its owner has given up ends with ECANCELED at once, and is never sent: whoever raises
  /// `abandonedBefore` and calls `cancelAbandoned` afterwards leaves none behind, however late an engine submits.
  virtual void submit(std::shared_ptr<MessageRequest> request) = 0;
  /// Owner thread: every outstanding request that overlaps [address, address + size) ends with ECANCELED; its late
  /// reply is dropped.
  virtual void cancel(uint64_t address, uint64_t size) = 0;
  /// Owner thread: the same for every outstanding request that its owner has given up.
  virtual void cancelAbandoned() = 0;
  /// Owner thread: ends all outstanding requests with ECANCELED.
  virtual void cancelAll() = 0;

  /// Owner thread: where to note what the client writes for the device. DmaSpace says it.
  void setDirtyTracker(std::shared_ptr<const DirtyTracker> tracker) { tracker_ = std::move(tracker); }

 protected:
  /// Owner thread. The client has answered a DMA_WRITE, or may carry it out although it was cancelled.
  void noteWritten(uint64_t address, uint64_t length) const {
    if (tracker_ != nullptr) tracker_->wrote(address, length);
  }

 private:
  std::shared_ptr<const DirtyTracker> tracker_;
};

}  // namespace mdev

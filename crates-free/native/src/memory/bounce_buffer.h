// Guest memory without a file, for an engine: one request by message at a time, with its data.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "memory/message_dma.h"
#include "memory/waker.h"

namespace mdev {

/// A request by message and its data, allocated once and used again and again.
class BounceBuffer final : public MessageRequest {
 public:
  // Written out, so that making one does not clear the data.
  BounceBuffer() {}

  /// Sent, and not yet answered: nobody but the channel may touch it.
  bool busy() const { return busy_.load(std::memory_order_acquire); }
  /// 0 or the errno of the last answer.
  int error() const { return error_; }
  /// Sends it. Without a channel, or when its owner has given up, it fails at once.
  static void submit(const std::shared_ptr<BounceBuffer>& buffer, MessageDma* channel, std::shared_ptr<Waker> waker);

  void finished(int error) override;

  // --- While nobody else has it ---

  /// Leaves out the first bytes of what is to be written.
  void dropFirst(uint32_t bytes);
  /// Becomes a write that was made elsewhere, and how that ended: 0 or an errno. At most kMessageDmaMax bytes.
  void becomeWrite(uint64_t to, std::span<const std::byte> bytes, int ended);
  /// What takes the place of the last answer: 0 or an errno.
  void setError(int error) { error_ = error; }

 private:
  std::atomic<bool> busy_{false};
  int error_ = 0;
  std::shared_ptr<Waker> waker_;
};

}  // namespace mdev

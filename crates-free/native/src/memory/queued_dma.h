// What every way to the client's memory does alike: it takes requests from any thread, and ends them early.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "memory/message_dma.h"
#include "memory/message_list.h"

namespace mdev {

/// A request that is not over, for whoever wants to know what a device still waits for.
struct PendingRequest {
  bool write;
  uint64_t address;
  /// Bytes: of the whole request, given to the client, and answered by it.
  uint32_t count;
  uint32_t issued;
  uint32_t answered;
  /// Who waits, and for which of its requests; null: nobody who could give up.
  const MessageOwner* owner;
  uint64_t sequence;
};

/// Requests in the order of their submission, and their cancellation. How they reach the client is the derived class's.
///
/// `submit` is for any thread; everything else belongs to the owner thread.
///
/// Where another process goes on for this one (a handover), requests are not passed on: those of engines belong to
/// descriptors, which make them again (QueueDevice::suspend, `cancelMessages`), and nobody else could hear their end.
/// So who hands over suspends the device, waits for the end of what is `pending` as long as it wants to, and ends the
/// rest by `cancelAll`; what a client then still owes is the derived class's to hand over (DmaMessenger).
class QueuedDma : public MessageDma {
 public:
  void submit(std::shared_ptr<MessageRequest> request) final;
  void cancel(uint64_t address, uint64_t size) final;
  void cancelAbandoned() final;
  void cancelAll() final;

  /// What is not over, oldest first. May throw std::bad_alloc.
  std::vector<PendingRequest> pending();
  /// There is no client any more: everything ends with ECANCELED, now and from now on.
  void close();

 protected:
  /// Which requests a cancellation ends.
  class Selection {
   public:
    bool holds(const MessageRequest& request) const {
      if (one_ != nullptr) return &request == one_;
      if (abandoned_) return request.abandoned();
      return request.address <= last_ && first_ <= request.address + (request.count - 1);
    }

   private:
    friend class QueuedDma;
    uint64_t first_ = 0;
    uint64_t last_ = ~uint64_t{0};
    bool abandoned_ = false;
    const MessageRequest* one_ = nullptr;
  };

  /// `wake` is called on the submitting thread when there is something new; it must not block.
  explicit QueuedDma(std::function<void()> wake);

  /// Forgets what the client was given of the requests that are about to end; those that are not among `requests()` are
  /// moved to `over`. Runs nobody's `finished`.
  virtual void forget(const Selection& selection, MessageList& over) = 0;

  /// Moves what was submitted to `requests()`. False when nothing is there.
  bool takeSubmitted();
  /// Taken, and not over.
  MessageList& requests() { return requests_; }
  /// Ends one of `requests()`. May run anything.
  void finish(MessageRequest& request, int error);
  /// As a `submit`: there is something to do.
  void wake();
  void setWake(std::function<void()> wake);

 private:
  void cancel(const Selection& selection);

  std::mutex mutex_;
  std::function<void()> wake_;
  MessageList submitted_;
  bool closed_ = false;

  MessageList requests_;
};

}  // namespace mdev

// Guest memory without a file, of a VMM in this process.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>

#include "memory/message_dma.h"
#include "memory/message_list.h"

namespace mdev {

/// Requests that a function of the owner thread answers, one after the other, in the order of their submission.
///
/// `submit` is for any thread; everything else belongs to the owner thread. The last reference may go on any thread,
/// after `close`.
class CallbackDma final : public MessageDma {
 public:
  /// Answers one request: takes `data`, or fills it. 0 or an errno. May do anything, and cancel this very request.
  using Answer = std::function<int(bool write, uint64_t address, std::span<std::byte> data)>;
  /// Requests of one `serve`.
  static constexpr uint32_t kTurn = 64;

  /// `wake` is called on the submitting thread when there is something for `serve`; it must not block.
  CallbackDma(Answer answer, std::function<void()> wake);

  void submit(std::shared_ptr<MessageRequest> request) override;
  void cancel(uint64_t address, uint64_t size) override;
  void cancelOwner(const MessageOwner& owner) override;
  void cancelAll() override;

  /// Answers what was submitted, at most `kTurn` requests; wakes again when there is more. The caller keeps this alive.
  void serve();
  /// There is no VMM any more: everything ends with ECANCELED, now and from now on.
  void close();

 private:
  bool takeSubmitted();
  template <typename Predicate>
  void cancelIf(Predicate matches);

  std::mutex mutex_;
  std::function<void()> wake_;
  MessageList submitted_;
  bool closed_ = false;

  Answer answer_;
  MessageList requests_;
  /// The one that is being answered, until it is over.
  std::shared_ptr<MessageRequest> current_;
  /// Its data: the request may be over, and used again, before the answer returns.
  std::array<std::byte, kMessageDmaMax> data_;
};

}  // namespace mdev

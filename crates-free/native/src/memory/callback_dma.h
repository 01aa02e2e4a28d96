// Guest memory without a file, of a VMM in this process.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "memory/queued_dma.h"

namespace mdev {

/// Requests that a function of the owner thread answers, one after the other, in the order of their submission.
///
/// The last reference may go on any thread, after `close`.
class CallbackDma final : public QueuedDma {
 public:
  /// Answers one request: takes `data`, or fills it. 0 or an errno. May do anything, and cancel this very request.
  using Answer = std::function<int(bool write, uint64_t address, std::span<std::byte> data)>;
  /// Requests of one `serve`.
  static constexpr uint32_t kTurn = 64;

  /// `wake` is called on the submitting thread when there is something for `serve`; it must not block.
  CallbackDma(Answer answer, std::function<void()> wake);

  /// Answers what was submitted, at most `kTurn` requests; wakes again when there is more. The caller keeps this alive.
  void serve();
  /// There is no VMM any more: everything ends with ECANCELED, now and from now on.
  void close();

 private:
  void forget(const Selection& selection, MessageList& over) override;

  Answer answer_;
  /// The one that is being answered, until it is over.
  std::shared_ptr<MessageRequest> current_;
  /// Its data: the request may be over, and used again, before the answer returns.
  std::array<std::byte, kMessageDmaMax> data_;
};

}  // namespace mdev

#include "memory/callback_dma.h"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace mdev {

CallbackDma::CallbackDma(Answer answer, std::function<void()> wake)
    : QueuedDma(std::move(wake)), answer_(std::move(answer)) {}

void CallbackDma::serve() {
  for (uint32_t served = 0; takeSubmitted(); ++served) {
    if (served == kTurn) {
      wake();
      return;
    }
    current_ = requests().popFront();
    current_->issued = current_->count;
    const std::span<std::byte> data = std::span(data_).first(current_->count);
    const bool write = current_->write;
    if (write) std::copy_n(current_->data.begin(), data.size(), data.begin());
    // A copy: what it does may close this.
    const Answer answer = answer_;
    const int error = answer ? answer(write, current_->address, data) : ECANCELED;
    const std::shared_ptr<MessageRequest> request = std::exchange(current_, nullptr);
    if (request == nullptr) continue;
    if (write) noteWritten(request->address, request->count);
    if (!write && error == 0) std::copy_n(data.begin(), data.size(), request->data.begin());
    if (error == 0) request->answered = request->count;
    request->finished(error);
  }
}

void CallbackDma::forget(const Selection& selection, MessageList& over) {
  if (current_ == nullptr || !selection.holds(*current_)) return;
  // It may have been written already.
  if (current_->write) noteWritten(current_->address, current_->count);
  over.pushBack(std::exchange(current_, nullptr));
}

void CallbackDma::close() {
  answer_ = nullptr;
  QueuedDma::close();
}

}  // namespace mdev

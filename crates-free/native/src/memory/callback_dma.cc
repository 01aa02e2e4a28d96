#include "memory/callback_dma.h"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace mdev {

CallbackDma::CallbackDma(Answer answer, std::function<void()> wake)
    : wake_(std::move(wake)), answer_(std::move(answer)) {}

void CallbackDma::submit(std::shared_ptr<MessageRequest> request) {
  request->issued = request->answered = 0;
  {
    const std::lock_guard lock(mutex_);
    // Under the lock, as `cancelOwner`: it finds this request, or this finds that it is given up.
    if (!closed_ && !request->abandoned()) {
      const bool first = submitted_.empty();
      submitted_.pushBack(std::move(request));
      if (first) wake_();
      return;
    }
  }
  request->finished(ECANCELED);
}

bool CallbackDma::takeSubmitted() {
  const std::lock_guard lock(mutex_);
  requests_.append(submitted_);
  return !requests_.empty();
}

void CallbackDma::serve() {
  for (uint32_t served = 0; takeSubmitted(); ++served) {
    if (served == kTurn) {
      const std::lock_guard lock(mutex_);
      if (!closed_) wake_();
      return;
    }
    current_ = requests_.popFront();
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

template <typename Predicate>
void CallbackDma::cancelIf(Predicate matches) {
  takeSubmitted();
  MessageList over;
  requests_.moveIf(matches, over);
  if (current_ != nullptr && matches(*current_)) {
    const std::shared_ptr<MessageRequest> request = std::exchange(current_, nullptr);
    // It may have been written already.
    if (request->write) noteWritten(request->address, request->count);
    request->finished(ECANCELED);
  }
  while (!over.empty()) over.popFront()->finished(ECANCELED);
}

void CallbackDma::cancel(uint64_t address, uint64_t size) {
  if (size == 0) return;
  const uint64_t last = size - 1 > UINT64_MAX - address ? UINT64_MAX : address + (size - 1);
  cancelIf([&](const MessageRequest& request) {
    return request.address <= last && address <= request.address + (request.count - 1);
  });
}

void CallbackDma::cancelOwner(const MessageOwner& owner) {
  cancelIf([&](const MessageRequest& request) { return request.owner == &owner && request.abandoned(); });
}

void CallbackDma::cancelAll() {
  cancelIf([](const MessageRequest&) { return true; });
}

void CallbackDma::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    wake_ = nullptr;
  }
  answer_ = nullptr;
  cancelAll();
}

}  // namespace mdev

#include "memory/queued_dma.h"

#include <cerrno>
#include <utility>

namespace mdev {

QueuedDma::QueuedDma(std::function<void()> wake) : wake_(std::move(wake)) {}

void QueuedDma::submit(std::shared_ptr<MessageRequest> request) {
  request->issued = request->answered = 0;
  {
    const std::lock_guard lock(mutex_);
    // Under the lock, which `cancelAbandoned` takes after the owner has given up: it finds this request, or this finds
    // that it is given up.
    if (!closed_ && !request->abandoned()) {
      const bool first = submitted_.empty();
      submitted_.pushBack(std::move(request));
      // Under the lock: `close` then knows that no wake-up is under way.
      if (first) wake_();
      return;
    }
  }
  request->finished(ECANCELED);
}

bool QueuedDma::takeSubmitted() {
  const std::lock_guard lock(mutex_);
  requests_.append(submitted_);
  return !requests_.empty();
}

void QueuedDma::setWake(std::function<void()> wake) {
  const std::lock_guard lock(mutex_);
  wake_ = std::move(wake);
}

void QueuedDma::wake() {
  const std::lock_guard lock(mutex_);
  if (!closed_) wake_();
}

void QueuedDma::finish(MessageRequest& request, int error) {
  Selection selection;
  selection.one_ = &request;
  MessageList none;
  forget(selection, none);
  requests_.take(request)->finished(error);
}

void QueuedDma::cancel(const Selection& selection) {
  takeSubmitted();
  MessageList over;
  forget(selection, over);
  requests_.moveIf([&](const MessageRequest& request) { return selection.holds(request); }, over);
  // No look at anything of this object from here on: what is called may do anything.
  while (!over.empty()) over.popFront()->finished(ECANCELED);
}

void QueuedDma::cancel(uint64_t address, uint64_t size) {
  if (size == 0) return;
  Selection selection;
  selection.first_ = address;
  if (size - 1 <= UINT64_MAX - address) selection.last_ = address + (size - 1);
  cancel(selection);
}

void QueuedDma::cancelAbandoned() {
  Selection selection;
  selection.abandoned_ = true;
  cancel(selection);
}

void QueuedDma::cancelAll() { cancel(Selection()); }

std::vector<PendingRequest> QueuedDma::pending() {
  takeSubmitted();
  std::vector<PendingRequest> pending;
  for (const MessageRequest* request = requests_.front(); request != nullptr; request = request->next.get()) {
    pending.push_back({.write = request->write,
                       .address = request->address,
                       .count = request->count,
                       .issued = request->issued,
                       .answered = request->answered,
                       .owner = request->owner,
                       .sequence = request->sequence});
  }
  return pending;
}

void QueuedDma::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    wake_ = nullptr;
  }
  cancelAll();
}

}  // namespace mdev

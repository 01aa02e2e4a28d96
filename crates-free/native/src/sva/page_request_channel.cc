#include "sva/page_request_channel.h"

#include <new>
#include <utility>

namespace mdev {

PageRequestChannel::PageRequestChannel(Ask ask, std::function<void()> wake)
    : ask_(std::move(ask)), wake_(std::move(wake)) {}

PageRequestChannel::~PageRequestChannel() { close(); }

void PageRequestChannel::submit(std::shared_ptr<PageRequest> request) {
  {
    const std::lock_guard lock(mutex_);
    if (!closed_) {
      PageRequest* const added = request.get();
      const bool first = first_ == nullptr;
      (first ? first_ : last_->next_) = std::move(request);
      last_ = added;
      // Under the lock: `close` then knows that no wake-up is under way.
      if (first) wake_();
      return;
    }
  }
  request->answered(PageResponse::failure);
}

std::shared_ptr<PageRequest> PageRequestChannel::take() {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<PageRequest> taken = std::move(first_);
  if (taken == nullptr) return nullptr;
  first_ = std::move(taken->next_);
  if (first_ == nullptr) last_ = nullptr;
  return taken;
}

void PageRequestChannel::serve() {
  for (uint32_t served = 0; served < kTurn; ++served) {
    std::shared_ptr<PageRequest> request = take();
    if (request == nullptr) return;
    const uint64_t number = next_++;
    // A copy: what it does may close this.
    const Ask ask = ask_;
    try {
      asked_.emplace(number, request);
    } catch (const std::bad_alloc&) {
      request->answered(PageResponse::failure);
      continue;
    }
    if (ask) {
      ask(number, *request);
    } else {
      respond(number, PageResponse::failure);
    }
  }
  const std::lock_guard lock(mutex_);
  if (!closed_ && first_ != nullptr) wake_();
}

bool PageRequestChannel::respond(uint64_t number, PageResponse response) {
  const auto found = asked_.find(number);
  if (found == asked_.end()) return false;
  const std::shared_ptr<PageRequest> request = std::move(found->second);
  asked_.erase(found);
  request->answered(response);
  return true;
}

void PageRequestChannel::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    wake_ = nullptr;
  }
  ask_ = nullptr;
  while (!asked_.empty()) respond(asked_.begin()->first, PageResponse::failure);
  while (const std::shared_ptr<PageRequest> request = take()) request->answered(PageResponse::failure);
}

}  // namespace mdev

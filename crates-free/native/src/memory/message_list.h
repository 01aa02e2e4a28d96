// A list of requests that needs no memory of its own.
#pragma once

#include <cassert>
#include <memory>
#include <utility>

#include "memory/message_dma.h"

namespace mdev {

/// Requests in order, linked through `MessageRequest::next`: each may be in one list at a time.
class MessageList {
 public:
  MessageList() = default;
  /// One after the other: a long chain of owners would end in as deep a recursion.
  ~MessageList() {
    while (!empty()) popFront();
  }
  MessageList(const MessageList&) = delete;
  MessageList& operator=(const MessageList&) = delete;

  bool empty() const { return first_ == nullptr; }
  /// Null when it is empty.
  MessageRequest* front() const { return first_.get(); }

  void pushBack(std::shared_ptr<MessageRequest> request) {
    assert(request->next == nullptr);
    MessageRequest* const added = request.get();
    (last_ != nullptr ? last_->next : first_) = std::move(request);
    last_ = added;
  }

  /// Not when it is empty.
  std::shared_ptr<MessageRequest> popFront() {
    std::shared_ptr<MessageRequest> taken = std::move(first_);
    first_ = std::move(taken->next);
    if (first_ == nullptr) last_ = nullptr;
    return taken;
  }

  /// Takes out this one, and looks at none that is behind it. Null when it is not here.
  std::shared_ptr<MessageRequest> take(const MessageRequest& one) {
    MessageRequest* before = nullptr;
    for (std::shared_ptr<MessageRequest>* link = &first_; *link != nullptr; link = &before->next) {
      if (link->get() == &one) {
        std::shared_ptr<MessageRequest> taken = std::move(*link);
        *link = std::move(taken->next);
        if (last_ == &one) last_ = before;
        return taken;
      }
      before = link->get();
    }
    return nullptr;
  }

  /// Moves all of `other` behind what is here.
  void append(MessageList& other) {
    if (other.empty()) return;
    (last_ != nullptr ? last_->next : first_) = std::move(other.first_);
    last_ = std::exchange(other.last_, nullptr);
  }

  /// Moves those that match to the end of `to`, in order.
  template <typename Predicate>
  void moveIf(Predicate matches, MessageList& to) {
    MessageRequest* before = nullptr;
    std::shared_ptr<MessageRequest>* link = &first_;
    while (*link != nullptr) {
      if (!matches(**link)) {
        before = link->get();
        link = &before->next;
        continue;
      }
      std::shared_ptr<MessageRequest> taken = std::move(*link);
      *link = std::move(taken->next);
      to.pushBack(std::move(taken));
    }
    last_ = before;
  }

 private:
  std::shared_ptr<MessageRequest> first_;
  MessageRequest* last_ = nullptr;
};

}  // namespace mdev

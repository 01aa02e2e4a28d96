// The way of page requests from engines to the owner thread, and of their answers back.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "sva/page_request.h"

namespace mdev {

/// Takes page requests from any thread and has them answered on the owner thread: each exactly once, also when nobody
/// answers any more.
class PageRequestChannel {
 public:
  /// Puts one to whoever answers, who calls `respond` with its number: at once, or later. May do anything.
  using Ask = std::function<void(uint64_t number, const PageRequest& request)>;
  /// Requests of one `serve`.
  static constexpr uint32_t kTurn = 64;

  /// `wake` is called on the submitting thread when there is something for `serve`; it must not block.
  PageRequestChannel(Ask ask, std::function<void()> wake);
  /// Closed before.
  ~PageRequestChannel();
  PageRequestChannel(const PageRequestChannel&) = delete;
  PageRequestChannel& operator=(const PageRequestChannel&) = delete;

  /// Any thread. Never blocks, allocates or throws. How many may wait is the submitters' number: each request is one
  /// object of theirs.
  void submit(std::shared_ptr<PageRequest> request);

  // --- Owner thread ---

  /// Asks for what was submitted, at most `kTurn` requests; wakes again when there is more. The caller keeps this
  /// alive.
  void serve();
  /// False when no such request waits for an answer.
  bool respond(uint64_t number, PageResponse response);
  /// Everything is refused, now and from now on. May be called again.
  void close();

 private:
  /// The oldest of what was submitted, or null.
  std::shared_ptr<PageRequest> take();

  Ask ask_;
  std::mutex mutex_;
  std::function<void()> wake_;
  std::shared_ptr<PageRequest> first_;
  PageRequest* last_ = nullptr;
  bool closed_ = false;
  /// Those that were asked for.
  std::unordered_map<uint64_t, std::shared_ptr<PageRequest>> asked_;
  uint64_t next_ = 0;
};

}  // namespace mdev

// Page requests of engines, put to JavaScript.
#pragma once

#include <memory>

#include "base/file_descriptor.h"
#include "handler_object.h"
#include "poll_object.h"
#include "sva/page_request_channel.h"

namespace mdev {

/// What JavaScript gave as `{ request(number, pasid, iova, pages, rights, privileged) { … } }`, and the channel that
/// asks it from the event loop, which it does not keep alive. Owner thread. Its end refuses everything.
class PageRequestsOfEngines {
 public:
  /// Throws Napi::TypeError when the function is missing, std::system_error when there is no eventfd.
  PageRequestsOfEngines(napi_env env, napi_value handler);
  ~PageRequestsOfEngines();
  PageRequestsOfEngines(const PageRequestsOfEngines&) = delete;
  PageRequestsOfEngines& operator=(const PageRequestsOfEngines&) = delete;

  PageRequestChannel& channel() { return *channel_; }
  const std::shared_ptr<PageRequestChannel>& shared() const { return channel_; }

 private:
  std::shared_ptr<FileDescriptor> event_;
  std::shared_ptr<PageRequestChannel> channel_;
  /// Watches `event_`: it goes first.
  std::unique_ptr<Poll> poll_;
};

}  // namespace mdev

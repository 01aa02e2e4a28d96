// Guest memory that JavaScript answers for.
#pragma once

#include <memory>

#include "base/file_descriptor.h"
#include "handler_object.h"
#include "memory/callback_dma.h"
#include "poll_object.h"

namespace mdev {

/// `{ transfer(write, address, data) }` of JavaScript as the way to guest memory without a file. Keeps the event loop
/// alive. Owner thread only; its end ends everything that is outstanding.
class MessageMemory {
 public:
  /// Throws Napi::Error, or std::system_error.
  MessageMemory(napi_env env, napi_value handler);
  ~MessageMemory();
  MessageMemory(const MessageMemory&) = delete;
  MessageMemory& operator=(const MessageMemory&) = delete;

  const std::shared_ptr<CallbackDma>& dma() const { return dma_; }

 private:
  /// A read fills `data`. 0 or an errno.
  static int transfer(napi_env env, const JavaScriptHandler& handler, bool write, uint64_t address,
                      std::span<std::byte> data);

  /// Shared with those that wake the owner thread.
  const std::shared_ptr<FileDescriptor> event_;
  std::shared_ptr<CallbackDma> dma_;
  std::unique_ptr<Poll> poll_;
};

}  // namespace mdev

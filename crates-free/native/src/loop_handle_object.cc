#include "loop_handle_object.h"

#include <napi.h>

namespace mdev {

void LoopHandle::start() {
  handle()->data = this;
  // libuv aborts when a Worker's loop ends with handles open: the environment waits for this one.
  const auto end = [](napi_async_cleanup_hook_handle, void* data) { static_cast<LoopHandle*>(data)->close(); };
  napi_add_async_cleanup_hook(env_, end, this, &cleanup_);
}

void LoopHandle::leave() {
  owned_ = false;
  close();
  deleteIfLeft();
}

void LoopHandle::close() {
  const std::shared_ptr<void> last = takeCallback();
  if (isClosing()) return;
  uv_close(handle(), [](uv_handle_t* done) {
    auto* self = static_cast<LoopHandle*>(done->data);
    napi_remove_async_cleanup_hook(self->cleanup_);
    self->closed_ = true;
    self->deleteIfLeft();
  });
}

void LoopHandle::deleteIfLeft() {
  if (closed_ && !owned_) delete this;
}

}  // namespace mdev

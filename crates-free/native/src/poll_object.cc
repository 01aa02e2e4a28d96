#include "poll_object.h"

#include <napi.h>
#include <uv.h>

#include <system_error>
#include <utility>

#include "environment_object.h"

namespace mdev {

/// The libuv handle outlives the Poll until libuv has closed it, and the Poll may outlive the handle when the
/// environment ends first. Whoever leaves last deletes.
struct Poll::Handle {
  uv_poll_t poll;
  napi_env env;
  napi_async_cleanup_hook_handle cleanup = nullptr;
  std::shared_ptr<Callback> callback;
  bool owned = true;
  bool closed = false;

  void close() {
    callback.reset();
    auto* handle = reinterpret_cast<uv_handle_t*>(&poll);
    if (closed || uv_is_closing(handle) != 0) return;
    uv_close(handle, [](uv_handle_t* done) {
      auto* self = static_cast<Handle*>(done->data);
      napi_remove_async_cleanup_hook(self->cleanup);
      self->closed = true;
      self->deleteIfLeft();
    });
  }

  void deleteIfLeft() {
    if (closed && !owned) delete this;
  }
};

Poll::Poll(napi_env env, int fd, Callback callback) {
  uv_loop_t* loop = nullptr;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) throw Napi::Error::New(env);
  auto handle = std::make_unique<Handle>();
  handle->env = env;
  handle->callback = std::make_shared<Callback>(std::move(callback));
  if (const int error = uv_poll_init(loop, &handle->poll, fd); error != 0) {
    throw std::system_error(-error, std::generic_category(), "watching a file descriptor");
  }
  handle_ = handle.release();
  handle_->poll.data = handle_;
  // libuv aborts when a Worker's loop ends with handles open: the environment waits for this one.
  const auto end = [](napi_async_cleanup_hook_handle, void* data) { static_cast<Handle*>(data)->close(); };
  napi_add_async_cleanup_hook(env, end, handle_, &handle_->cleanup);
}

Poll::~Poll() {
  handle_->owned = false;
  handle_->close();
  handle_->deleteIfLeft();
}

int Poll::watch(int events) {
  if (handle_->closed || uv_is_closing(reinterpret_cast<uv_handle_t*>(&handle_->poll)) != 0) return UV_ECANCELED;
  if (events == 0) return uv_poll_stop(&handle_->poll);
  return uv_poll_start(&handle_->poll, events, [](uv_poll_t* poll, int status, int ready) {
    auto* self = static_cast<Handle*>(poll->data);
    // The callback may destroy the Poll, and with it the handle's share of the callback.
    const std::shared_ptr<Callback> callback = self->callback;
    if (callback == nullptr) return;
    const CallbackBatch batch(self->env);
    (*callback)(status, ready);
  });
}

void Poll::setReferenced(bool referenced) {
  auto* handle = reinterpret_cast<uv_handle_t*>(&handle_->poll);
  if (handle_->closed || uv_is_closing(handle) != 0) return;
  referenced ? uv_ref(handle) : uv_unref(handle);
}

}  // namespace mdev

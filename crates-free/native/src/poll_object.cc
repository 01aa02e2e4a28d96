#include "poll_object.h"

#include <napi.h>
#include <uv.h>

#include <system_error>
#include <utility>

#include "environment_object.h"
#include "loop_handle_object.h"

namespace mdev {

Poll::Poll(napi_env env, int fd, Callback callback) {
  uv_loop_t* loop = nullptr;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) throw Napi::Error::New(env);
  auto handle = std::make_unique<Handle>(env, std::move(callback));
  if (const int error = uv_poll_init(loop, handle->uv(), fd); error != 0) {
    throw std::system_error(-error, std::generic_category(), "watching a file descriptor");
  }
  handle_ = handle.release();
  handle_->start();
}

Poll::~Poll() { handle_->leave(); }

int Poll::watch(int events) {
  if (handle_->isClosing()) return UV_ECANCELED;
  if (events == 0) return uv_poll_stop(handle_->uv());
  return uv_poll_start(handle_->uv(), events, [](uv_poll_t* poll, int status, int ready) {
    const auto& self = Handle::of(poll);
    const std::shared_ptr<Callback> callback = self.callback();
    if (callback == nullptr) return;
    const CallbackBatch batch(self.env());
    (*callback)(status, ready);
  });
}

void Poll::setReferenced(bool referenced) {
  if (handle_->isClosing()) return;
  auto* handle = reinterpret_cast<uv_handle_t*>(handle_->uv());
  referenced ? uv_ref(handle) : uv_unref(handle);
}

}  // namespace mdev

#include "loop_signal_object.h"

#include <napi.h>
#include <uv.h>

#include <utility>

#include "environment_object.h"

namespace mdev {

namespace {

/// The libuv handle outlives the signal until libuv has closed it, and the signal may outlive the handle when the
/// environment ends first. Whoever leaves last deletes.
struct Handle {
  uv_async_t async;
  napi_env env;
  napi_async_cleanup_hook_handle cleanup = nullptr;
  std::shared_ptr<std::function<void()>> called;
  bool owned = true;
  bool closed = false;

  void close() {
    const auto last = std::move(called);
    auto* handle = reinterpret_cast<uv_handle_t*>(&async);
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

class AsyncSignal final : public LoopSignal {
 public:
  explicit AsyncSignal(Handle* handle) : handle_(handle) {}
  ~AsyncSignal() override {
    handle_->owned = false;
    handle_->close();
    handle_->deleteIfLeft();
  }
  void send() override { uv_async_send(&handle_->async); }

 private:
  Handle* const handle_;
};

}  // namespace

std::unique_ptr<LoopSignal> createLoopSignal(napi_env env, std::function<void()> called) {
  uv_loop_t* loop = nullptr;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) return nullptr;
  auto handle = std::make_unique<Handle>();
  handle->env = env;
  handle->called = std::make_shared<std::function<void()>>(std::move(called));
  const auto onAsync = [](uv_async_t* async) {
    const auto* self = static_cast<Handle*>(async->data);
    // It may destroy the signal, and with it the handle's share of the function.
    const auto called = self->called;
    if (called == nullptr) return;
    const CallbackBatch batch(self->env);
    (*called)();
  };
  if (uv_async_init(loop, &handle->async, onAsync) != 0) return nullptr;
  Handle* const started = handle.release();
  started->async.data = started;
  auto signal = std::make_unique<AsyncSignal>(started);
  // libuv aborts when a Worker's loop ends with handles open: the environment waits for this one.
  const auto end = [](napi_async_cleanup_hook_handle, void* data) { static_cast<Handle*>(data)->close(); };
  napi_add_async_cleanup_hook(env, end, started, &started->cleanup);
  return signal;
}

}  // namespace mdev

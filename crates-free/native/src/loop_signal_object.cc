#include "loop_signal_object.h"

#include <napi.h>
#include <uv.h>

#include <utility>

#include "environment_object.h"
#include "loop_handle_object.h"

namespace mdev {

namespace {

using Handle = LoopHandleOf<uv_async_t, std::function<void()>>;

class AsyncSignal final : public LoopSignal {
 public:
  explicit AsyncSignal(Handle* handle) : handle_(handle) {}
  ~AsyncSignal() override { handle_->leave(); }
  void send() override { uv_async_send(handle_->uv()); }

 private:
  Handle* const handle_;
};

}  // namespace

std::unique_ptr<LoopSignal> createLoopSignal(napi_env env, std::function<void()> called) {
  uv_loop_t* loop = nullptr;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) return nullptr;
  auto handle = std::make_unique<Handle>(env, std::move(called));
  const auto onAsync = [](uv_async_t* async) {
    const Handle& self = Handle::of(async);
    const auto callback = self.callback();
    if (callback == nullptr) return;
    const CallbackBatch batch(self.env());
    (*callback)();
  };
  if (uv_async_init(loop, handle->uv(), onAsync) != 0) return nullptr;
  Handle* const started = handle.release();
  started->start();
  return std::make_unique<AsyncSignal>(started);
}

}  // namespace mdev

// What objects on the event loop of one JavaScript environment share.
#pragma once

#include <uv.h>

#include <memory>
#include <utility>

typedef struct napi_env__* napi_env;
typedef struct napi_async_cleanup_hook_handle__* napi_async_cleanup_hook_handle;

namespace mdev {

/// A libuv handle outlives the object that has it until libuv has closed it, and the object may outlive the handle when
/// the environment ends first. Whoever leaves last deletes. Owner thread only.
class LoopHandle {
 public:
  LoopHandle(const LoopHandle&) = delete;
  LoopHandle& operator=(const LoopHandle&) = delete;

  /// libuv has initialized the handle: from now on it is deleted by `leave`, and by nobody else.
  void start();
  /// The object is destroyed: nothing is called any more.
  void leave();
  /// Whether the object has left, or the environment is about to end.
  bool isClosing() { return closed_ || uv_is_closing(handle()) != 0; }
  napi_env env() const { return env_; }

 protected:
  explicit LoopHandle(napi_env env) : env_(env) {}
  virtual ~LoopHandle() = default;
  virtual uv_handle_t* handle() = 0;
  /// Gives up what libuv's callback calls.
  virtual std::shared_ptr<void> takeCallback() = 0;

 private:
  void close();
  void deleteIfLeft();

  const napi_env env_;
  napi_async_cleanup_hook_handle cleanup_ = nullptr;
  bool owned_ = true;
  bool closed_ = false;
};

/// With a libuv handle of this kind, and the function that its callback is to call.
template <typename Uv, typename Callback>
class LoopHandleOf final : public LoopHandle {
 public:
  LoopHandleOf(napi_env env, Callback callback)
      : LoopHandle(env), callback_(std::make_shared<Callback>(std::move(callback))) {}
  ~LoopHandleOf() override = default;

  static LoopHandleOf& of(Uv* uv) { return *static_cast<LoopHandleOf*>(static_cast<LoopHandle*>(uv->data)); }
  Uv* uv() { return &uv_; }
  /// Null when nothing is to be called any more. Whoever calls it keeps a share: it may destroy the object.
  std::shared_ptr<Callback> callback() const { return callback_; }

 private:
  uv_handle_t* handle() override { return reinterpret_cast<uv_handle_t*>(&uv_); }
  std::shared_ptr<void> takeCallback() override { return std::move(callback_); }

  Uv uv_{};
  std::shared_ptr<Callback> callback_;
};

}  // namespace mdev

// A file descriptor watched by the event loop of one JavaScript environment.
#pragma once

#include <functional>
#include <memory>

typedef struct napi_env__* napi_env;
struct uv_poll_s;

namespace mdev {

template <typename Uv, typename Callback>
class LoopHandleOf;

/// Watches a file descriptor on the environment's own loop (uv_poll). Owner thread only.
///
/// The callback runs inside a CallbackBatch. It may destroy the Poll. Destroying it stops the callbacks at once; the
/// handle itself is closed by libuv later, also when the environment ends first. The descriptor must stay open as long
/// as the Poll lives and is not closed by it.
class Poll {
 public:
  /// `status` is 0 or a negative libuv error; `events` as given to `start`.
  using Callback = std::function<void(int status, int events)>;

  /// Throws std::system_error when the loop cannot watch this kind of descriptor (a regular file, say).
  Poll(napi_env env, int fd, Callback callback);
  ~Poll();
  Poll(const Poll&) = delete;
  Poll& operator=(const Poll&) = delete;

  /// Watches for `events` (UV_READABLE, UV_WRITABLE, UV_DISCONNECT); 0 stops. 0, or a negative libuv error.
  int watch(int events);
  /// Whether the loop stays alive for this descriptor alone. It does at first.
  void setReferenced(bool referenced);

 private:
  using Handle = LoopHandleOf<uv_poll_s, Callback>;
  Handle* handle_;
};

}  // namespace mdev

#include "transport_object.h"

#include <fcntl.h>
#include <napi.h>

#include <cerrno>
#include <utility>

#include "arguments_object.h"
#include "socket_error_object.h"
#include "transport/unix_socket.h"
#include "transport/uv_poll_transport.h"

namespace mdev {

namespace {

/// Keeps the environment from ending before the transport's handles are closed.
struct EnvironmentHook {
  explicit EnvironmentHook(std::function<void()> callback) : ends(std::move(callback)) {}
  ~EnvironmentHook() { napi_remove_async_cleanup_hook(handle); }
  EnvironmentHook(const EnvironmentHook&) = delete;
  EnvironmentHook& operator=(const EnvironmentHook&) = delete;

  std::function<void()> ends;
  napi_async_cleanup_hook_handle handle = nullptr;
};

}  // namespace

std::unique_ptr<Transport> createTransport(napi_env env, ForeignFd socket, std::function<void()> environmentEnds) {
  uv_loop_s* loop = nullptr;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) throw Napi::Error::New(env);
  auto hook = std::make_unique<EnvironmentHook>(std::move(environmentEnds));
  const auto run = [](napi_async_cleanup_hook_handle, void* data) { static_cast<EnvironmentHook*>(data)->ends(); };
  if (napi_add_async_cleanup_hook(env, run, hook.get(), &hook->handle) != napi_ok) throw Napi::Error::New(env);
  return std::make_unique<UvPollTransport>(loop, std::move(socket), [owned = hook.release()] { delete owned; });
}

ForeignFd givenDescriptorArgument(napi_env env, napi_value value) {
  const int fd = static_cast<int>(uint32Argument(env, value, "fd", INT32_MAX));
  // A number that is not open now may be somebody else's descriptor by the time that it is closed.
  if (::fcntl(fd, F_GETFD) < 0) return {};
  return {fd, std::make_shared<FdCloser>()};
}

void requireConnectedSocket(napi_env env, napi_value value) {
  const int fd = static_cast<int>(uint32Argument(env, value, "fd", INT32_MAX));
  const SocketRole role = throwingSocketErrors(env, [&] { return prepareSocket(fd); });
  if (role != SocketRole::connected) {
    throwSocketError(env, SocketError(ENOTCONN, "file descriptor " + std::to_string(fd) +
                                                    " is a listening socket; expected a connected one"));
  }
}

}  // namespace mdev

// `Listener` in JavaScript: a listening UNIX socket.
#include <napi.h>
#include <uv.h>

#include <cerrno>
#include <memory>
#include <string>
#include <utility>

#include "arguments_object.h"
#include "environment_object.h"
#include "handler_object.h"
#include "napi_objects.h"
#include "poll_object.h"
#include "socket_error_object.h"
#include "transport/unix_socket.h"

namespace mdev {

namespace {

/// Clients taken in one callback, so that a crowd of them does not keep the loop.
constexpr int kAcceptsPerCall = 16;

class ListenerObject : public Napi::ObjectWrap<ListenerObject> {
 public:
  /// new Listener(path | fd, { connection(fd), failed(code) }, ownPath?): `ownPath` is a path of the descriptor's that
  /// goes with this listener.
  explicit ListenerObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<ListenerObject>(info) {
    const Napi::Env env = info.Env();
    handler_ = std::make_shared<JavaScriptHandler>(env, info[1], std::initializer_list{"connection", "failed"});
    socket_ = std::make_unique<ListeningSocket>(throwingSocketErrors(env, [&] {
      if (info[0].IsString()) return ListeningSocket::at(info[0].As<Napi::String>());
      const int fd = static_cast<int>(uint32Argument(env, info[0], "fd", INT32_MAX));
      if (prepareSocket(fd) != SocketRole::listening) {
        throw SocketError(EINVAL,
                          "file descriptor " + std::to_string(fd) + " is a connected socket; expected a listening one");
      }
      if (info[2].IsString()) return ListeningSocket::adopt(FileDescriptor(fd), info[2].As<Napi::String>());
      return ListeningSocket::adopt(FileDescriptor(fd));
    }));
    poll_ = std::make_unique<Poll>(env, socket_->fd(), [this](int, int) { accept(); });
    poll_->watch(UV_READABLE);
    Ref();
  }
  // The poll watches the socket: it must go first.
  ~ListenerObject() override { poll_.reset(); }

  static Napi::Function define(Napi::Env env) {
    using This = ListenerObject;
    return DefineClass(env, "Listener",
                       {
                           InstanceMethod<&This::pause>("pause"),
                           InstanceMethod<&This::resume>("resume"),
                           InstanceMethod<&This::descriptor>("descriptor"),
                           InstanceMethod<&This::disown>("disown"),
                           InstanceMethod<&This::close>("close"),
                       });
  }

 private:
  using Info = Napi::CallbackInfo;

  void accept() {
    for (int i = 0; i < kAcceptsPerCall && socket_ != nullptr && !paused_; ++i) {
      int error = 0;
      ForeignFd client = socket_->accept(error);
      if (error == EAGAIN || error == ECONNABORTED) return;
      const auto handler = handler_;
      const JavaScriptHandler::Visit visit(*handler);
      if (!visit) return;
      if (error != 0) {
        // The client still waits, so the socket stays readable: nothing but a pause ends that.
        paused_ = true;
        poll_->watch(0);
        visit.call(kFailed, {visit.string(uv_err_name(-error))});
        return;
      }
      const napi_value fd = visit.number(client.get());
      if (fd == nullptr) return;
      static_cast<void>(client.release());
      visit.call(kConnection, {fd});
    }
  }

  void pause(const Info&) {
    paused_ = true;
    if (poll_ != nullptr) poll_->watch(0);
  }
  void resume(const Info&) {
    paused_ = false;
    if (poll_ != nullptr) poll_->watch(UV_READABLE);
  }

  /// -1 when it is closed.
  Napi::Value descriptor(const Info& info) {
    return Napi::Number::New(info.Env(), socket_ == nullptr ? -1 : socket_->fd());
  }
  void disown(const Info&) {
    if (socket_ != nullptr) socket_->disown();
  }

  void close(const Info&) {
    if (socket_ == nullptr) return;
    poll_.reset();
    socket_.reset();
    // JavaScript's functions hold this object: the circle ends here.
    handler_.reset();
    Unref();
  }

  enum Function { kConnection, kFailed };

  /// Null once closed.
  std::shared_ptr<JavaScriptHandler> handler_;
  std::unique_ptr<ListeningSocket> socket_;
  std::unique_ptr<Poll> poll_;
  bool paused_ = false;
};

/// isListening(fd): boolean; throws when it is no socket that a server can use.
Napi::Value isListening(const Napi::CallbackInfo& info) {
  const int fd = static_cast<int>(uint32Argument(info.Env(), info[0], "fd", INT32_MAX));
  const SocketRole role = throwingSocketErrors(info.Env(), [&] { return prepareSocket(fd); });
  return Napi::Boolean::New(info.Env(), role == SocketRole::listening);
}

/// peerProcess(fd): number
Napi::Value peerProcessOf(const Napi::CallbackInfo& info) {
  const int fd = static_cast<int>(uint32Argument(info.Env(), info[0], "fd", INT32_MAX));
  return Napi::Number::New(info.Env(), throwingSocketErrors(info.Env(), [&] { return peerProcess(fd); }));
}

/// peerUser(fd): number
Napi::Value peerUserOf(const Napi::CallbackInfo& info) {
  const int fd = static_cast<int>(uint32Argument(info.Env(), info[0], "fd", INT32_MAX));
  return Napi::Number::New(info.Env(), throwingSocketErrors(info.Env(), [&] { return peerUser(fd); }));
}

}  // namespace

void registerListener(Napi::Env env, Napi::Object exports) {
  exports.Set("Listener", ListenerObject::define(env));
  exports.Set("isListening", Napi::Function::New<&isListening>(env, "isListening"));
  exports.Set("peerProcess", Napi::Function::New<&peerProcessOf>(env, "peerProcess"));
  exports.Set("peerUser", Napi::Function::New<&peerUserOf>(env, "peerUser"));
}

}  // namespace mdev

// `Channel` in JavaScript: the client's side of a vfio-user stream, and how to get such a stream.
#include <napi.h>
#include <sys/socket.h>

#include <cerrno>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "arguments_object.h"
#include "base/fd_closer.h"
#include "environment_object.h"
#include "handler_object.h"
#include "napi_objects.h"
#include "socket_error_object.h"
#include "transport/socket_io.h"
#include "transport_object.h"
#include "vfio_user/channel.h"

namespace mdev {

namespace {

using vfio_user::Channel;
using vfio_user::ChannelHandler;

/// `{ message(bytes, fds), closed(reason) }` of JavaScript, which owns the fds it gets.
class JavaScriptChannelHandler final : public ChannelHandler {
 public:
  JavaScriptChannelHandler(napi_env env, napi_value object, std::function<void()> released)
      : env_(env), handler_(std::make_shared<JavaScriptHandler>(env, object, kNames)), released_(std::move(released)) {}

  void message(std::span<const std::byte> message, std::vector<ForeignFd> fds) override {
    const auto handler = handler_;
    const JavaScriptHandler::Visit visit(*handler);
    if (!visit) return;
    std::vector<int> numbers;
    for (const ForeignFd& fd : fds) numbers.push_back(fd.get());
    const napi_value bytes = visit.bytes(message);
    const napi_value list = visit.numbers(numbers);
    if (bytes == nullptr || list == nullptr) return;
    for (ForeignFd& fd : fds) static_cast<void>(fd.release());
    visit.call(kMessage, {bytes, list});
  }

  void closed(const std::string& reason) override {
    // JavaScript's functions hold the JavaScript object, which holds this: the circle ends here.
    const auto handler = std::exchange(handler_, nullptr);
    {
      const JavaScriptHandler::Visit visit(*handler);
      if (visit) visit.call(kClosed, {visit.string(reason)});
    }
    std::exchange(released_, nullptr)();
  }

  void roundBegan() override { batch_.emplace(env_); }
  void roundEnded() override { batch_.reset(); }

 private:
  enum Function { kMessage, kClosed };
  static constexpr std::initializer_list<const char*> kNames = {"message", "closed"};

  const napi_env env_;
  /// Null once closed.
  std::shared_ptr<JavaScriptHandler> handler_;
  std::function<void()> released_;
  std::optional<CallbackBatch> batch_;
};

class ChannelObject : public Napi::ObjectWrap<ChannelObject> {
 public:
  /// new Channel(fd, handler): takes `fd`, also when it throws.
  explicit ChannelObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<ChannelObject>(info) {
    const Napi::Env env = info.Env();
    ForeignFd given = givenDescriptorArgument(env, info[0]);
    auto handler = std::make_shared<JavaScriptChannelHandler>(env, info[1], [this] { Unref(); });
    requireConnectedSocket(env, info[0]);
    closer_ = std::make_shared<FdCloser>();
    ForeignFd socket(given.release(), closer_);
    const auto opened = std::make_shared<std::weak_ptr<Channel>>();
    auto transport = createTransport(env, std::move(socket), [opened] {
      if (const auto channel = opened->lock()) channel->close("the process ends");
    });
    channel_ = std::make_shared<Channel>(std::move(transport), std::move(handler), closer_);
    *opened = channel_;
    // While it is open, the event loop holds it.
    Ref();
    try {
      channel_->start();
    } catch (const std::system_error& error) {
      Unref();
      throwSystemError(env, error.code().value(), "uv_poll");
    }
  }

  static Napi::Function define(Napi::Env env) {
    using This = ChannelObject;
    return DefineClass(env, "Channel",
                       {
                           InstanceMethod<&This::send>("send"),
                           InstanceMethod<&This::pending>("pending"),
                           InstanceMethod<&This::setPaused>("setPaused"),
                           InstanceMethod<&This::closeFd>("closeFd"),
                           InstanceMethod<&This::close>("close"),
                       });
  }

 private:
  using Info = Napi::CallbackInfo;

  void send(const Info& info) {
    const Napi::Env env = info.Env();
    const std::span<std::byte> bytes = bytesArgument(env, info[0], "bytes");
    if (!info[1].IsArray()) throw Napi::TypeError::New(env, "fds is not an array");
    const auto list = info[1].As<Napi::Array>();
    if (list.Length() > kMaxFdsPerRead || (list.Length() > 0 && bytes.empty())) {
      throw Napi::RangeError::New(env, std::to_string(list.Length()) + " fds with " + std::to_string(bytes.size()) +
                                           " bytes; expected at most " + std::to_string(kMaxFdsPerRead) +
                                           ", and at least one byte");
    }
    std::vector<FileDescriptor> fds;
    for (uint32_t i = 0; i < list.Length(); ++i) {
      fds.push_back(descriptorArgument(env, Napi::Value(list[i]), "an fd"));
    }
    channel_->send(bytes, std::move(fds));
  }

  Napi::Value pending(const Info& info) {
    return Napi::Number::New(info.Env(), static_cast<double>(channel_->pending()));
  }
  void setPaused(const Info& info) { channel_->setPaused(boolArgument(info.Env(), info[0], "paused")); }
  // Of a closed channel too: what it brought is still to be closed.
  void closeFd(const Info& info) {
    closer_->close(FileDescriptor(static_cast<int>(uint32Argument(info.Env(), info[0], "fd", INT32_MAX))));
  }
  void close(const Info& info) { channel_->close(info[0].ToString()); }

  std::shared_ptr<FdCloser> closer_;
  std::shared_ptr<Channel> channel_;
};

/// connectSocket(path): number
Napi::Value connectSocket(const Napi::CallbackInfo& info) {
  if (!info[0].IsString()) throw Napi::TypeError::New(info.Env(), "path is not a string");
  const std::string path = info[0].As<Napi::String>();
  return Napi::Number::New(info.Env(), throwingSocketErrors(info.Env(), [&] { return connectUnix(path); }).release());
}

/// socketPair(): [number, number]
Napi::Value socketPair(const Napi::CallbackInfo& info) {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0) {
    throwSystemError(info.Env(), errno, "socketpair");
  }
  const auto list = Napi::Array::New(info.Env(), 2);
  for (uint32_t i = 0; i < 2; ++i) list.Set(i, Napi::Number::New(info.Env(), fds[i]));
  return list;
}

}  // namespace

void registerChannel(Napi::Env env, Napi::Object exports) {
  exports.Set("Channel", ChannelObject::define(env));
  exports.Set("connectSocket", Napi::Function::New<&connectSocket>(env, "connectSocket"));
  exports.Set("socketPair", Napi::Function::New<&socketPair>(env, "socketPair"));
}

}  // namespace mdev

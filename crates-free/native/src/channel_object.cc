// `Channel` in JavaScript: the client's side of a vfio-user stream, and how to get such a stream.
#include <napi.h>
#include <sys/socket.h>

#include <cerrno>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "arguments_object.h"
#include "base/fd_closer.h"
#include "napi_objects.h"
#include "socket_error_object.h"
#include "stream_object.h"
#include "transport/socket_io.h"
#include "vfio_user/channel.h"

namespace mdev {

namespace {

using vfio_user::Channel;
using vfio_user::ChannelHandler;

/// `{ message(bytes, fds), closed(reason) }` of JavaScript, which owns the fds it gets.
class JavaScriptChannelHandler final : public JavaScriptStreamHandler<ChannelHandler> {
 public:
  JavaScriptChannelHandler(napi_env env, napi_value object, std::function<void()> released)
      : JavaScriptStreamHandler(env, object, {"message", "closed"}, std::move(released)) {}

  void message(std::span<const std::byte> message, std::vector<ForeignFd> fds) override {
    const auto held = handler();
    const JavaScriptHandler::Visit visit(*held);
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
    end([&](const JavaScriptHandler::Visit& visit) { visit.call(kClosed, {visit.string(reason)}); });
  }

 private:
  enum Function { kMessage, kClosed };
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
    channel_ = openStream<Channel>(env, *this, std::move(socket), [&](std::unique_ptr<Transport> transport) {
      return std::make_shared<Channel>(std::move(transport), std::move(handler), closer_);
    });
  }

  static Napi::Function define(Napi::Env env) {
    using This = ChannelObject;
    return DefineClass(env, "Channel",
                       {
                           InstanceMethod<&This::send>("send"),
                           InstanceMethod<&This::answer>("answer"),
                           InstanceMethod<&This::sendNow>("sendNow"),
                           InstanceMethod<&This::endReading>("endReading"),
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
    std::vector<FileDescriptor> fds = descriptorsArgument(env, info[1], "fds", bytes.empty() ? 0 : kMaxFdsPerRead);
    channel_->send(bytes, std::move(fds));
  }

  void answer(const Info& info) { channel_->answer(bytesArgument(info.Env(), info[0], "bytes")); }

  Napi::Value sendNow(const Info& info) {
    return Napi::Number::New(info.Env(), channel_->sendNow(bytesArgument(info.Env(), info[0], "bytes")));
  }
  void endReading(const Info&) { channel_->endReading(); }

  Napi::Value pending(const Info& info) {
    return Napi::Number::New(info.Env(), static_cast<double>(channel_->unsent()));
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

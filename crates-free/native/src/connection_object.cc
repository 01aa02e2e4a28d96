// `Connection` in JavaScript: one client of one device.
#include <napi.h>
#include <uv.h>

#include <cerrno>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "arguments_object.h"
#include "base/eventfd.h"
#include "core/io_event_fd.h"
#include "handover_object.h"
#include "napi_objects.h"
#include "poll_object.h"
#include "stream_object.h"
#include "transport/socket_io.h"
#include "vfio_user/connection.h"

namespace mdev {

namespace {

using vfio_user::Agreement;
using vfio_user::Connection;
using vfio_user::ConnectionHandler;

/// `{ message(command, body), refused(command, errno), closed(reason), failed(error) }` of JavaScript. `message`
/// returns the body of the reply as Uint8Array, an errno, or undefined: later. What one of the first three throws goes
/// to `failed` and no further: it ends this connection, and nothing else.
class JavaScriptConnectionHandler final : public JavaScriptStreamHandler<ConnectionHandler> {
 public:
  JavaScriptConnectionHandler(napi_env env, napi_value object, std::function<void()> released)
      : JavaScriptStreamHandler(env, object, {"message", "refused", "closed", "failed"}, std::move(released)) {}

  int message(uint16_t command, std::span<const std::byte> body, std::vector<std::byte>& reply) override {
    const auto held = handler();
    const JavaScriptHandler::Visit visit(*held);
    if (!visit) return kFailed;
    const napi_value result = visit.callGuarded(kMessage, {visit.number(command), visit.bytes(body)}, kReport);
    napi_valuetype type = napi_null;
    if (result == nullptr || napi_typeof(env(), result, &type) != napi_ok) return kFailed;
    if (type == napi_undefined) return kLater;
    int32_t error = 0;
    if (napi_get_value_int32(env(), result, &error) == napi_ok) return error > 0 ? error : EIO;
    napi_typedarray_type arrayType = napi_int8_array;
    std::size_t length = 0;
    void* data = nullptr;
    bool isTypedArray = false;
    if (napi_is_typedarray(env(), result, &isTypedArray) != napi_ok || !isTypedArray ||
        napi_get_typedarray_info(env(), result, &arrayType, &length, &data, nullptr, nullptr) != napi_ok ||
        arrayType != napi_uint8_array) {
      return EIO;
    }
    const auto* bytes = static_cast<const std::byte*>(data);
    reply.assign(bytes, bytes + length);
    return 0;
  }

  int refused(uint16_t command, int error) override {
    const auto held = handler();
    const JavaScriptHandler::Visit visit(*held);
    if (!visit) return kFailed;
    return visit.callGuarded(kRefused, {visit.number(command), visit.number(error)}, kReport) == nullptr ? kFailed : 0;
  }

  void closed(const std::string& reason) override {
    end([&](const JavaScriptHandler::Visit& visit) { visit.callGuarded(kClosed, {visit.string(reason)}, kReport); });
  }

 private:
  enum Function { kMessage, kRefused, kClosed, kReport };
};

class ConnectionObject : public Napi::ObjectWrap<ConnectionObject> {
 public:
  /// new Connection(device, fd, handler, restored?): takes `fd`, also when it throws. `restored` is
  /// { bytes, fds, twinFd, agreement } of a connection that was saved; its descriptors are taken, too.
  explicit ConnectionObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<ConnectionObject>(info) {
    const Napi::Env env = info.Env();
    ForeignFd given = givenDescriptorArgument(env, info[1]);
    ForeignFd twin;
    std::optional<HandoverReader> restored;
    if (info[3].IsObject()) {
      const auto object = info[3].As<Napi::Object>();
      restored.emplace(handoverArgument(env, object.Get("bytes"), object.Get("fds")));
      twin = takenDescriptor(env, object.Get("twinFd"));
    }
    std::shared_ptr<DeviceCore> core = unwrapDevice(env, info[0]);
    if (core == nullptr) throw Napi::Error::New(env);
    auto handler = std::make_shared<JavaScriptConnectionHandler>(env, info[2], [this] {
      dropIoEventFds();
      Unref();
    });
    requireConnectedSocket(env, info[1]);
    ForeignFd socket(given.release(), core->closer());
    paused_ = restored.has_value();
    connection_ = openStream<Connection>(env, *this, std::move(socket), [&](std::unique_ptr<Transport> transport) {
      // Until it is known to be ours alone.
      transport->setShared(restored.has_value());
      auto connection = std::make_shared<Connection>(std::move(core), std::move(transport), std::move(handler));
      if (restored) restore(env, *connection, *restored, std::move(twin), info[3].As<Napi::Object>());
      return connection;
    });
  }

  static Napi::Function define(Napi::Env env) {
    using This = ConnectionObject;
    return DefineClass(env, "Connection",
                       {
                           InstanceMethod<&This::negotiated>("negotiated"),
                           InstanceMethod<&This::answer>("answer"),
                           InstanceMethod<&This::refuse>("refuse"),
                           InstanceMethod<&This::ioEventFd>("ioEventFd"),
                           InstanceMethod<&This::serveIoEventFds>("serveIoEventFds"),
                           InstanceMethod<&This::finish>("finish"),
                           InstanceMethod<&This::close>("close"),
                           InstanceMethod<&This::peerGone>("peerGone"),
                           InstanceMethod<&This::suspend>("suspend"),
                           InstanceMethod<&This::settled>("settled"),
                           InstanceMethod<&This::requestsSettled>("requestsSettled"),
                           InstanceMethod<&This::save>("save"),
                           InstanceMethod<&This::resume>("resume"),
                           InstanceMethod<&This::handedOver>("handedOver"),
                       });
  }

 private:
  using Info = Napi::CallbackInfo;

  /// negotiated({ maxTransfer, writeMultiple }, twinFd)
  void negotiated(const Info& info) {
    const Napi::Env env = info.Env();
    if (!info[0].IsObject()) throw Napi::TypeError::New(env, "agreement is not an object");
    const auto object = info[0].As<Napi::Object>();
    Agreement agreement = agreementOf(env, object);
    if (!info[1].IsUndefined()) {
      FileDescriptor twin = descriptorArgument(env, info[1], "twinFd");
      requireConnectedSocket(env, Napi::Number::New(env, twin.get()));
      agreement.twin = twinTransport(env, connection_, ForeignFd(std::move(twin)));
    }
    try {
      connection_->negotiated(std::move(agreement));
    } catch (const std::system_error& error) {
      throwSystemError(env, error.code().value(), "uv_poll");
    }
  }

  void answer(const Info& info) {
    const std::span<std::byte> body = bytesArgument(info.Env(), info[0], "body");
    connection_->answer(body, descriptorsArgument(info.Env(), info[1], "fds", kMaxFdsPerRead));
  }
  void refuse(const Info& info) {
    const uint32_t error = uint32Argument(info.Env(), info[0], "errno", INT32_MAX);
    connection_->refuse(error == 0 ? EIO : static_cast<int>(error));
  }
  static Agreement agreementOf(napi_env env, const Napi::Object& object) {
    Agreement agreement;
    agreement.maxTransfer = uint32Argument(env, object.Get("maxTransfer"), "maxTransfer");
    agreement.writeMultiple = boolArgument(env, object.Get("writeMultiple"), "writeMultiple");
    return agreement;
  }
  static std::unique_ptr<Transport> twinTransport(napi_env env, const std::shared_ptr<Connection>& connection,
                                                  ForeignFd fd) {
    const auto opened = std::make_shared<std::weak_ptr<Connection>>(connection);
    return createStreamTransport<Connection>(env, ForeignFd(fd.release(), connection->core()->closer()), opened);
  }

  static void restore(Napi::Env env, Connection& connection, HandoverReader& archive, ForeignFd twin,
                      const Napi::Object& object) {
    std::optional<Agreement> agreement;
    if (object.Get("agreement").IsObject()) {
      agreement = agreementOf(env, object.Get("agreement").As<Napi::Object>());
      if (twin) {
        requireConnectedSocket(env, Napi::Number::New(env, twin.get()));
        const auto self = std::static_pointer_cast<Connection>(connection.shared_from_this());
        agreement->twin = twinTransport(env, self, std::move(twin));
      }
    }
    if (!connection.restore(archive, std::move(agreement))) {
      throw Napi::RangeError::New(env, "the bytes are not those of a connection that was saved");
    }
  }

  void suspend(const Info&) { connection_->suspend(); }
  Napi::Value settled(const Info& info) { return Napi::Boolean::New(info.Env(), connection_->settled()); }
  Napi::Value requestsSettled(const Info& info) {
    return Napi::Boolean::New(info.Env(), connection_->requestsSettled());
  }
  /// save(): { bytes, fds, fd, twinFd }; the descriptors stay the connection's.
  Napi::Value save(const Info& info) {
    const Napi::Env env = info.Env();
    if (!connection_->isOpen() || !connection_->settled()) throw Napi::Error::New(env, "the connection is not settled");
    HandoverWriter archive;
    connection_->save(archive);
    setPaused(true);
    if (!connection_->isOpen()) throw Napi::Error::New(env, "the connection is closed");
    const Napi::Object result = handoverObject(env, archive);
    result.Set("fd", connection_->descriptor());
    result.Set("twinFd", connection_->twinDescriptor());
    return result;
  }
  void resume(const Info&) {
    setPaused(false);
    connection_->resume();
  }
  void handedOver(const Info&) { connection_->handedOver(); }

  /// Ioeventfds keep their signals while paused.
  void setPaused(bool paused) {
    paused_ = paused;
    for (WatchedIoEventFd& watched : ioEventFds_) watched.poll->watch(paused ? 0 : UV_READABLE);
  }

  /// ioEventFd(region, offset, value, fd?): number. The descriptor is the connection's; `fd`, one of another process
  /// for the same, is duplicated.
  Napi::Value ioEventFd(const Info& info) {
    const Napi::Env env = info.Env();
    if (!connection_->isOpen()) throw Napi::Error::New(env, "the connection is closed");
    if (ioEventFds_.size() == kMaxIoEventFds) {
      throw Napi::RangeError::New(env, "more than " + std::to_string(kMaxIoEventFds) + " ioeventfds of one client");
    }
    const uint32_t region = uint32Argument(env, info[0], "region");
    const uint64_t offset = offsetArgument(env, info[1], "offset");
    const std::span<std::byte> value = bytesArgument(env, info[2], "value");
    if (value.empty() || value.size() > IoEventFd::kMaxValue) {
      throw Napi::RangeError::New(env, "value has " + std::to_string(value.size()) + " bytes; expected 1 to " +
                                           std::to_string(IoEventFd::kMaxValue));
    }
    FileDescriptor given;
    if (!info[3].IsUndefined()) {
      given = descriptorArgument(env, info[3], "fd");
      if (!isEventfd(given.get())) throw Napi::TypeError::New(env, "fd is no eventfd");
    }
    try {
      auto signal = std::make_shared<IoEventFd>(connection_->core(), region, offset, value, std::move(given));
      // The callback keeps it while it runs: a write may end the connection.
      auto poll = std::make_unique<Poll>(env, signal->fd(), [signal](int, int) { signal->serve(); });
      poll->setReferenced(false);
      if (const int error = poll->watch(paused_ ? 0 : UV_READABLE); error != 0) {
        throwSystemError(env, -error, "uv_poll");
      }
      const int fd = signal->fd();
      ioEventFds_.push_back({std::move(signal), std::move(poll)});
      return Napi::Number::New(env, fd);
    } catch (const std::system_error& error) {
      throwSystemError(env, error.code().value(), "eventfd");
    }
  }

  /// serveIoEventFds(): whether all that was signalled has been written; bounded
  Napi::Value serveIoEventFds(const Info& info) {
    // Copies: a write may end the connection.
    std::vector<std::shared_ptr<IoEventFd>> signals;
    for (const WatchedIoEventFd& watched : ioEventFds_) signals.push_back(watched.signal);
    uint32_t left = kMostWritesAtOnce;
    for (const std::shared_ptr<IoEventFd>& signal : signals) left -= signal->serve(left);
    return Napi::Boolean::New(info.Env(), left > 0);
  }

  void finish(const Info& info) { connection_->finish(info[0].ToString()); }
  void close(const Info& info) { connection_->close(info[0].ToString()); }
  Napi::Value peerGone(const Info& info) { return Napi::Boolean::New(info.Env(), connection_->peerGone()); }

  void dropIoEventFds() {
    for (WatchedIoEventFd& watched : ioEventFds_) watched.signal->close();
    ioEventFds_.clear();
  }

  /// The poll goes first: it watches the descriptor.
  struct WatchedIoEventFd {
    std::shared_ptr<IoEventFd> signal;
    std::unique_ptr<Poll> poll;
  };
  static constexpr std::size_t kMaxIoEventFds = 512;
  /// More than a guest leaves behind that has stopped; some milliseconds for a client that counts by itself.
  static constexpr uint32_t kMostWritesAtOnce = 16 * 1024;

  std::shared_ptr<Connection> connection_;
  /// Another process has the client, too.
  bool paused_ = false;
  /// The client's; they end with its connection, whoever still holds a duplicate.
  std::vector<WatchedIoEventFd> ioEventFds_;
};

}  // namespace

void registerConnection(Napi::Env env, Napi::Object exports) {
  exports.Set("Connection", ConnectionObject::define(env));
}

}  // namespace mdev

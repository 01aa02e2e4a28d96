// `Connection` in JavaScript: one client of one device.
#include <napi.h>

#include <cerrno>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "arguments_object.h"
#include "connection_handler_object.h"
#include "handover_object.h"
#include "io_event_fds_object.h"
#include "napi_objects.h"
#include "stream_object.h"
#include "transport/socket_io.h"
#include "vfio_user/connection.h"

namespace mdev {

namespace {

using vfio_user::Agreement;
using vfio_user::Connection;

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
      ioEventFds_.close();
      Unref();
    });
    requireConnectedSocket(env, info[1]);
    ForeignFd socket(given.release(), core->closer());
    ioEventFds_.setPaused(restored.has_value());
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
                           InstanceMethod<&This::holdIoEventFds>("holdIoEventFds"),
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
    ioEventFds_.setPaused(true);
    if (!connection_->isOpen()) throw Napi::Error::New(env, "the connection is closed");
    const Napi::Object result = handoverObject(env, archive);
    result.Set("fd", connection_->descriptor());
    result.Set("twinFd", connection_->twinDescriptor());
    return result;
  }
  void resume(const Info&) {
    ioEventFds_.setPaused(false);
    connection_->resume();
  }
  void handedOver(const Info&) { connection_->handedOver(); }

  /// ioEventFd(region, offset, value, fd?): number. The descriptor is the connection's; `fd`, one of another process
  /// for the same, is duplicated.
  Napi::Value ioEventFd(const Info& info) {
    const Napi::Env env = info.Env();
    if (!connection_->isOpen()) throw Napi::Error::New(env, "the connection is closed");
    const uint32_t region = uint32Argument(env, info[0], "region");
    const uint64_t offset = offsetArgument(env, info[1], "offset");
    const std::span<std::byte> value = bytesArgument(env, info[2], "value");
    FileDescriptor given;
    if (!info[3].IsUndefined()) {
      given = descriptorArgument(env, info[3], "fd");
      if (!given) throw Napi::TypeError::New(env, "fd is no eventfd");
    }
    const int fd = ioEventFds_.add(env, connection_->core(), region, offset, value, std::move(given));
    return Napi::Number::New(env, fd);
  }

  /// serveIoEventFds(): whether all that was signalled has been written; bounded
  Napi::Value serveIoEventFds(const Info& info) { return Napi::Boolean::New(info.Env(), ioEventFds_.serve()); }

  /// holdIoEventFds(held)
  void holdIoEventFds(const Info& info) { ioEventFds_.setHeld(boolArgument(info.Env(), info[0], "held")); }

  void finish(const Info& info) { connection_->finish(info[0].ToString()); }
  void close(const Info& info) { connection_->close(info[0].ToString()); }
  Napi::Value peerGone(const Info& info) { return Napi::Boolean::New(info.Env(), connection_->peerGone()); }

  std::shared_ptr<Connection> connection_;
  IoEventFds ioEventFds_;
};

}  // namespace

void registerConnection(Napi::Env env, Napi::Object exports) {
  exports.Set("Connection", ConnectionObject::define(env));
}

}  // namespace mdev

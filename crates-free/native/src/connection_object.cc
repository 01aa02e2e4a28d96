// `Connection` in JavaScript: one client of one device.
#include <napi.h>

#include <cerrno>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "arguments_object.h"
#include "environment_object.h"
#include "handler_object.h"
#include "napi_objects.h"
#include "transport_object.h"
#include "vfio_user/connection.h"

namespace mdev {

namespace {

using vfio_user::Connection;
using vfio_user::ConnectionHandler;

/// `{ message(command, body), refused(command, errno), closed(reason), failed(error) }` of JavaScript. `message`
/// returns the body of the reply as Uint8Array, an errno, or undefined: later. What one of the first three throws goes
/// to `failed` and no further: it ends this connection, and nothing else.
class JavaScriptConnectionHandler final : public ConnectionHandler {
 public:
  JavaScriptConnectionHandler(napi_env env, napi_value object, std::function<void()> released)
      : env_(env), handler_(std::make_shared<JavaScriptHandler>(env, object, kNames)), released_(std::move(released)) {}

  int message(uint16_t command, std::span<const std::byte> body, std::vector<std::byte>& reply) override {
    const auto handler = handler_;
    const JavaScriptHandler::Visit visit(*handler);
    if (!visit) return kFailed;
    const napi_value result = visit.callGuarded(kMessage, {visit.number(command), visit.bytes(body)}, kReport);
    napi_valuetype type = napi_null;
    if (result == nullptr || napi_typeof(env_, result, &type) != napi_ok) return kFailed;
    if (type == napi_undefined) return kLater;
    int32_t error = 0;
    if (napi_get_value_int32(env_, result, &error) == napi_ok) return error > 0 ? error : EIO;
    napi_typedarray_type arrayType = napi_int8_array;
    std::size_t length = 0;
    void* data = nullptr;
    bool isTypedArray = false;
    if (napi_is_typedarray(env_, result, &isTypedArray) != napi_ok || !isTypedArray ||
        napi_get_typedarray_info(env_, result, &arrayType, &length, &data, nullptr, nullptr) != napi_ok ||
        arrayType != napi_uint8_array) {
      return EIO;
    }
    const auto* bytes = static_cast<const std::byte*>(data);
    reply.assign(bytes, bytes + length);
    return 0;
  }

  int refused(uint16_t command, int error) override {
    const auto handler = handler_;
    const JavaScriptHandler::Visit visit(*handler);
    if (!visit) return kFailed;
    return visit.callGuarded(kRefused, {visit.number(command), visit.number(error)}, kReport) == nullptr ? kFailed : 0;
  }

  void closed(const std::string& reason) override {
    // JavaScript's functions hold the JavaScript object, which holds this: the circle ends here.
    const auto handler = std::exchange(handler_, nullptr);
    {
      const JavaScriptHandler::Visit visit(*handler);
      if (visit) visit.callGuarded(kClosed, {visit.string(reason)}, kReport);
    }
    std::exchange(released_, nullptr)();
  }

  void roundBegan() override { batch_.emplace(env_); }
  void roundEnded() override { batch_.reset(); }

 private:
  enum Function { kMessage, kRefused, kClosed, kReport };
  static constexpr std::initializer_list<const char*> kNames = {"message", "refused", "closed", "failed"};

  const napi_env env_;
  /// Null once closed.
  std::shared_ptr<JavaScriptHandler> handler_;
  std::function<void()> released_;
  std::optional<CallbackBatch> batch_;
};

class ConnectionObject : public Napi::ObjectWrap<ConnectionObject> {
 public:
  /// new Connection(device, fd, handler): takes `fd`, also when it throws.
  explicit ConnectionObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<ConnectionObject>(info) {
    const Napi::Env env = info.Env();
    ForeignFd given = givenDescriptorArgument(env, info[1]);
    std::shared_ptr<DeviceCore> core = unwrapDevice(env, info[0]);
    if (core == nullptr) throw Napi::Error::New(env);
    auto handler = std::make_shared<JavaScriptConnectionHandler>(env, info[2], [this] { Unref(); });
    requireConnectedSocket(env, info[1]);
    ForeignFd socket(given.release(), core->closer());
    const auto opened = std::make_shared<std::weak_ptr<Connection>>();
    auto transport = createTransport(env, std::move(socket), [opened] {
      if (const auto connection = opened->lock()) connection->close("the process ends");
    });
    connection_ = std::make_shared<Connection>(std::move(core), std::move(transport), std::move(handler));
    *opened = connection_;
    // While it is open, the event loop holds it.
    Ref();
    try {
      connection_->start();
    } catch (const std::system_error& error) {
      Unref();
      throwSystemError(env, error.code().value(), "uv_poll");
    }
  }

  static Napi::Function define(Napi::Env env) {
    using This = ConnectionObject;
    return DefineClass(env, "Connection",
                       {
                           InstanceMethod<&This::negotiated>("negotiated"),
                           InstanceMethod<&This::resume>("resume"),
                           InstanceMethod<&This::finish>("finish"),
                           InstanceMethod<&This::close>("close"),
                           InstanceMethod<&This::peerGone>("peerGone"),
                       });
  }

 private:
  using Info = Napi::CallbackInfo;

  void negotiated(const Info& info) { connection_->negotiated(uint32Argument(info.Env(), info[0], "maxTransfer")); }
  void resume(const Info&) { connection_->resume(); }
  void finish(const Info& info) { connection_->finish(info[0].ToString()); }
  void close(const Info& info) { connection_->close(info[0].ToString()); }
  Napi::Value peerGone(const Info& info) { return Napi::Boolean::New(info.Env(), connection_->peerGone()); }

  std::shared_ptr<Connection> connection_;
};

}  // namespace

void registerConnection(Napi::Env env, Napi::Object exports) {
  exports.Set("Connection", ConnectionObject::define(env));
}

}  // namespace mdev

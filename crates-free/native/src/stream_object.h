// What `Connection` and `Channel` of JavaScript have in common.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "arguments_object.h"
#include "environment_object.h"
#include "handler_object.h"
#include "transport_object.h"

namespace mdev {

/// A `Handler` of a stream (vfio_user::StreamHandler) whose functions are those of a JavaScript object.
template <typename Handler>
class JavaScriptStreamHandler : public Handler {
 public:
  /// `released` is called once, after the end was told. Throws Napi::TypeError when one of the functions is missing.
  JavaScriptStreamHandler(napi_env env, napi_value object, std::initializer_list<const char*> names,
                          std::function<void()> released)
      : env_(env), handler_(std::make_shared<JavaScriptHandler>(env, object, names)), released_(std::move(released)) {}

  void roundBegan() override { batch_.emplace(env_); }
  void roundEnded() override { batch_.reset(); }

 protected:
  napi_env env() const { return env_; }
  /// Null once ended. To be copied for the time of a visit: what is called may end the stream.
  std::shared_ptr<JavaScriptHandler> handler() const { return handler_; }
  /// The end: `tell` visits JavaScript for the last time.
  template <typename Tell>
  void end(Tell tell) {
    // JavaScript's functions hold the JavaScript object, which holds this: the circle ends here.
    const auto handler = std::exchange(handler_, nullptr);
    {
      const JavaScriptHandler::Visit visit(*handler);
      if (visit) tell(visit);
    }
    std::exchange(released_, nullptr)();
  }

 private:
  const napi_env env_;
  std::shared_ptr<JavaScriptHandler> handler_;
  std::function<void()> released_;
  std::optional<CallbackBatch> batch_;
};

/// A transport for a stream that does not exist yet; `opened` is to be set when it does.
template <typename Stream>
std::unique_ptr<Transport> createStreamTransport(napi_env env, ForeignFd socket,
                                                 const std::shared_ptr<std::weak_ptr<Stream>>& opened) {
  return createTransport(env, std::move(socket), [opened] {
    if (const auto stream = opened->lock()) stream->close("the process ends");
  });
}

/// Opens the stream that `make` makes of a transport on `socket`. While it is open, the event loop holds `object`
/// (a Napi::ObjectWrap), which the stream's handler lets go of at the end. Throws Napi::Error.
template <typename Stream, typename Object, typename Make>
std::shared_ptr<Stream> openStream(napi_env env, Object& object, ForeignFd socket, Make make) {
  const auto opened = std::make_shared<std::weak_ptr<Stream>>();
  std::shared_ptr<Stream> stream = make(createStreamTransport<Stream>(env, std::move(socket), opened));
  *opened = stream;
  object.Ref();
  try {
    stream->start();
  } catch (const std::system_error& error) {
    object.Unref();
    throwSystemError(env, error.code().value(), "uv_poll");
  }
  return stream;
}

}  // namespace mdev

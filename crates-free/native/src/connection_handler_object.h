// The handler of a vfio-user connection whose functions are JavaScript's.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "stream_object.h"
#include "vfio_user/connection.h"

namespace mdev {

/// `{ message(command, body), refused(command, errno), closed(reason), failed(error) }` of JavaScript. `message`
/// returns the body of the reply as Uint8Array, an errno, or undefined: later. What one of the first three throws goes
/// to `failed` and no further: it ends this connection, and nothing else.
class JavaScriptConnectionHandler final : public JavaScriptStreamHandler<vfio_user::ConnectionHandler> {
 public:
  /// `released` is called once, after the end was told. Throws Napi::TypeError when one of the functions is missing.
  JavaScriptConnectionHandler(napi_env env, napi_value object, std::function<void()> released)
      : JavaScriptStreamHandler(env, object, {"message", "refused", "closed", "failed"}, std::move(released)) {}

  int message(uint16_t command, std::span<const std::byte> body, std::vector<std::byte>& reply) override;
  int refused(uint16_t command, int error) override;
  void closed(const std::string& reason) override;
  std::unique_ptr<LoopSignal> signal(std::function<void()> called) override;

 private:
  enum Function { kMessage, kRefused, kClosed, kReport };
};

}  // namespace mdev

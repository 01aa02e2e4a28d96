#include "connection_handler_object.h"

#include <napi.h>

#include <cerrno>
#include <utility>

#include "loop_signal_object.h"

namespace mdev {

int JavaScriptConnectionHandler::message(uint16_t command, std::span<const std::byte> body,
                                         std::vector<std::byte>& reply) {
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

int JavaScriptConnectionHandler::refused(uint16_t command, int error) {
  const auto held = handler();
  const JavaScriptHandler::Visit visit(*held);
  if (!visit) return kFailed;
  return visit.callGuarded(kRefused, {visit.number(command), visit.number(error)}, kReport) == nullptr ? kFailed : 0;
}

void JavaScriptConnectionHandler::closed(const std::string& reason) {
  end([&](const JavaScriptHandler::Visit& visit) { visit.callGuarded(kClosed, {visit.string(reason)}, kReport); });
}

std::unique_ptr<LoopSignal> JavaScriptConnectionHandler::signal(std::function<void()> called) {
  return createLoopSignal(env(), std::move(called));
}

}  // namespace mdev

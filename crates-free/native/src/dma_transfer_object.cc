#include "dma_transfer_object.h"

#include <napi.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "arguments_object.h"
#include "environment_object.h"

namespace mdev {

namespace {

class JavaScriptTransfer final : public MessageRequest {
 public:
  JavaScriptTransfer(napi_env env, napi_value bytes, napi_value callback)
      : env_(env),
        bytes_(Napi::Persistent(Napi::Value(env, bytes).As<Napi::Uint8Array>())),
        callback_(Napi::Persistent(Napi::Value(env, callback).As<Napi::Function>())) {}

  // Called by a connection, from libuv, or while the connection or the environment ends.
  void finished(int error) override {
    if (!enterJavaScript(env_)) return;
    napi_handle_scope scope = nullptr;
    if (napi_open_handle_scope(env_, &scope) != napi_ok) return;
    if (error == 0 && !write) error = deliver();
    napi_value undefined = nullptr;
    napi_value argument = nullptr;
    napi_get_undefined(env_, &undefined);
    napi_create_int32(env_, error, &argument);
    const napi_status status = napi_call_function(env_, undefined, callback_.Value(), 1, &argument, nullptr);
    if (status == napi_pending_exception) throwLater();
    napi_close_handle_scope(env_, scope);
  }

 private:
  int deliver() {
    std::size_t length = 0;
    void* to = nullptr;
    if (napi_get_typedarray_info(env_, bytes_.Value(), nullptr, &length, &to, nullptr, nullptr) != napi_ok ||
        length != count) {
      return EFAULT;
    }
    std::memcpy(to, data.data(), count);
    return 0;
  }

  /// What a callback throws is nobody's but the process's: as from any callback of Node's.
  void throwLater() {
    napi_value error = nullptr;
    if (napi_get_and_clear_last_exception(env_, &error) == napi_ok) napi_fatal_exception(env_, error);
  }

  napi_env env_;
  Napi::Reference<Napi::Uint8Array> bytes_;
  Napi::FunctionReference callback_;
};

}  // namespace

int startDmaTransfer(napi_env env, const DeviceCore& core, bool write, uint64_t iova, napi_value bytes,
                     napi_value callback) {
  const std::span<std::byte> data = bytesArgument(env, bytes, "buffer");
  if (data.empty() || data.size() > kMessageDmaMax) {
    throw Napi::RangeError::New(
        env, "buffer has " + std::to_string(data.size()) + " bytes; expected 1 to " + std::to_string(kMessageDmaMax));
  }
  if (!Napi::Value(env, callback).IsFunction()) throw Napi::TypeError::New(env, "callback is not a function");
  const std::shared_ptr<MessageDma> channel = core.dma()->messageDma();
  if (channel == nullptr) return ENOTCONN;
  auto transfer = std::make_shared<JavaScriptTransfer>(env, bytes, callback);
  transfer->write = write;
  transfer->address = iova;
  transfer->count = static_cast<uint32_t>(data.size());
  if (write) std::memcpy(transfer->data.data(), data.data(), data.size());
  channel->submit(std::move(transfer));
  return 0;
}

}  // namespace mdev

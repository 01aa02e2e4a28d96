#include "message_memory_object.h"

#include <napi.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <system_error>

#include "base/eventfd.h"

namespace mdev {

MessageMemory::MessageMemory(napi_env env, napi_value handler)
    : event_(std::make_shared<FileDescriptor>(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))) {
  if (!*event_) throw std::system_error(errno, std::generic_category(), "eventfd");
  auto called = std::make_shared<JavaScriptHandler>(env, handler, std::initializer_list<const char*>{"transfer"});
  dma_ = std::make_shared<CallbackDma>(
      [env, called = std::move(called)](bool write, uint64_t address, std::span<std::byte> data) {
        return transfer(env, *called, write, address, data);
      },
      [event = event_] { signalEventfd(event->get()); });
  poll_ = std::make_unique<Poll>(env, event_->get(), [event = event_, dma = std::weak_ptr(dma_)](int, int) {
    uint64_t count = 0;
    if (::read(event->get(), &count, sizeof count) < 0) return;
    if (const auto served = dma.lock()) served->serve();
  });
  if (const int error = poll_->watch(UV_READABLE); error != 0) {
    throw std::system_error(-error, std::generic_category(), "watching an eventfd");
  }
}

MessageMemory::~MessageMemory() {
  if (dma_ != nullptr) dma_->close();
}

int MessageMemory::transfer(napi_env env, const JavaScriptHandler& handler, bool write, uint64_t address,
                            std::span<std::byte> data) {
  const JavaScriptHandler::Visit visit(handler);
  if (!visit) return ECANCELED;
  napi_value direction = nullptr;
  napi_value where = nullptr;
  if (napi_get_boolean(env, write, &direction) != napi_ok || napi_create_bigint_uint64(env, address, &where) != napi_ok)
    return EFAULT;
  if (!write) std::fill(data.begin(), data.end(), std::byte{0});
  const napi_value bytes = visit.bytes(data);
  const napi_value result = visit.call(0, {direction, where, bytes});
  int32_t error = 0;
  if (result == nullptr || napi_get_value_int32(env, result, &error) != napi_ok) return EFAULT;
  if (error != 0 || write) return error < 0 ? EFAULT : error;
  std::size_t length = 0;
  void* from = nullptr;
  // JavaScript may have detached it.
  if (napi_get_typedarray_info(env, bytes, nullptr, &length, &from, nullptr, nullptr) != napi_ok ||
      length != data.size()) {
    return EFAULT;
  }
  std::copy_n(static_cast<const std::byte*>(from), length, data.begin());
  return 0;
}

}  // namespace mdev

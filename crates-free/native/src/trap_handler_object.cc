#include "trap_handler_object.h"

#include <napi.h>

#include <bit>
#include <cerrno>
#include <string>

#include "arguments_object.h"
#include "environment_object.h"

namespace mdev {

namespace {

/// Largest value that Linux calls an errno.
constexpr int32_t kErrnoMax = 4095;

/// A handle scope that is left alone when it cannot be opened.
class HandleScope {
 public:
  explicit HandleScope(napi_env env) : env_(env) { napi_open_handle_scope(env, &scope_); }
  ~HandleScope() {
    if (scope_ != nullptr) napi_close_handle_scope(env_, scope_);
  }
  HandleScope(const HandleScope&) = delete;
  HandleScope& operator=(const HandleScope&) = delete;

 private:
  napi_env env_;
  napi_handle_scope scope_ = nullptr;
};

napi_ref reference(napi_env env, napi_value value) {
  napi_ref made = nullptr;
  if (napi_create_reference(env, value, 1, &made) != napi_ok) throw Napi::Error::New(env);
  return made;
}

napi_value referenced(napi_env env, napi_ref ref) {
  napi_value value = nullptr;
  napi_get_reference_value(env, ref, &value);
  return value;
}

/// The exception that is pending, taken away; null when there is none (JavaScript is being terminated).
napi_value takeException(napi_env env) {
  bool pending = false;
  napi_value error = nullptr;
  if (napi_is_exception_pending(env, &pending) != napi_ok || !pending) return nullptr;
  return napi_get_and_clear_last_exception(env, &error) == napi_ok ? error : nullptr;
}

}  // namespace

JavaScriptTrapHandler::JavaScriptTrapHandler(napi_env env, napi_value handler, std::shared_ptr<TrapMailbox> mailbox)
    : env_(env), mailbox_(std::move(mailbox)) {
  const Napi::Value value(env, handler);
  if (!value.IsObject()) throw Napi::TypeError::New(env, "handler is not an object");
  constexpr std::array<const char*, kFunctions> kNames = {"access", "reset", "onFailure"};
  std::array<Napi::Value, kFunctions> functions;
  for (std::size_t i = 0; i < kFunctions; ++i) {
    functions[i] = value.As<Napi::Object>().Get(kNames[i]);
    if (!functions[i].IsFunction()) {
      throw Napi::TypeError::New(env, std::string("handler.") + kNames[i] + " is not a function");
    }
  }
  const napi_value buffer =
      externalArrayBuffer(env, mailbox_->data()->data(), sizeof(TrapMailbox), std::shared_ptr<void>(mailbox_));
  for (std::size_t i = 0; i < kFunctions; ++i) functions_[i] = reference(env, functions[i]);
  buffer_ = reference(env, buffer);
  handler_ = reference(env, handler);
}

JavaScriptTrapHandler::~JavaScriptTrapHandler() {
  const auto drop = [this](napi_ref ref) {
    if (ref != nullptr) napi_delete_reference(env_, ref);
  };
  drop(handler_);
  drop(buffer_);
  for (napi_ref ref : functions_) drop(ref);
  for (const auto& level : views_) {
    for (napi_ref ref : level) drop(ref);
  }
}

int JavaScriptTrapHandler::access(uint32_t region, uint64_t offset, std::span<std::byte> data, bool write) {
  // The hook may close the device, and with it this handler.
  const auto self = shared_from_this();
  if (!enterJavaScript(env_)) return EIO;
  const HandleScope scope(env_);
  std::array<napi_value, 4> arguments{};
  arguments[2] = view(data);
  if (arguments[2] == nullptr || napi_create_uint32(env_, region, &arguments[0]) != napi_ok ||
      napi_create_double(env_, static_cast<double>(offset), &arguments[1]) != napi_ok ||
      napi_get_boolean(env_, write, &arguments[3]) != napi_ok) {
    report(takeException(env_));
    return EIO;
  }
  return call(kAccess, arguments.size(), arguments.data());
}

int JavaScriptTrapHandler::reset() {
  const auto self = shared_from_this();
  if (!enterJavaScript(env_)) return EIO;
  const HandleScope scope(env_);
  return call(kReset, 0, nullptr);
}

int JavaScriptTrapHandler::call(Function function, std::size_t count, const napi_value* arguments) {
  napi_value result = nullptr;
  if (napi_call_function(env_, referenced(env_, handler_), referenced(env_, functions_[function]), count, arguments,
                         &result) != napi_ok) {
    report(takeException(env_));
    return EIO;
  }
  // As a double, so that 1.5 or 2^32 does not pass for an errno.
  double error = -1;
  if (napi_get_value_double(env_, result, &error) == napi_ok && error >= 0 && error <= kErrnoMax &&
      error == static_cast<int>(error)) {
    return static_cast<int>(error);
  }
  napi_value message = nullptr;
  napi_value failure = nullptr;
  if (napi_create_string_utf8(env_, "a trap handler must return 0 or an errno", NAPI_AUTO_LENGTH, &message) ==
          napi_ok &&
      napi_create_type_error(env_, nullptr, message, &failure) == napi_ok) {
    report(failure);
  }
  return EIO;
}

void JavaScriptTrapHandler::report(napi_value error) {
  if (error == nullptr) return;
  napi_call_function(env_, referenced(env_, handler_), referenced(env_, functions_[kOnFailure]), 1, &error, nullptr);
  takeException(env_);
}

/// The Uint8Array over `data`, which lies at the start of one of the mailbox's pages.
napi_value JavaScriptTrapHandler::view(std::span<std::byte> data) {
  const auto at = static_cast<std::size_t>(data.data() - mailbox_->data()->data());
  const bool kept = std::has_single_bit(data.size()) && data.size() <= 8;
  napi_ref* place = kept ? &views_[at / kAccessPage][std::countr_zero(data.size())] : nullptr;
  if (place != nullptr && *place != nullptr) return referenced(env_, *place);
  napi_value made = nullptr;
  if (napi_create_typedarray(env_, napi_uint8_array, data.size(), referenced(env_, buffer_), at, &made) != napi_ok) {
    return nullptr;
  }
  if (place != nullptr) napi_create_reference(env_, made, 1, place);
  return made;
}

}  // namespace mdev

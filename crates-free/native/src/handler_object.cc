#include "handler_object.h"

#include <napi.h>

#include <algorithm>
#include <cstring>

#include "environment_object.h"

namespace mdev {

namespace {

napi_ref reference(napi_env env, napi_value value) {
  napi_ref made = nullptr;
  if (napi_create_reference(env, value, 1, &made) != napi_ok) throw Napi::Error::New(env);
  return made;
}

}  // namespace

JavaScriptHandler::JavaScriptHandler(napi_env env, napi_value object, std::initializer_list<const char*> names)
    : env_(env) {
  const Napi::Value value(env, object);
  if (!value.IsObject()) throw Napi::TypeError::New(env, "handler is not an object");
  std::vector<napi_value> functions;
  for (const char* name : names) {
    const Napi::Value function = value.As<Napi::Object>().Get(name);
    if (!function.IsFunction()) throw Napi::TypeError::New(env, std::string("handler.") + name + " is not a function");
    functions.push_back(function);
  }
  object_ = reference(env, object);
  for (napi_value function : functions) functions_.push_back(reference(env, function));
}

JavaScriptHandler::~JavaScriptHandler() {
  napi_delete_reference(env_, object_);
  for (napi_ref function : functions_) napi_delete_reference(env_, function);
}

JavaScriptHandler::Visit::Visit(const JavaScriptHandler& handler) : env_(handler.env_), handler_(handler) {
  if (enterJavaScript(env_) && napi_open_handle_scope(env_, &scope_) != napi_ok) scope_ = nullptr;
}

JavaScriptHandler::Visit::~Visit() {
  if (scope_ != nullptr) napi_close_handle_scope(env_, scope_);
}

napi_value JavaScriptHandler::Visit::number(double value) const {
  napi_value made = nullptr;
  return napi_create_double(env_, value, &made) == napi_ok ? made : nullptr;
}

napi_value JavaScriptHandler::Visit::string(const std::string& text) const {
  napi_value made = nullptr;
  return napi_create_string_utf8(env_, text.data(), text.size(), &made) == napi_ok ? made : nullptr;
}

napi_value JavaScriptHandler::Visit::bytes(std::span<const std::byte> data) const {
  void* memory = nullptr;
  napi_value buffer = nullptr;
  napi_value made = nullptr;
  if (napi_create_arraybuffer(env_, data.size(), &memory, &buffer) != napi_ok) return nullptr;
  if (!data.empty()) std::memcpy(memory, data.data(), data.size());
  return napi_create_typedarray(env_, napi_uint8_array, data.size(), buffer, 0, &made) == napi_ok ? made : nullptr;
}

napi_value JavaScriptHandler::Visit::numbers(std::span<const int> values) const {
  napi_value list = nullptr;
  if (napi_create_array_with_length(env_, values.size(), &list) != napi_ok) return nullptr;
  for (uint32_t i = 0; i < values.size(); ++i) {
    if (napi_set_element(env_, list, i, number(values[i])) != napi_ok) return nullptr;
  }
  return list;
}

bool JavaScriptHandler::Visit::find(std::size_t index, Function& found) const {
  return napi_get_reference_value(env_, handler_.object_, &found.object) == napi_ok &&
         napi_get_reference_value(env_, handler_.functions_.at(index), &found.function) == napi_ok;
}

bool JavaScriptHandler::Visit::call(napi_env env, const Function& function, std::initializer_list<napi_value> arguments,
                                    napi_value& result, napi_value& error) {
  result = nullptr;
  error = nullptr;
  if (std::find(arguments.begin(), arguments.end(), nullptr) != arguments.end()) return false;
  const napi_status status =
      napi_call_function(env, function.object, function.function, arguments.size(), std::data(arguments), &result);
  if (status == napi_ok) return true;
  result = nullptr;
  if (status == napi_pending_exception && napi_get_and_clear_last_exception(env, &error) != napi_ok) error = nullptr;
  return false;
}

napi_value JavaScriptHandler::Visit::call(std::size_t index, std::initializer_list<napi_value> arguments) const {
  // The call may let go of the handler: everything that is needed afterwards is here.
  const napi_env env = env_;
  Function function;
  napi_value result = nullptr;
  napi_value error = nullptr;
  if (!find(index, function)) return nullptr;
  if (!call(env, function, arguments, result, error) && error != nullptr) napi_fatal_exception(env, error);
  return result;
}

napi_value JavaScriptHandler::Visit::callGuarded(std::size_t index, std::initializer_list<napi_value> arguments,
                                                 std::size_t report) const {
  const napi_env env = env_;
  Function function;
  Function reporter;
  napi_value result = nullptr;
  napi_value error = nullptr;
  if (!find(index, function) || !find(report, reporter)) return nullptr;
  if (!call(env, function, arguments, result, error) && error != nullptr) {
    napi_value nothing = nullptr;
    call(env, reporter, {error}, nothing, error);
  }
  return result;
}

}  // namespace mdev

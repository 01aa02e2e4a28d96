#include "arguments_object.h"

#include <fcntl.h>
#include <napi.h>
#include <uv.h>

#include <cerrno>
#include <cmath>
#include <string>
#include <utility>

namespace mdev {

namespace {

constexpr double kSafeIntegerMax = 9007199254740991.0;

/// An integer Number from `least` to `most`.
double integerArgument(napi_env env, napi_value value, const char* name, double least, double most) {
  const Napi::Value argument(env, value);
  if (!argument.IsNumber()) throw Napi::TypeError::New(env, std::string(name) + " is not a number");
  const double number = argument.As<Napi::Number>().DoubleValue();
  if (!(number >= least && number <= most) || number != std::trunc(number)) {
    throw Napi::RangeError::New(env, std::string(name) + " is " + argument.ToString().Utf8Value() +
                                         "; expected an integer from " + std::to_string(static_cast<int64_t>(least)) +
                                         " to " + std::to_string(static_cast<int64_t>(most)));
  }
  return number;
}

}  // namespace

uint32_t uint32Argument(napi_env env, napi_value value, const char* name, uint32_t most) {
  return static_cast<uint32_t>(integerArgument(env, value, name, 0, most));
}

uint64_t offsetArgument(napi_env env, napi_value value, const char* name) {
  return static_cast<uint64_t>(integerArgument(env, value, name, 0, kSafeIntegerMax));
}

uint64_t bigintArgument(napi_env env, napi_value value, const char* name) {
  const Napi::Value argument(env, value);
  if (!argument.IsBigInt()) throw Napi::TypeError::New(env, std::string(name) + " is not a bigint");
  bool lossless = false;
  const uint64_t number = argument.As<Napi::BigInt>().Uint64Value(&lossless);
  if (!lossless) {
    throw Napi::RangeError::New(
        env, std::string(name) + " is " + argument.ToString().Utf8Value() + "; expected a bigint from 0 to 2^64 - 1");
  }
  return number;
}

bool boolArgument(napi_env env, napi_value value, const char* name) {
  const Napi::Value argument(env, value);
  if (!argument.IsBoolean()) throw Napi::TypeError::New(env, std::string(name) + " is not a boolean");
  return argument.As<Napi::Boolean>().Value();
}

std::span<std::byte> bytesArgument(napi_env env, napi_value value, const char* name) {
  bool isTypedArray = false;
  napi_typedarray_type type = napi_int8_array;
  std::size_t length = 0;
  void* data = nullptr;
  if (napi_is_typedarray(env, value, &isTypedArray) != napi_ok || !isTypedArray ||
      napi_get_typedarray_info(env, value, &type, &length, &data, nullptr, nullptr) != napi_ok ||
      type != napi_uint8_array) {
    throw Napi::TypeError::New(env, std::string(name) + " is not a Uint8Array");
  }
  return {static_cast<std::byte*>(data), length};
}

FileDescriptor descriptorArgument(napi_env env, napi_value value, const char* name) {
  const int fd = static_cast<int>(integerArgument(env, value, name, -1, INT32_MAX));
  if (fd == -1) return FileDescriptor();
  FileDescriptor duplicate(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!duplicate) throwSystemError(env, errno, "dup");
  return duplicate;
}

std::vector<FileDescriptor> descriptorsArgument(napi_env env, napi_value value, const char* name, std::size_t most) {
  const Napi::Value given(env, value);
  if (!given.IsArray()) throw Napi::TypeError::New(env, std::string(name) + " is not an array");
  const auto list = given.As<Napi::Array>();
  if (list.Length() > most) {
    throw Napi::RangeError::New(env, std::string(name) + " has " + std::to_string(list.Length()) +
                                         " entries; expected at most " + std::to_string(most));
  }
  std::vector<FileDescriptor> fds;
  for (uint32_t i = 0; i < list.Length(); ++i) {
    fds.push_back(descriptorArgument(env, Napi::Value(list[i]), name));
  }
  return fds;
}

void throwSystemError(napi_env env, int error, const char* call) {
  const std::string code = uv_err_name(-error);
  auto exception = Napi::Error::New(env, code + ": " + uv_strerror(-error) + ", " + call);
  exception.Set("code", Napi::String::New(env, code));
  exception.Set("errno", Napi::Number::New(env, -error));
  exception.Set("syscall", Napi::String::New(env, call));
  throw exception;
}

napi_value externalArrayBuffer(napi_env env, std::byte* data, std::size_t size, std::shared_ptr<void> owner) {
  auto hint = std::make_unique<std::shared_ptr<void>>(std::move(owner));
  const auto release = [](napi_env, void*, void* owned) { delete static_cast<std::shared_ptr<void>*>(owned); };
  napi_value buffer = nullptr;
  if (napi_create_external_arraybuffer(env, data, size, release, hint.get(), &buffer) != napi_ok) {
    throw Napi::Error::New(env);
  }
  static_cast<void>(hint.release());
  return buffer;
}

}  // namespace mdev

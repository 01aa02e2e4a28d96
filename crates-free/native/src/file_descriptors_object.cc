// Functions of JavaScript for bare file descriptors.
#include <napi.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>

#include "arguments_object.h"
#include "base/eventfd.h"
#include "base/fd_closer.h"
#include "base/file_descriptor.h"
#include "napi_objects.h"

namespace mdev {

namespace {

Napi::Value duplicateFd(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), descriptorArgument(info.Env(), info[0], "fd").release());
}

void closeFd(const Napi::CallbackInfo& info) {
  const uint32_t fd = uint32Argument(info.Env(), info[0], "fd", INT32_MAX);
  // On Linux the descriptor is closed also when close reports EINTR.
  if (::close(static_cast<int>(fd)) != 0 && errno != EINTR) throwSystemError(info.Env(), errno, "close");
}

// A bare eventfd received from elsewhere has no EventFd object.
void signalFd(const Napi::CallbackInfo& info) {
  const int fd = static_cast<int>(uint32Argument(info.Env(), info[0], "fd", INT32_MAX));
  if (!isEventfd(fd)) throwSystemError(info.Env(), EINVAL, "eventfd");
  signalForeignEventfd(fd);
}

/// drainClosers(): boolean; for tests that count descriptors.
Napi::Value drainClosers(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), FdCloser::drain(std::chrono::seconds(5)));
}

}  // namespace

void registerFileDescriptors(Napi::Env env, Napi::Object exports) {
  exports.Set("duplicateFd", Napi::Function::New<&duplicateFd>(env, "duplicateFd"));
  exports.Set("closeFd", Napi::Function::New<&closeFd>(env, "closeFd"));
  exports.Set("drainClosers", Napi::Function::New<&drainClosers>(env, "drainClosers"));
  exports.Set("signalFd", Napi::Function::New<&signalFd>(env, "signalFd"));
}

}  // namespace mdev

#include "handover_object.h"

#include <fcntl.h>
#include <napi.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "arguments_object.h"
#include "core/handover_client.h"
#include "napi_objects.h"

namespace mdev {

namespace {

/// saveClient(device): { bytes, fds }
Napi::Value saveClientOf(const Napi::CallbackInfo& info) {
  const auto core = unwrapDevice(info.Env(), info[0]);
  if (core == nullptr) throw Napi::Error::New(info.Env());
  HandoverWriter archive;
  saveClient(*core, archive);
  return handoverObject(info.Env(), archive);
}

/// restoreClient(device, bytes, fds): takes the descriptors. Throws an Error with `code`.
void restoreClientOf(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  HandoverReader archive = handoverArgument(env, info[1], info[2]);
  const auto core = unwrapDevice(env, info[0]);
  if (core == nullptr) throw Napi::Error::New(env);
  const HandoverProblem problem = restoreClient(*core, archive);
  if (problem.error != 0) throwSystemError(env, problem.error, problem.what);
}

/// The device that these two work on; null for one that is closed, where nothing is left to do.
std::shared_ptr<DeviceCore> openDevice(const Napi::CallbackInfo& info) {
  std::shared_ptr<DeviceCore> core = unwrapDeviceIfOpen(info.Env(), info[0]);
  if (info.Env().IsExceptionPending()) throw Napi::Error::New(info.Env());
  return core;
}

/// resumeClient(device): signals of the unmask eventfd are waited for again.
void resumeClientOf(const Napi::CallbackInfo& info) {
  if (const auto core = openDevice(info); core != nullptr) core->interrupts().setUnmaskWatched(true);
}

/// abandonClient(device): throws an Error with `code` when memory of a region is still shared.
void abandonClientOf(const Napi::CallbackInfo& info) {
  const auto core = openDevice(info);
  const int error = core == nullptr ? 0 : abandonClient(*core);
  if (error != 0) throwSystemError(info.Env(), error, "the memory of a region");
}

}  // namespace

Napi::Object handoverObject(Napi::Env env, HandoverWriter& archive) {
  const std::vector<std::byte> bytes = archive.take();
  auto array = Napi::Uint8Array::New(env, bytes.size());
  if (!bytes.empty()) std::memcpy(array.Data(), bytes.data(), bytes.size());
  auto fds = Napi::Array::New(env, archive.fds().size());
  for (uint32_t index = 0; index < archive.fds().size(); ++index) fds.Set(index, archive.fds()[index]);
  auto result = Napi::Object::New(env);
  result.Set("bytes", array);
  result.Set("fds", fds);
  return result;
}

ForeignFd takenDescriptor(Napi::Env env, napi_value value) {
  if (Napi::Value(env, value).As<Napi::Number>().Int32Value() == -1) return {};
  const int fd = static_cast<int>(uint32Argument(env, value, "fd", INT32_MAX));
  return ForeignFd(fd, std::make_shared<FdCloser>());
}

HandoverReader handoverArgument(Napi::Env env, napi_value bytes, napi_value fds) {
  const Napi::Value given(env, fds);
  if (!given.IsArray()) throw Napi::TypeError::New(env, "fds is not an array");
  const auto list = given.As<Napi::Array>();
  std::vector<ForeignFd> taken;
  // One closer for all: a process has few threads to spare.
  const auto closer = std::make_shared<FdCloser>();
  for (uint32_t index = 0; index < list.Length(); ++index) {
    taken.emplace_back(static_cast<int>(uint32Argument(env, Napi::Value(list[index]), "an fd", INT32_MAX)), closer);
  }
  return {bytesArgument(env, bytes, "bytes"), std::move(taken)};
}

void registerHandover(Napi::Env env, Napi::Object exports) {
  exports.Set("saveClient", Napi::Function::New<&saveClientOf>(env, "saveClient"));
  exports.Set("restoreClient", Napi::Function::New<&restoreClientOf>(env, "restoreClient"));
  exports.Set("abandonClient", Napi::Function::New<&abandonClientOf>(env, "abandonClient"));
  exports.Set("resumeClient", Napi::Function::New<&resumeClientOf>(env, "resumeClient"));
}

}  // namespace mdev

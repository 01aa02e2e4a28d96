// The addon's entry point: it only names what the other files export. Runs once per environment (main thread, Worker).

#include <napi.h>

#include "environment_object.h"
#include "napi_objects.h"

namespace {

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  mdev::createEnvironment(env);
  exports.Set("abiVersion", Napi::Number::New(env, 1));
  mdev::registerRegisterTable(env, exports);
  mdev::registerDeviceCore(env, exports);
  mdev::registerPasidTable(env, exports);
  mdev::registerEventFd(env, exports);
  mdev::registerMemoryFile(env, exports);
  mdev::registerFileDescriptors(env, exports);
  mdev::registerConnection(env, exports);
  mdev::registerChannel(env, exports);
  mdev::registerListener(env, exports);
  mdev::registerHandover(env, exports);
  mdev::registerReaderExclusion(env, exports);
  mdev::registerEngine(env, exports);
  mdev::registerQueueDevice(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(mdev, Init)

// What the files that JavaScript sees (addon.cc, *_object.cc) offer to each other. Includes no header of Node's.
#pragma once

#include <memory>

// Node-API's handles and node-addon-api's classes, known by name only.
typedef struct napi_env__* napi_env;
typedef struct napi_value__* napi_value;
namespace Napi {
class Env;
class Object;
}  // namespace Napi

namespace mdev {

class DeviceCore;

// --- One function per object: adds it to the addon's exports. addon.cc calls each of them once per environment. ---

void registerDeviceCore(Napi::Env env, Napi::Object exports);
void registerPasidTable(Napi::Env env, Napi::Object exports);
void registerRegisterTable(Napi::Env env, Napi::Object exports);
void registerEventFd(Napi::Env env, Napi::Object exports);
void registerMemoryFile(Napi::Env env, Napi::Object exports);
void registerFileDescriptors(Napi::Env env, Napi::Object exports);
void registerConnection(Napi::Env env, Napi::Object exports);
void registerChannel(Napi::Env env, Napi::Object exports);
void registerListener(Napi::Env env, Napi::Object exports);
void registerHandover(Napi::Env env, Napi::Object exports);
void registerReaderExclusion(Napi::Env env, Napi::Object exports);
void registerEngine(Napi::Env env, Napi::Object exports);
void registerQueueDevice(Napi::Env env, Napi::Object exports);

/// The device behind a JavaScript `DeviceCore`. Anything else, or a closed one, leaves a TypeError pending and gives
/// null: return to JavaScript then.
///
/// The pointer may be kept, and let go on any thread. After the object's `close()` the core has no regions, no trap
/// handler and no guest memory.
std::shared_ptr<DeviceCore> unwrapDevice(napi_env env, napi_value value);
/// The same; null for one that is closed, which is no error.
std::shared_ptr<DeviceCore> unwrapDeviceIfOpen(napi_env env, napi_value value);

}  // namespace mdev

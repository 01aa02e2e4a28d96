// What is handed over to another process, in JavaScript: bytes, and numbers of file descriptors.
#pragma once

#include "base/handover_archive.h"

typedef struct napi_env__* napi_env;
typedef struct napi_value__* napi_value;
namespace Napi {
class Env;
class Object;
}  // namespace Napi

namespace mdev {

/// `{ bytes, fds }`; the descriptors stay their owners'.
Napi::Object handoverObject(Napi::Env env, HandoverWriter& archive);
/// Takes the descriptors, also when it throws (Napi::TypeError).
HandoverReader handoverArgument(Napi::Env env, napi_value bytes, napi_value fds);
/// Takes a descriptor; -1 gives an empty one.
ForeignFd takenDescriptor(Napi::Env env, napi_value value);

}  // namespace mdev

// Engines and groups as JavaScript holds them.
#pragma once

#include <memory>

typedef struct napi_env__* napi_env;
typedef struct napi_value__* napi_value;

namespace mdev {

class Engine;
class Group;

/// The engine behind a JavaScript `Engine`. Throws Napi::TypeError for anything else and for a closed one.
std::shared_ptr<Engine> unwrapEngine(napi_env env, napi_value value);
/// As unwrapEngine, for a `Group`.
std::shared_ptr<Group> unwrapGroup(napi_env env, napi_value value);

}  // namespace mdev

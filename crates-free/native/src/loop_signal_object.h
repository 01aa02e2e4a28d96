// LoopSignal on the event loop of one JavaScript environment.
#pragma once

#include <functional>
#include <memory>

#include "base/loop_signal.h"

typedef struct napi_env__* napi_env;

namespace mdev {

/// `called` runs inside a CallbackBatch. The signal keeps its loop alive. Null when the loop takes no more handles.
std::unique_ptr<LoopSignal> createLoopSignal(napi_env env, std::function<void()> called);

}  // namespace mdev

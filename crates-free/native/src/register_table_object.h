// Register tables as JavaScript holds them.
#pragma once

#include <memory>

#include "registers/register_table.h"

typedef struct napi_env__* napi_env;
typedef struct napi_value__* napi_value;

namespace mdev {

/// The table behind a JavaScript `RegisterTable`. Throws Napi::TypeError for anything else.
std::shared_ptr<const RegisterTable> unwrapRegisterTable(napi_env env, napi_value value);

}  // namespace mdev

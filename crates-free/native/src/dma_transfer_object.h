// Guest memory transfers by message, asked for by JavaScript.
#pragma once

#include <cstdint>
#include <memory>

#include "core/device_core.h"

typedef struct napi_env__* napi_env;
typedef struct napi_value__* napi_value;

namespace mdev {

/// Starts one DMA_READ into, or DMA_WRITE from, the Uint8Array `bytes` (1 to 65,536 bytes). 0: `callback(errno)` is
/// called later, exactly once. ENOTCONN: there is no client, and no call. Throws Napi::Error on wrong arguments.
///
/// A write's bytes are copied now, a read's when they arrive: if the array has another length by then, the transfer
/// ends with EFAULT.
int startDmaTransfer(napi_env env, const DeviceCore& core, bool write, uint64_t iova, napi_value bytes,
                     napi_value callback);

}  // namespace mdev

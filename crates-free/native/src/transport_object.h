// Streams on the event loop of a JavaScript environment.
#pragma once

#include <functional>
#include <memory>

#include "base/foreign_fd.h"
#include "transport/transport.h"

typedef struct napi_env__* napi_env;
typedef struct napi_value__* napi_value;

namespace mdev {

/// A transport on the environment's own loop. When the environment ends first (a Worker is terminated),
/// `environmentEnds` is called, which has to close the transport; the environment waits for that. Throws Napi::Error.
std::unique_ptr<Transport> createTransport(napi_env env, ForeignFd socket, std::function<void()> environmentEnds);

/// The descriptor that JavaScript gives away: a number >= 0, taken whatever it turns out to be. Throws Napi::TypeError.
ForeignFd givenDescriptorArgument(napi_env env, napi_value value);
/// Throws Napi::Error with `code` when it is no connected UNIX stream socket; otherwise it is ready for a transport.
void requireConnectedSocket(napi_env env, napi_value value);

}  // namespace mdev

// Socket errors in JavaScript.
#pragma once

#include "transport/unix_socket.h"

typedef struct napi_env__* napi_env;

namespace mdev {

/// Throws an Error with the message and the errno's name as `code`.
[[noreturn]] void throwSocketError(napi_env env, const SocketError& error);

template <typename Function>
auto throwingSocketErrors(napi_env env, Function function) {
  try {
    return function();
  } catch (const SocketError& error) {
    throwSocketError(env, error);
  }
}

}  // namespace mdev

#include "socket_error_object.h"

#include <napi.h>
#include <uv.h>

namespace mdev {

void throwSocketError(napi_env env, const SocketError& error) {
  auto exception = Napi::Error::New(env, error.what());
  exception.Set("code", Napi::String::New(env, uv_err_name(-error.code())));
  throw exception;
}

}  // namespace mdev

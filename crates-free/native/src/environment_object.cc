#include "environment_object.h"

#include <napi.h>

#include "base/kernel_signal.h"

namespace mdev {

namespace {

/// The addon's data of one environment. There is no other global state: a Worker loads the same binary.
struct Environment {
  napi_async_context context = nullptr;
  CallbackBatch* batch = nullptr;  ///< the innermost one
  EpochDomain::Reader reader;
};

Environment* environmentOf(napi_env env) {
  void* data = nullptr;
  return napi_get_instance_data(env, &data) == napi_ok ? static_cast<Environment*>(data) : nullptr;
}

CallbackBatch*& currentBatch(napi_env env) { return environmentOf(env)->batch; }

}  // namespace

void createEnvironment(napi_env env) {
  // Now, while the system's share of it is to be had: a client could use it up before the first interrupt.
  static_cast<void>(KernelSignal::instance());
  auto environment = std::make_unique<Environment>();
  const Napi::String name = Napi::String::New(env, "mdev");
  if (napi_async_init(env, nullptr, name, &environment->context) != napi_ok) throw Napi::Error::New(env);
  const auto release = [](napi_env ending, void* data, void*) {
    const std::unique_ptr<Environment> owned(static_cast<Environment*>(data));
    napi_async_destroy(ending, owned->context);
  };
  if (napi_set_instance_data(env, environment.get(), release, nullptr) != napi_ok) throw Napi::Error::New(env);
  static_cast<void>(environment.release());
}

CallbackBatch::CallbackBatch(napi_env env) : env_(env), outer_(currentBatch(env)) { currentBatch(env) = this; }

CallbackBatch::~CallbackBatch() {
  if (callbackScope_ != nullptr) napi_close_callback_scope(env_, callbackScope_);
  currentBatch(env_) = outer_;
  if (handleScope_ != nullptr) napi_close_handle_scope(env_, handleScope_);
}

bool CallbackBatch::enter() {
  if (callbackScope_ != nullptr) return true;
  if (handleScope_ == nullptr && napi_open_handle_scope(env_, &handleScope_) != napi_ok) return false;
  return napi_open_callback_scope(env_, nullptr, environmentOf(env_)->context, &callbackScope_) == napi_ok;
}

bool enterJavaScript(napi_env env) {
  const Environment* environment = environmentOf(env);
  if (environment == nullptr) return false;
  return environment->batch == nullptr || environment->batch->enter();
}

EpochDomain::Reader& epochReader(napi_env env) { return environmentOf(env)->reader; }

}  // namespace mdev

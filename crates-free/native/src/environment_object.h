// One JavaScript environment (the main thread's or a Worker's), as C++ that libuv calls sees it.
#pragma once

#include "memory/epoch.h"

typedef struct napi_env__* napi_env;
typedef struct napi_handle_scope__* napi_handle_scope;
typedef struct napi_callback_scope__* napi_callback_scope;

namespace mdev {

/// Creates the addon's data of this environment. addon.cc calls it first, once per environment.
void createEnvironment(napi_env env);

/// One call from libuv into C++, during which JavaScript may be entered any number of times, or not at all.
///
/// Keep one on the stack of every libuv callback. The first `enterJavaScript` opens the callback scope, the destructor
/// closes it, which runs promises and `process.nextTick`: the caller's objects may be closed by then. A batch that
/// never enters JavaScript costs nothing.
class CallbackBatch {
 public:
  explicit CallbackBatch(napi_env env);
  ~CallbackBatch();
  CallbackBatch(const CallbackBatch&) = delete;
  CallbackBatch& operator=(const CallbackBatch&) = delete;

  /// Whether JavaScript has been entered in this batch.
  bool entered() const { return callbackScope_ != nullptr; }

 private:
  friend bool enterJavaScript(napi_env env);
  bool enter();

  napi_env env_;
  CallbackBatch* outer_ = nullptr;
  napi_handle_scope handleScope_ = nullptr;
  napi_callback_scope callbackScope_ = nullptr;
};

/// To be called before every `napi_call_function` whose caller may be libuv. Inside a CallbackBatch it opens that
/// batch's scope; without one it assumes that JavaScript is the caller. Open a handle scope of your own around each
/// call. False when JavaScript cannot be entered: treat the call as failed.
bool enterJavaScript(napi_env env);

/// The registration of this environment's thread as a reader of guest memory maps.
EpochDomain::Reader& epochReader(napi_env env);

}  // namespace mdev

// The JavaScript behind a device's trapped accesses.
#pragma once

#include <array>
#include <memory>

#include "core/device_core.h"

typedef struct napi_env__* napi_env;
typedef struct napi_value__* napi_value;
typedef struct napi_ref__* napi_ref;

namespace mdev {

/// Calls `{ access(region, offset, data, write), reset(), onFailure(error) }`.
///
/// `data` is a Uint8Array over the mailbox of the access's nesting level, exactly as long as the access; it is valid
/// only during the call. `access` and `reset` return 0 or an errno. Whatever they throw, or a result of another kind,
/// goes to `onFailure`, and the access ends with EIO; what `onFailure` throws is dropped.
class JavaScriptTrapHandler final : public TrapHandler, public std::enable_shared_from_this<JavaScriptTrapHandler> {
 public:
  /// Throws Napi::TypeError when `handler` lacks one of the functions.
  JavaScriptTrapHandler(napi_env env, napi_value handler, std::shared_ptr<TrapMailbox> mailbox);
  ~JavaScriptTrapHandler() override;

  int access(uint32_t region, uint64_t offset, std::span<std::byte> data, bool write) override;
  int reset() override;

 private:
  enum Function { kAccess, kReset, kOnFailure, kFunctions };
  /// Lengths 1, 2, 4 and 8 have a view that is made once.
  static constexpr std::size_t kKeptViews = 4;

  int call(Function function, std::size_t count, const napi_value* arguments);
  void report(napi_value error);
  napi_value view(std::span<std::byte> data);

  napi_env env_;
  std::shared_ptr<TrapMailbox> mailbox_;
  napi_ref handler_ = nullptr;
  napi_ref buffer_ = nullptr;
  std::array<napi_ref, kFunctions> functions_{};
  std::array<std::array<napi_ref, kKeptViews>, kTrapDepth> views_{};
};

}  // namespace mdev

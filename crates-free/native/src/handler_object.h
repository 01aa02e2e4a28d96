// Functions of a JavaScript object that C++ calls from the event loop.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

typedef struct napi_env__* napi_env;
typedef struct napi_value__* napi_value;
typedef struct napi_ref__* napi_ref;
typedef struct napi_handle_scope__* napi_handle_scope;

namespace mdev {

/// What JavaScript gave as `{ message() { … }, closed() { … } }`. Owner thread only; the object lives as long as this
/// does. Nothing here throws but the constructor: the callers' callers are C.
class JavaScriptHandler {
 public:
  /// Throws Napi::TypeError when one of the functions is missing.
  JavaScriptHandler(napi_env env, napi_value object, std::initializer_list<const char*> names);
  ~JavaScriptHandler();
  JavaScriptHandler(const JavaScriptHandler&) = delete;
  JavaScriptHandler& operator=(const JavaScriptHandler&) = delete;

  /// One visit to JavaScript. Values live as long as this.
  class Visit {
   public:
    explicit Visit(const JavaScriptHandler& handler);
    ~Visit();
    Visit(const Visit&) = delete;
    Visit& operator=(const Visit&) = delete;

    /// False when JavaScript cannot be entered (the environment ends).
    explicit operator bool() const { return scope_ != nullptr; }
    /// Arguments; null when they cannot be made.
    ///@{
    napi_value number(double value) const;
    napi_value string(const std::string& text) const;
    /// A copy, as Uint8Array.
    napi_value bytes(std::span<const std::byte> data) const;
    napi_value numbers(std::span<const int> values) const;
    ///@}
    /// Calls the function `names[index]`. What it throws is an uncaught exception, as from any callback of Node's; the
    /// result is null then, and also when an argument is.
    napi_value call(std::size_t index, std::initializer_list<napi_value> arguments) const;
    /// The same, but what it throws goes to the function `names[report]`, and no further.
    napi_value callGuarded(std::size_t index, std::initializer_list<napi_value> arguments, std::size_t report) const;

   private:
    /// A function of the handler, as values that outlive it.
    struct Function {
      napi_value object = nullptr;
      napi_value function = nullptr;
    };
    bool find(std::size_t index, Function& found) const;
    /// Calls; false with what was thrown in `error` (null when that is not to be had).
    static bool call(napi_env env, const Function& function, std::initializer_list<napi_value> arguments,
                     napi_value& result, napi_value& error);

    const napi_env env_;
    const JavaScriptHandler& handler_;
    napi_handle_scope scope_ = nullptr;
  };

 private:
  const napi_env env_;
  napi_ref object_ = nullptr;
  std::vector<napi_ref> functions_;
};

}  // namespace mdev

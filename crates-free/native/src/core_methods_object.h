// The methods of JavaScript's `DeviceCore`, by subject. Each acts on a device that is open; core_object.cc sees to
// that.
#pragma once

#include <span>
#include <variant>

namespace Napi {
class CallbackInfo;
class Value;
}  // namespace Napi

namespace mdev {

class DeviceCore;

/// A std::invalid_argument that a method throws becomes a RangeError.
struct DeviceMethod {
  const char* name;
  std::variant<void (*)(DeviceCore&, const Napi::CallbackInfo&),
               Napi::Value (*)(DeviceCore&, const Napi::CallbackInfo&)>
      function;
};

/// What a method gives whose result is 0 or an errno.
Napi::Value errorNumber(const Napi::CallbackInfo& info, int error);

std::span<const DeviceMethod> regionMethods();
std::span<const DeviceMethod> interruptMethods();
std::span<const DeviceMethod> memoryMethods();
std::span<const DeviceMethod> dirtyLogMethods();

}  // namespace mdev

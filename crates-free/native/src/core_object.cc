// `DeviceCore` in JavaScript: the native half of one device, for the code that owns it. This file has its life and what
// belongs to the JavaScript object; core_methods_object.h names the rest.
#include <napi.h>
#include <uv.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <system_error>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "arguments_object.h"
#include "core/device_core.h"
#include "core_methods_object.h"
#include "message_memory_object.h"
#include "napi_objects.h"
#include "poll_object.h"
#include "trap_handler_object.h"

namespace mdev {

namespace {

constexpr napi_type_tag kTag = {0x1c1f6c2f0d4f4a61, 0xb2f08b3ad07c5e17};

/// Interrupts::Watch on the environment's own loop, which it does not keep alive.
std::shared_ptr<void> watchReadable(napi_env env, int fd, std::function<void()> callback) {
  try {
    auto poll = std::make_shared<Poll>(env, fd, [callback = std::move(callback)](int, int) { callback(); });
    if (poll->watch(UV_READABLE) != 0) return nullptr;
    poll->setReferenced(false);
    return poll;
  } catch (const std::exception&) {
    return nullptr;
  }
}

class DeviceCoreObject : public Napi::ObjectWrap<DeviceCoreObject> {
 public:
  explicit DeviceCoreObject(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<DeviceCoreObject>(info), core_(std::make_shared<DeviceCore>()) {
    info.This().As<Napi::Object>().TypeTag(&kTag);
    core_->interrupts().setWatch([env = napi_env(info.Env())](int fd, std::function<void()> callback) {
      return watchReadable(env, fd, std::move(callback));
    });
  }
  // Engines and connections may hold the core longer than JavaScript holds this.
  ~DeviceCoreObject() override { end(); }

  static Napi::Function define(Napi::Env env);

  /// Null after close().
  std::shared_ptr<DeviceCore> core() const { return closed_ ? nullptr : core_; }

 private:
  using Info = Napi::CallbackInfo;

  /// Any DeviceMethod: the one that the function was defined with.
  Napi::Value call(const Info& info);

  void setTrapHandler(const Info& info);
  void setMessageMemory(const Info& info);
  void clientGone(const Info& info);
  void closeForeignFd(const Info& info);
  Napi::Value isBehindOnClosing(const Info& info);
  Napi::Value statistics(const Info& info);
  void close(const Info& info);

  DeviceCore& open(const Info& info) const;
  void end();

  const std::shared_ptr<DeviceCore> core_;
  std::shared_ptr<JavaScriptTrapHandler> handler_;
  /// Null when the client is not in this process, or has no memory without a file.
  std::unique_ptr<MessageMemory> messages_;
  bool closed_ = false;
};

DeviceCore& DeviceCoreObject::open(const Info& info) const {
  if (closed_) throw Napi::Error::New(info.Env(), "the device is closed");
  return *core_;
}

Napi::Value DeviceCoreObject::call(const Info& info) {
  DeviceCore& core = open(info);
  const auto apply = [&](auto function) {
    if constexpr (std::is_void_v<std::invoke_result_t<decltype(function), DeviceCore&, const Info&>>) {
      function(core, info);
      return info.Env().Undefined();
    } else {
      return function(core, info);
    }
  };
  try {
    return std::visit(apply, static_cast<const DeviceMethod*>(info.Data())->function);
  } catch (const std::invalid_argument& error) {
    throw Napi::RangeError::New(info.Env(), error.what());
  }
}

void DeviceCoreObject::setTrapHandler(const Info& info) {
  DeviceCore& core = open(info);
  auto handler = std::make_shared<JavaScriptTrapHandler>(info.Env(), info[0], core.mailbox());
  core.setTrapHandler(handler.get());
  handler_ = std::move(handler);
}

void DeviceCoreObject::setMessageMemory(const Info& info) {
  DeviceCore& core = open(info);
  std::unique_ptr<MessageMemory> messages;
  if (!info[0].IsNull()) {
    try {
      messages = std::make_unique<MessageMemory>(info.Env(), info[0]);
    } catch (const std::system_error& error) {
      throwSystemError(info.Env(), error.code().value(), "eventfd");
    }
  }
  const std::shared_ptr<CallbackDma> dma = messages == nullptr ? nullptr : messages->dma();
  // First: what the earlier one's requests do when they end may come here again, or close the device.
  std::swap(messages_, messages);
  core.dma()->setMessageDma(dma);
}

void DeviceCoreObject::clientGone(const Info& info) {
  const std::unique_ptr<MessageMemory> messages = std::move(messages_);
  open(info).clientGone();
}

// Of a closed device too: its clients' descriptors are still to be closed.
void DeviceCoreObject::closeForeignFd(const Info& info) {
  core_->closer()->close(FileDescriptor(static_cast<int>(uint32Argument(info.Env(), info[0], "fd", INT32_MAX))));
}

Napi::Value DeviceCoreObject::isBehindOnClosing(const Info& info) {
  return Napi::Boolean::New(info.Env(), core_->closer()->behind());
}

Napi::Value DeviceCoreObject::statistics(const Info& info) {
  const DeviceStatistics& counted = core_->statistics();
  const RegisterRegion::Counters registers = core_->registerCounters();
  auto result = Napi::Object::New(info.Env());
  const auto set = [&](const char* name, uint64_t value) { result.Set(name, static_cast<double>(value)); };
  set("reads", counted.reads);
  set("writes", counted.writes);
  set("traps", counted.traps);
  set("refused", counted.refused);
  set("droppedWrites", counted.droppedWrites + registers.dropped);
  set("frozenWrites", registers.frozen);
  set("dmaFaults", counted.dmaFaults);
  return result;
}

void DeviceCoreObject::close(const Info&) { end(); }

void DeviceCoreObject::end() {
  if (closed_) return;
  closed_ = true;
  const std::unique_ptr<MessageMemory> messages = std::move(messages_);
  core_->close();
  handler_.reset();
}

Napi::Function DeviceCoreObject::define(Napi::Env env) {
  using This = DeviceCoreObject;
  std::vector<PropertyDescriptor> methods = {
      InstanceMethod<&This::setTrapHandler>("setTrapHandler"),
      InstanceMethod<&This::setMessageMemory>("setMessageMemory"),
      InstanceMethod<&This::clientGone>("clientGone"),
      InstanceMethod<&This::closeForeignFd>("closeForeignFd"),
      InstanceMethod<&This::isBehindOnClosing>("isBehindOnClosing"),
      InstanceMethod<&This::statistics>("statistics"),
      InstanceMethod<&This::close>("close"),
  };
  for (const auto& subject : {regionMethods(), interruptMethods(), memoryMethods(), dirtyLogMethods()}) {
    for (const DeviceMethod& method : subject) {
      // Node-API's data is never const; call() does not change it.
      void* const data = const_cast<DeviceMethod*>(&method);
      methods.push_back(InstanceMethod<&This::call>(method.name, napi_default, data));
    }
  }
  return DefineClass(env, "DeviceCore", methods);
}

}  // namespace

Napi::Value errorNumber(const Napi::CallbackInfo& info, int error) { return Napi::Number::New(info.Env(), error); }

std::shared_ptr<DeviceCore> unwrapDeviceIfOpen(napi_env env, napi_value value) {
  const Napi::Value object(env, value);
  if (object.IsObject() && object.As<Napi::Object>().CheckTypeTag(&kTag)) {
    return DeviceCoreObject::Unwrap(object.As<Napi::Object>())->core();
  }
  napi_throw_type_error(env, nullptr, "not a DeviceCore");
  return nullptr;
}

std::shared_ptr<DeviceCore> unwrapDevice(napi_env env, napi_value value) {
  std::shared_ptr<DeviceCore> core = unwrapDeviceIfOpen(env, value);
  if (core == nullptr && !Napi::Env(env).IsExceptionPending()) {
    napi_throw_type_error(env, nullptr, "the device is closed");
  }
  return core;
}

void registerDeviceCore(Napi::Env env, Napi::Object exports) {
  exports.Set("DeviceCore", DeviceCoreObject::define(env));
}

}  // namespace mdev

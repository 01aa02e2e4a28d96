// `Engine` and `Group` in JavaScript.
#include "engine_object.h"

#include <napi.h>

#include <algorithm>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "arguments_object.h"
#include "dsa/operation_facts.h"
#include "engine/engine.h"
#include "engine/group.h"
#include "napi_objects.h"

namespace mdev {

namespace {

constexpr napi_type_tag kEngineTag = {0x77d3a5e84b0f4c19, 0x8e21c9d06f5ba374};
constexpr napi_type_tag kGroupTag = {0x2b9f64c1d7a84e53, 0xa6f81d3c05e97b42};

/// `new Engine(name)`: a thread that executes descriptors.
class EngineObject : public Napi::ObjectWrap<EngineObject> {
 public:
  explicit EngineObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<EngineObject>(info) {
    if (!info[0].IsString()) throw Napi::TypeError::New(info.Env(), "name: expected a string");
    try {
      engine_ = std::make_shared<Engine>(info[0].As<Napi::String>().Utf8Value());
    } catch (const std::system_error& error) {
      throwSystemError(info.Env(), error.code().value(), "pthread_create");
    } catch (const std::bad_alloc&) {
      throw Napi::Error::New(info.Env(), "not enough memory for an engine");
    }
    info.This().As<Napi::Object>().TypeTag(&kEngineTag);
  }
  ~EngineObject() override { end(); }

  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "Engine", {InstanceMethod<&EngineObject::close>("close")});
  }
  const std::shared_ptr<Engine>& engine() const { return engine_; }

 private:
  void close(const Napi::CallbackInfo&) { end(); }
  void end() {
    if (engine_ != nullptr) engine_->close();
    engine_.reset();
  }

  std::shared_ptr<Engine> engine_;
};

/// `new Group(inProgress)`: queues and the engines that serve them.
class GroupObject : public Napi::ObjectWrap<GroupObject> {
 public:
  explicit GroupObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<GroupObject>(info) {
    if (!info[0].IsNumber()) throw Napi::TypeError::New(info.Env(), "inProgress: expected a number");
    try {
      group_ = std::make_shared<Group>(info[0].As<Napi::Number>().Uint32Value());
    } catch (const std::invalid_argument& error) {
      throw Napi::RangeError::New(info.Env(), error.what());
    }
    info.This().As<Napi::Object>().TypeTag(&kGroupTag);
  }
  ~GroupObject() override { end(); }

  static Napi::Function define(Napi::Env env) {
    return DefineClass(
        env, "Group",
        {InstanceMethod<&GroupObject::setEngines>("setEngines"), InstanceMethod<&GroupObject::close>("close")});
  }
  const std::shared_ptr<Group>& group() const { return group_; }

 private:
  void setEngines(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (group_ == nullptr) throw Napi::TypeError::New(env, "the group is closed");
    if (!info[0].IsArray()) throw Napi::TypeError::New(env, "engines: expected an array of Engine");
    const auto list = info[0].As<Napi::Array>();
    std::vector<std::shared_ptr<Engine>> engines;
    for (uint32_t index = 0; index < list.Length(); ++index) {
      const Napi::Value value = list[index];
      std::shared_ptr<Engine> engine = unwrapEngine(env, value);
      if (std::find(engines.begin(), engines.end(), engine) == engines.end()) engines.push_back(std::move(engine));
    }
    try {
      group_->setEngines(std::move(engines));
    } catch (const std::invalid_argument& error) {
      throw Napi::RangeError::New(env, error.what());
    } catch (const std::bad_alloc&) {
      throw Napi::Error::New(env, "not enough memory for the group's engines");
    }
  }
  void close(const Napi::CallbackInfo&) { end(); }
  void end() {
    if (group_ != nullptr) group_->close();
    group_.reset();
  }

  std::shared_ptr<Group> group_;
};

/// OPCAP: 32 bytes, bit n of them for operation n.
Napi::Value supportedOperations(const Napi::CallbackInfo& info) {
  auto bytes = Napi::Uint8Array::New(info.Env(), dsa::kOpcodes / 8);
  for (unsigned opcode = 0; opcode < dsa::kOpcodes; ++opcode) {
    const unsigned bit = dsa::supportedOperations().test(opcode) ? 1u << (opcode % 8) : 0;
    bytes[opcode / 8] = static_cast<uint8_t>(bytes[opcode / 8] | bit);
  }
  return bytes;
}

}  // namespace

std::shared_ptr<Engine> unwrapEngine(napi_env env, napi_value value) {
  const Napi::Value object(env, value);
  if (!object.IsObject() || !object.As<Napi::Object>().CheckTypeTag(&kEngineTag)) {
    throw Napi::TypeError::New(env, "engine: expected an Engine");
  }
  std::shared_ptr<Engine> engine = EngineObject::Unwrap(object.As<Napi::Object>())->engine();
  if (engine == nullptr) throw Napi::TypeError::New(env, "the engine is closed");
  return engine;
}

std::shared_ptr<Group> unwrapGroup(napi_env env, napi_value value) {
  const Napi::Value object(env, value);
  if (!object.IsObject() || !object.As<Napi::Object>().CheckTypeTag(&kGroupTag)) {
    throw Napi::TypeError::New(env, "group: expected a Group");
  }
  std::shared_ptr<Group> group = GroupObject::Unwrap(object.As<Napi::Object>())->group();
  if (group == nullptr) throw Napi::TypeError::New(env, "the group is closed");
  return group;
}

void registerEngine(Napi::Env env, Napi::Object exports) {
  exports.Set("Engine", EngineObject::define(env));
  exports.Set("Group", GroupObject::define(env));
  exports.Set("supportedOperations", Napi::Function::New<supportedOperations>(env, "supportedOperations"));
}

}  // namespace mdev

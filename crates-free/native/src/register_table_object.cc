#include "register_table_object.h"

#include <napi.h>

#include <stdexcept>

#include "arguments_object.h"
#include "napi_objects.h"

namespace mdev {

namespace {

constexpr napi_type_tag kTag = {0x5f0c7f0a6b1b4e53, 0x9d1e86a1c95a2b40};

/// `new RegisterTable(bytes)`: a compiled register block, checked.
class RegisterTableObject : public Napi::ObjectWrap<RegisterTableObject> {
 public:
  explicit RegisterTableObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<RegisterTableObject>(info) {
    try {
      table_ = std::make_shared<const RegisterTable>(bytesArgument(info.Env(), info[0], "bytes"));
    } catch (const std::invalid_argument& error) {
      throw Napi::RangeError::New(info.Env(), error.what());
    }
    info.This().As<Napi::Object>().TypeTag(&kTag);
  }

  const std::shared_ptr<const RegisterTable>& table() const { return table_; }

 private:
  std::shared_ptr<const RegisterTable> table_;
};

}  // namespace

std::shared_ptr<const RegisterTable> unwrapRegisterTable(napi_env env, napi_value value) {
  const Napi::Value object(env, value);
  if (!object.IsObject() || !object.As<Napi::Object>().CheckTypeTag(&kTag)) {
    throw Napi::TypeError::New(env, "table is not a RegisterTable");
  }
  return RegisterTableObject::Unwrap(object.As<Napi::Object>())->table();
}

void registerRegisterTable(Napi::Env env, Napi::Object exports) {
  exports.Set("RegisterTable", RegisterTableObject::DefineClass(env, "RegisterTable", {}));
}

}  // namespace mdev

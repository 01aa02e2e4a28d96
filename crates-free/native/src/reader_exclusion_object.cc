// `ReaderExclusion` in JavaScript: guest memory that is left alone, without waiting for who is in it.
#include <napi.h>

#include <memory>
#include <optional>

#include "core/device_core.h"
#include "memory/reader_exclusion.h"
#include "napi_objects.h"

namespace mdev {

namespace {

class ReaderExclusionObject : public Napi::ObjectWrap<ReaderExclusionObject> {
 public:
  /// new ReaderExclusion(device)
  explicit ReaderExclusionObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<ReaderExclusionObject>(info) {
    const std::shared_ptr<DeviceCore> core = unwrapDevice(info.Env(), info[0]);
    if (core == nullptr) throw Napi::Error::New(info.Env());
    exclusion_.emplace(core->dma()->readers());
  }

  static Napi::Function define(Napi::Env env) {
    using This = ReaderExclusionObject;
    return DefineClass(env, "ReaderExclusion",
                       {
                           InstanceMethod<&This::complete>("complete"),
                           InstanceMethod<&This::end>("end"),
                       });
  }

 private:
  /// complete(): boolean
  Napi::Value complete(const Napi::CallbackInfo& info) {
    return Napi::Boolean::New(info.Env(), exclusion_ && exclusion_->complete());
  }
  void end(const Napi::CallbackInfo&) { exclusion_.reset(); }

  std::optional<ReaderExclusion> exclusion_;
};

}  // namespace

void registerReaderExclusion(Napi::Env env, Napi::Object exports) {
  exports.Set("ReaderExclusion", ReaderExclusionObject::define(env));
}

}  // namespace mdev

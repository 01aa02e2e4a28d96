// `EventFd` in JavaScript: an eventfd(2) that can be signalled, read and awaited.
#include <napi.h>
#include <sys/eventfd.h>
#include <uv.h>

#include <cerrno>
#include <memory>
#include <optional>

#include "arguments_object.h"
#include "base/eventfd.h"
#include "base/file_descriptor.h"
#include "environment_object.h"
#include "napi_objects.h"
#include "poll_object.h"

namespace mdev {

namespace {

class EventFdObject : public Napi::ObjectWrap<EventFdObject> {
 public:
  explicit EventFdObject(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<EventFdObject>(info), fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (!fd_) throwSystemError(info.Env(), errno, "eventfd");
    setFdProperty(info.This().As<Napi::Object>());
  }
  // A Poll watches fd_: it must go first.
  ~EventFdObject() override { poll_.reset(); }

  static Napi::Function define(Napi::Env env) {
    using This = EventFdObject;
    return DefineClass(env, "EventFd",
                       {
                           InstanceMethod<&This::signal>("signal"),
                           InstanceMethod<&This::read>("read"),
                           InstanceMethod<&This::onSignal>("onSignal"),
                           InstanceMethod<&This::unref>("unref"),
                           InstanceMethod<&This::close>("close"),
                       });
  }

 private:
  void signal(const Napi::CallbackInfo& info) {
    requireOpen(info.Env());
    signalForeignEventfd(fd_.get());
  }

  Napi::Value read(const Napi::CallbackInfo& info) {
    requireOpen(info.Env());
    return Napi::Number::New(info.Env(), static_cast<double>(take().value_or(0)));
  }

  void onSignal(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    requireOpen(env);
    if (info[0].IsNull()) {
      stop();
      return;
    }
    if (!info[0].IsFunction()) throw Napi::TypeError::New(env, "callback is neither a function nor null");
    stop();
    poll_ = std::make_unique<Poll>(env, fd_.get(), [this](int, int) { signalled(); });
    callback_ = Napi::Persistent(info[0].As<Napi::Function>());
    // While somebody waits, the object must not be collected.
    Ref();
    poll_->watch(UV_READABLE);
  }

  void unref(const Napi::CallbackInfo&) {
    if (poll_ != nullptr) poll_->setReferenced(false);
  }

  void close(const Napi::CallbackInfo& info) {
    if (!fd_) return;
    stop();
    fd_.reset();
    setFdProperty(info.This().As<Napi::Object>());
  }

  void signalled() {
    const napi_env env = Env();
    const std::optional<uint64_t> count = take();
    if (!count.has_value() || !enterJavaScript(env)) return;
    const Napi::HandleScope scope(env);
    napi_value argument = nullptr;
    napi_create_double(env, static_cast<double>(*count), &argument);
    napi_value callback = callback_.Value();
    if (napi_call_function(env, Value(), callback, 1, &argument, nullptr) != napi_pending_exception) return;
    napi_value error = nullptr;
    if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
  }

  /// The counter, which becomes 0; nothing when it was 0.
  std::optional<uint64_t> take() const { return takeForeignEventfd(fd_.get()); }

  void stop() {
    if (poll_ == nullptr) return;
    poll_.reset();
    callback_.Reset();
    Unref();
  }

  void requireOpen(napi_env env) const {
    if (!fd_) throwSystemError(env, EBADF, "eventfd");
  }

  /// `fd` is a property of the object, not an accessor: nothing can be called with another object as `this`.
  void setFdProperty(Napi::Object object) const {
    object.DefineProperty(
        Napi::PropertyDescriptor::Value("fd", Napi::Number::New(object.Env(), fd_.get()),
                                        static_cast<napi_property_attributes>(napi_enumerable | napi_configurable)));
  }

  FileDescriptor fd_;
  Napi::FunctionReference callback_;
  std::unique_ptr<Poll> poll_;
};

}  // namespace

void registerEventFd(Napi::Env env, Napi::Object exports) { exports.Set("EventFd", EventFdObject::define(env)); }

}  // namespace mdev

// `PasidTable` in JavaScript: the address spaces of one device by PASID, for the code that owns the device.
#include <napi.h>

#include <cerrno>
#include <memory>
#include <system_error>
#include <utility>

#include "arguments_object.h"
#include "core/device_core.h"
#include "core/guest_copy.h"
#include "environment_object.h"
#include "napi_objects.h"
#include "page_requests_object.h"
#include "sva/pasid_table.h"

namespace mdev {

namespace {

class PasidTableObject : public Napi::ObjectWrap<PasidTableObject> {
 public:
  explicit PasidTableObject(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<PasidTableObject>(info), requests_(makeRequests(info)), table_(makeTable(requests_.get())) {
    const std::shared_ptr<DeviceCore> core = unwrapDevice(info.Env(), info[0]);
    if (core != nullptr) core->setPasids(table_);
  }
  // Engines may hold the table longer than JavaScript holds this.
  ~PasidTableObject() override { end(); }

  static Napi::Function define(Napi::Env env) {
    using This = PasidTableObject;
    return DefineClass(env, "PasidTable",
                       {
                           InstanceMethod<&This::attach>("attach"),
                           InstanceMethod<&This::replace>("replace"),
                           InstanceMethod<&This::detach>("detach"),
                           InstanceMethod<&This::detachAll>("detachAll"),
                           InstanceMethod<&This::setReachable>("setReachable"),
                           InstanceMethod<&This::invalidate>("invalidate"),
                           InstanceMethod<&This::read>("read"),
                           InstanceMethod<&This::write>("write"),
                           InstanceMethod<&This::respond>("respond"),
                           InstanceMethod<&This::close>("close"),
                       });
  }

 private:
  using Info = Napi::CallbackInfo;

  static uint32_t pasidArgument(const Info& info) { return uint32Argument(info.Env(), info[0], "pasid", kMaxPasid); }

  static Napi::Value answer(const Info& info, int error) { return Napi::Number::New(info.Env(), error); }

  /// The guest memory of a DeviceCore; null with an exception pending.
  static std::shared_ptr<DmaSpace> spaceArgument(const Info& info) {
    const std::shared_ptr<DeviceCore> core = unwrapDevice(info.Env(), info[1]);
    return core == nullptr ? nullptr : core->dma();
  }

  Napi::Value attach(const Info& info) {
    const uint32_t pasid = pasidArgument(info);
    std::shared_ptr<DmaSpace> space = spaceArgument(info);
    return space == nullptr ? Napi::Value() : answer(info, table_->attach(pasid, std::move(space)));
  }

  Napi::Value replace(const Info& info) {
    const uint32_t pasid = pasidArgument(info);
    std::shared_ptr<DmaSpace> space = spaceArgument(info);
    return space == nullptr ? Napi::Value() : answer(info, table_->replace(pasid, std::move(space)));
  }

  Napi::Value detach(const Info& info) { return answer(info, table_->detach(pasidArgument(info))); }

  void detachAll(const Info&) { table_->detachAll(); }

  void setReachable(const Info& info) { table_->setReachable(boolArgument(info.Env(), info[0], "reachable")); }

  void invalidate(const Info&) { table_->invalidate(); }

  // This thread is the one that changes the table: it needs no guard of it.

  Napi::Value read(const Info& info) {
    const std::shared_ptr<DmaSpace> space = reached(info);
    const uint64_t iova = bigintArgument(info.Env(), info[1], "iova");
    const auto into = bytesArgument(info.Env(), info[2], "into");
    return answer(info, space == nullptr ? EFAULT : copyFromGuest(*space, epochReader(info.Env()), iova, into));
  }

  Napi::Value write(const Info& info) {
    const std::shared_ptr<DmaSpace> space = reached(info);
    const uint64_t iova = bigintArgument(info.Env(), info[1], "iova");
    const auto from = bytesArgument(info.Env(), info[2], "from");
    return answer(info, space == nullptr ? EFAULT : copyToGuest(*space, epochReader(info.Env()), iova, from));
  }

  Napi::Value respond(const Info& info) {
    const uint64_t number = offsetArgument(info.Env(), info[0], "number");
    const auto response = static_cast<PageResponse>(uint32Argument(info.Env(), info[1], "response", 15));
    return Napi::Boolean::New(info.Env(), requests_ != nullptr && requests_->channel().respond(number, response));
  }

  void close(const Info&) { end(); }

  void end() {
    table_->setReachable(false);
    table_->detachAll();
    requests_.reset();
  }

  static std::unique_ptr<PageRequestsOfEngines> makeRequests(const Info& info) {
    if (info[1].IsNull()) return nullptr;
    try {
      return std::make_unique<PageRequestsOfEngines>(info.Env(), info[1]);
    } catch (const std::system_error& error) {
      throwSystemError(info.Env(), error.code().value(), "eventfd");
    }
  }

  static std::shared_ptr<PasidTable> makeTable(const PageRequestsOfEngines* requests) {
    return std::make_shared<PasidTable>(requests == nullptr ? nullptr : requests->shared());
  }

  std::shared_ptr<DmaSpace> reached(const Info& info) const {
    const uint32_t pasid = pasidArgument(info);
    return table_->reachable() ? table_->attached(pasid) : nullptr;
  }

  /// Null when the device asks for no pages, and when it is closed.
  std::unique_ptr<PageRequestsOfEngines> requests_;
  const std::shared_ptr<PasidTable> table_;
};

}  // namespace

void registerPasidTable(Napi::Env env, Napi::Object exports) {
  exports.Set("PasidTable", PasidTableObject::define(env));
}

}  // namespace mdev

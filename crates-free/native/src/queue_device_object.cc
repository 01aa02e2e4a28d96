// `QueueDevice` in JavaScript: the work queues and portals of one device.
#include <linux/vfio.h>
#include <napi.h>

#include <algorithm>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "arguments_object.h"
#include "core/device_core.h"
#include "engine/group.h"
#include "engine/queue_device.h"
#include "engine_object.h"
#include "napi_objects.h"
#include "queue_device_arguments_object.h"

namespace mdev {

namespace {

/// Runs what may refuse its arguments or its moment, or may find no memory.
template <typename Action>
auto checked(Napi::Env env, Action action) {
  try {
    return action();
  } catch (const std::invalid_argument& error) {
    throw Napi::RangeError::New(env, error.what());
  } catch (const std::logic_error& error) {
    throw Napi::Error::New(env, error.what());
  } catch (const std::bad_alloc&) {
    throw Napi::Error::New(env, "not enough memory");
  }
}

/// `new QueueDevice(device, portalRegion, registerRegion, queues, vectors, registers, capabilities,
/// typedCapabilities)`.
class QueueDeviceObject : public Napi::ObjectWrap<QueueDeviceObject> {
 public:
  explicit QueueDeviceObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<QueueDeviceObject>(info) {
    const Napi::Env env = info.Env();
    core_ = unwrapDevice(env, info[0]);
    if (core_ == nullptr) throw Napi::Error::New(env);
    portalRegion_ = uint32Argument(env, info[1], "portalRegion", kPciRegions - 1);
    const uint32_t registerRegion = uint32Argument(env, info[2], "registerRegion", kPciRegions - 1);
    QueueDeviceOptions options;
    options.queues = uint32Argument(env, info[3], "queues");
    options.handles = uint32Argument(env, info[4], "vectors");
    options.offsets = registerOffsetsArgument(env, info[5]);
    options.capabilities = capabilitiesArgument(env, info[6]);
    options.capabilities.typed = typedCapabilitiesArgument(env, info[7]);
    options.registers = core_->registerMemory(registerRegion);
    options.table = core_->registerTable(registerRegion);
    options.dma = core_->dma();
    // The counter lives in the device.
    options.dmaFaults = {core_, &core_->statistics().dmaFaults};
    options.irqs = core_->irqs(VFIO_PCI_MSIX_IRQ_INDEX);
    const uint64_t portals = core_->regionSize(portalRegion_);
    if (portals < options.queues * PortalRegion::kQueueStride) {
      throw Napi::RangeError::New(env, "portalRegion " + std::to_string(portalRegion_) + " has " +
                                           std::to_string(portals) + " bytes; " + std::to_string(options.queues) +
                                           " queues need " +
                                           std::to_string(options.queues * PortalRegion::kQueueStride));
    }
    checked(env, [&] {
      device_ = std::make_unique<QueueDevice>(options);
      core_->setRegionPort(portalRegion_, device_->portal());
    });
  }
  ~QueueDeviceObject() override { end(); }

  static Napi::Function define(Napi::Env env) {
    using This = QueueDeviceObject;
    return DefineClass(env, "QueueDevice",
                       {
                           InstanceMethod<&This::enable>("enable"),
                           InstanceMethod<&This::setThreshold>("setThreshold"),
                           InstanceMethod<&This::openEventLog>("openEventLog"),
                           InstanceMethod<&This::command>("command"),
                           InstanceMethod<&This::reset>("reset"),
                           InstanceMethod<&This::suspend>("suspend"),
                           InstanceMethod<&This::settle>("settle"),
                           InstanceMethod<&This::resume>("resume"),
                           InstanceMethod<&This::state>("state"),
                           InstanceMethod<&This::restore>("restore"),
                           InstanceMethod<&This::recordError>("recordError"),
                           InstanceMethod<&This::statistics>("statistics"),
                           InstanceMethod<&This::eventLogStatistics>("eventLogStatistics"),
                           InstanceMethod<&This::close>("close"),
                       });
  }

 private:
  QueueDevice& device(Napi::Env env) const {
    if (device_ == nullptr) throw Napi::Error::New(env, "the queue device is closed");
    return *device_;
  }

  /// enable(queue, group, configuration, operations)
  void enable(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const uint32_t queue = uint32Argument(env, info[0], "queue");
    const std::shared_ptr<Group> group = unwrapGroup(env, info[1]);
    const std::vector<uint32_t> configuration = wordsArgument(env, info[2], "configuration", kQueueConfigurationFields);
    const QueueConfig config = queueConfig(configuration, operationsArgument(env, info[3], 1));
    checked(env, [&] { device(env).enable(queue, config, group); });
  }

  /// setThreshold(queue, threshold)
  void setThreshold(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const uint32_t queue = uint32Argument(env, info[0], "queue");
    const uint32_t threshold = uint32Argument(env, info[1], "threshold");
    checked(env, [&] { device(env).setThreshold(queue, threshold); });
  }

  /// openEventLog(group, eventLog)
  void openEventLog(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const std::shared_ptr<Group> group = unwrapGroup(env, info[0]);
    const EventLogConfig config = eventLogArgument(env, info[1]);
    checked(env, [&] { device(env).openEventLog(config, group); });
  }

  /// The arguments `effects` and `vectors`, from place `first` on.
  static CommandEffects effects(const Napi::CallbackInfo& info, std::size_t first) {
    return {effectsArgument(info.Env(), info[first]), wordsArgument(info.Env(), info[first + 1], "vectors")};
  }

  /// command(queues, stopAccepting, abort, effects, vectors, pasid, drainEventLog, closeEventLog): `pasid` is undefined
  /// for all
  Napi::Value command(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    QueueDevice::Command command;
    command.queues = wordsArgument(env, info[0], "queues");
    command.stopAccepting = boolArgument(env, info[1], "stopAccepting");
    command.abort = boolArgument(env, info[2], "abort");
    command.effects = effects(info, 3);
    if (!info[5].IsUndefined()) command.pasid = uint32Argument(env, info[5], "pasid");
    command.drainEventLog = boolArgument(env, info[6], "drainEventLog");
    command.closeEventLog = boolArgument(env, info[7], "closeEventLog");
    return Napi::Boolean::New(env, checked(env, [&] { return device(env).command(std::move(command)); }));
  }

  void reset(const Napi::CallbackInfo& info) { device(info.Env()).reset(); }

  void suspend(const Napi::CallbackInfo& info) { device(info.Env()).suspend(); }
  void resume(const Napi::CallbackInfo& info) { device(info.Env()).resume(); }

  /// settle(cancel): whether nothing is outstanding, after `cancel` in any case; also when it is not suspended
  Napi::Value settle(const Napi::CallbackInfo& info) {
    QueueDevice& own = device(info.Env());
    if (boolArgument(info.Env(), info[0], "cancel")) own.cancelMessages();
    return Napi::Boolean::New(info.Env(), !own.suspended() || own.settled());
  }

  /// state(): Uint8Array
  Napi::Value state(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const std::vector<std::byte> bytes = checked(env, [&] { return device(env).state(); });
    auto result = Napi::Uint8Array::New(env, bytes.size());
    std::copy_n(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), result.Data());
    return result;
  }

  /// restore(state, groups, configurations, operations, effects, vectors, logGroup, eventLog): an element for each
  /// queue, a group that is undefined for those that are not enabled; of the next two arrays one after the other; the
  /// next two are undefined when no command waits, the last two when no event log is open
  void restore(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const uint32_t count = device(env).queues();
    if (!info[1].IsArray() || info[1].As<Napi::Array>().Length() != count) {
      throw Napi::TypeError::New(env, "groups: expected an array of " + std::to_string(count));
    }
    const auto groups = info[1].As<Napi::Array>();
    const std::vector<uint32_t> configurations =
        wordsArgument(env, info[2], "configurations", std::size_t{count} * kQueueConfigurationFields);
    std::vector<std::optional<QueueDevice::RestoredQueue>> queues(count);
    for (uint32_t queue = 0; queue < count; ++queue) {
      const Napi::Value group = groups[queue];
      if (group.IsUndefined()) continue;
      queues[queue].emplace();
      queues[queue]->group = unwrapGroup(env, group);
      // Looked at anew: an element of an array may be a getter.
      const std::span<const std::byte> operations = operationsArgument(env, info[3], count);
      queues[queue]->config =
          queueConfig(std::span(configurations).subspan(queue * kQueueConfigurationFields, kQueueConfigurationFields),
                      operations.subspan(queue * kQueueOperationBytes, kQueueOperationBytes));
    }
    std::optional<CommandEffects> waiting;
    if (!info[4].IsUndefined()) waiting = effects(info, 4);
    std::optional<QueueDevice::RestoredEventLog> log;
    if (!info[6].IsUndefined()) log = {eventLogArgument(env, info[7]), unwrapGroup(env, info[6])};
    // A private copy: restoring runs no JavaScript, but what is checked must not change.
    const std::span<const std::byte> given = bytesArgument(env, info[0], "state");
    const std::vector<std::byte> state(given.begin(), given.end());
    checked(env, [&] { device(env).restore(state, queues, std::move(waiting), log); });
  }

  /// recordError(error)
  void recordError(const Napi::CallbackInfo& info) {
    device(info.Env()).recordError(softwareErrorArgument(info.Env(), info[0]));
  }

  /// statistics(queue): submitted, completed, abandoned, dropped, full, waiting, inFlight, retried
  Napi::Value statistics(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const QueueDevice& own = device(env);
    const uint32_t index = uint32Argument(env, info[0], "queue", own.queues() - 1);
    const WorkQueue& queue = own.queue(index);
    const QueueCounters& counters = queue.counters();
    const std::shared_ptr<QueueRun>& run = queue.run();
    const double values[] = {static_cast<double>(counters.submitted),
                             static_cast<double>(counters.completed),
                             static_cast<double>(counters.abandoned),
                             static_cast<double>(counters.dropped),
                             static_cast<double>(counters.full),
                             run == nullptr ? 0 : static_cast<double>(run->waiting()),
                             run == nullptr ? 0 : static_cast<double>(run->inFlight()),
                             static_cast<double>(counters.retried)};
    auto result = Napi::Float64Array::New(env, std::size(values));
    std::copy(std::begin(values), std::end(values), result.Data());
    return result;
  }

  /// eventLogStatistics(): written, lost
  Napi::Value eventLogStatistics(const Napi::CallbackInfo& info) {
    const EventLog& log = device(info.Env()).eventLog();
    auto result = Napi::Float64Array::New(info.Env(), 2);
    result[0] = static_cast<double>(log.written());
    result[1] = static_cast<double>(log.lost());
    return result;
  }

  void close(const Napi::CallbackInfo&) { end(); }
  void end() {
    if (device_ == nullptr) return;
    core_->setRegionPort(portalRegion_, nullptr);
    device_->close();
    device_.reset();
    core_.reset();
  }

  std::shared_ptr<DeviceCore> core_;
  uint32_t portalRegion_ = 0;
  std::unique_ptr<QueueDevice> device_;
};

}  // namespace

void registerQueueDevice(Napi::Env env, Napi::Object exports) {
  exports.Set("QueueDevice", QueueDeviceObject::define(env));
}

}  // namespace mdev

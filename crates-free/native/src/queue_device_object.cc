// `QueueDevice` in JavaScript: the work queues and portals of one device.
//
// Numbers come as arrays in the order of the enumerations below: src/engine/native.ts writes them, having checked each.
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

namespace mdev {

namespace {

/// `registers`.
enum RegisterField : std::size_t {
  kSoftwareError,
  kInterruptCause,
  kGeneralControl,
  kWorkQueueStatusOffset,
  kWorkQueueStatusStride,
  kMsixPermissionsOffset,
  kMsixPermissionsStride,
  kRegisterFields,
};

/// `capabilities`, a bit each.
enum CapabilityBit : uint32_t {
  kOverlappingMove = 1,
  kNoCacheControl = 2,
  kDestinationReadback = 4,
  kFaultInfo = 8,
  kBatchContinuation = 16,
  kBatchOfOne = 32,
};

/// `configuration` of a queue.
enum ConfigurationField : std::size_t {
  kSize,
  kDedicated,
  kPriority,
  kMaxTransferShift,
  kMaxBatchShift,
  kBlockOnFault,
  kUserInterrupts,
  kPasidEnabled,
  kPasidValue,
  kPrivileged,
  kConfigurationFields,
};

/// `error`.
enum ErrorField : std::size_t { kCode, kHasQueue, kQueue, kErrorFields };

/// Words of one effect in `effects`.
enum EffectField : std::size_t { kEffectOffset, kEffectOperation, kEffectValue, kEffectFields };

std::vector<uint32_t> words(const Napi::CallbackInfo& info, std::size_t argument, const char* name) {
  const Napi::Value value = info[argument];
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_uint32_array) {
    throw Napi::TypeError::New(info.Env(), std::string(name) + ": expected a Uint32Array");
  }
  const auto array = value.As<Napi::Uint32Array>();
  return {array.Data(), array.Data() + array.ElementLength()};
}

std::vector<uint32_t> fields(const Napi::CallbackInfo& info, std::size_t argument, const char* name,
                             std::size_t count) {
  std::vector<uint32_t> values = words(info, argument, name);
  if (values.size() != count) {
    throw Napi::RangeError::New(info.Env(), std::string(name) + " has " + std::to_string(values.size()) +
                                                " elements; expected " + std::to_string(count));
  }
  return values;
}

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

RegisterEffect::Operation effectOperation(Napi::Env env, uint32_t value) {
  switch (value) {
    case 0:
      return RegisterEffect::Operation::store;
    case 1:
      return RegisterEffect::Operation::setBits;
    case 2:
      return RegisterEffect::Operation::keepBits;
    default:
      throw Napi::RangeError::New(env, "effects: operation is " + std::to_string(value) + "; expected 0 to 2");
  }
}

/// `new QueueDevice(device, portalRegion, registerRegion, queues, vectors, registers, capabilities)`.
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
    const std::vector<uint32_t> registers = fields(info, 5, "registers", kRegisterFields);
    options.offsets = {registers[kSoftwareError],
                       registers[kInterruptCause],
                       registers[kGeneralControl],
                       {registers[kWorkQueueStatusOffset], registers[kWorkQueueStatusStride]},
                       {registers[kMsixPermissionsOffset], registers[kMsixPermissionsStride]}};
    const uint32_t capabilities = uint32Argument(env, info[6], "capabilities");
    options.capabilities.overlappingMove = (capabilities & kOverlappingMove) != 0;
    options.capabilities.cacheControl = (capabilities & kNoCacheControl) == 0;
    options.capabilities.destinationReadback = (capabilities & kDestinationReadback) != 0;
    options.capabilities.faultInfo = (capabilities & kFaultInfo) != 0;
    options.capabilities.batchContinuation = (capabilities & kBatchContinuation) != 0;
    options.capabilities.batchOfOne = (capabilities & kBatchOfOne) != 0;
    options.registers = core_->registerMemory(registerRegion);
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
                           InstanceMethod<&This::command>("command"),
                           InstanceMethod<&This::reset>("reset"),
                           InstanceMethod<&This::suspend>("suspend"),
                           InstanceMethod<&This::settle>("settle"),
                           InstanceMethod<&This::resume>("resume"),
                           InstanceMethod<&This::state>("state"),
                           InstanceMethod<&This::restore>("restore"),
                           InstanceMethod<&This::recordError>("recordError"),
                           InstanceMethod<&This::statistics>("statistics"),
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
    const QueueConfig config = configuration(info, 2);
    checked(env, [&] { device(env).enable(queue, config, group); });
  }

  /// The arguments `configuration` and `operations`, from place `first` on.
  static QueueConfig configuration(const Napi::CallbackInfo& info, std::size_t first) {
    return configuration(info.Env(), fields(info, first, "configuration", kConfigurationFields),
                         bytesArgument(info.Env(), info[first + 1], "operations"));
  }
  static QueueConfig configuration(Napi::Env env, const std::vector<uint32_t>& values,
                                   std::span<const std::byte> operations) {
    if (operations.size() != dsa::kOpcodes / 8) {
      throw Napi::RangeError::New(env, "operations has " + std::to_string(operations.size()) + " bytes; expected " +
                                           std::to_string(dsa::kOpcodes / 8));
    }
    QueueConfig config;
    config.size = values[kSize];
    config.dedicated = values[kDedicated] != 0;
    config.priority = values[kPriority];
    if (values[kPasidEnabled] != 0) config.pasid = Pasid{values[kPasidValue], values[kPrivileged] != 0};
    config.limits.maxTransfer = uint64_t{1} << (values[kMaxTransferShift] % 32);
    config.limits.maxBatch = uint32_t{1} << (values[kMaxBatchShift] % 32);
    config.limits.blockOnFault = values[kBlockOnFault] != 0;
    // Only descriptors of a user process may be kept from interrupting.
    const bool user = config.pasid.has_value() && !config.pasid->privileged;
    config.limits.completionInterrupts = !user || values[kUserInterrupts] != 0;
    for (unsigned opcode = 0; opcode < dsa::kOpcodes; ++opcode) {
      const auto byte = static_cast<unsigned>(operations[opcode / 8]);
      config.limits.operations.set(opcode, (byte >> (opcode % 8) & 1) != 0);
    }
    return config;
  }

  /// command(queues, stopAccepting, abort, effects, vectors)
  Napi::Value command(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    QueueDevice::Command command;
    command.queues = words(info, 0, "queues");
    command.stopAccepting = boolArgument(env, info[1], "stopAccepting");
    command.abort = boolArgument(env, info[2], "abort");
    const std::vector<uint32_t> effects = words(info, 3, "effects");
    for (std::size_t at = 0; at + kEffectFields <= effects.size(); at += kEffectFields) {
      command.effects.registers.push_back({effects[at + kEffectOffset],
                                           effectOperation(env, effects[at + kEffectOperation]),
                                           effects[at + kEffectValue]});
    }
    command.effects.vectors = words(info, 4, "vectors");
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

  /// restore(state, groups, configurations, operations): an element for each queue, a group that is undefined for those
  /// that are not enabled; of the other arrays one after the other
  void restore(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const uint32_t count = device(env).queues();
    if (!info[1].IsArray() || info[1].As<Napi::Array>().Length() != count) {
      throw Napi::TypeError::New(env, "groups: expected an array of " + std::to_string(count));
    }
    const auto groups = info[1].As<Napi::Array>();
    const std::vector<uint32_t> values = fields(info, 2, "configurations", std::size_t{count} * kConfigurationFields);
    constexpr std::size_t kOperationBytes = dsa::kOpcodes / 8;
    std::vector<std::optional<QueueDevice::RestoredQueue>> queues(count);
    for (uint32_t queue = 0; queue < count; ++queue) {
      const Napi::Value group = groups[queue];
      if (group.IsUndefined()) continue;
      queues[queue].emplace();
      queues[queue]->group = unwrapGroup(env, group);
      const std::span<const std::byte> operations = bytesArgument(env, info[3], "operations");
      if (operations.size() != count * kOperationBytes) {
        throw Napi::RangeError::New(env, "operations has " + std::to_string(operations.size()) + " bytes; expected " +
                                             std::to_string(count * kOperationBytes));
      }
      const auto own = values.begin() + static_cast<std::ptrdiff_t>(queue * kConfigurationFields);
      queues[queue]->config = configuration(env, {own, own + kConfigurationFields},
                                            operations.subspan(queue * kOperationBytes, kOperationBytes));
    }
    // A private copy: restoring runs no JavaScript, but what is checked must not change.
    const std::span<const std::byte> given = bytesArgument(env, info[0], "state");
    const std::vector<std::byte> state(given.begin(), given.end());
    checked(env, [&] { device(env).restore(state, queues); });
  }

  /// recordError(error)
  void recordError(const Napi::CallbackInfo& info) {
    const std::vector<uint32_t> values = fields(info, 0, "error", kErrorFields);
    SoftwareError error;
    error.code = static_cast<uint8_t>(values[kCode]);
    if (values[kHasQueue] != 0) error.queue = static_cast<uint8_t>(values[kQueue]);
    device(info.Env()).recordError(error);
  }

  /// statistics(queue): submitted, completed, abandoned, dropped, full, waiting, inFlight
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
                             run == nullptr ? 0 : static_cast<double>(run->inFlight())};
    auto result = Napi::Float64Array::New(env, std::size(values));
    std::copy(std::begin(values), std::end(values), result.Data());
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

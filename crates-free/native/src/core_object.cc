// `DeviceCore` in JavaScript: the native half of one device, for the code that owns it.
#include <napi.h>
#include <uv.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "arguments_object.h"
#include "core/device_core.h"
#include "core/guest_copy.h"
#include "core/interrupt_state.h"
#include "dma_space_object.h"
#include "dma_transfer_object.h"
#include "environment_object.h"
#include "message_memory_object.h"
#include "napi_objects.h"
#include "poll_object.h"
#include "register_table_object.h"
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

  // --- Regions ---
  Napi::Value setRegisterRegion(const Info& info);
  void setRegisterTable(const Info& info);
  void setRegion(const Info& info);
  Napi::Value setRegionMemory(const Info& info);
  Napi::Value regionFile(const Info& info);
  void setRegionDecode(const Info& info);
  void setTrapHandler(const Info& info);
  void setMemoryDecode(const Info& info);
  void setIoDecode(const Info& info);
  void setRomDecode(const Info& info);
  void setEnforceMemoryDecode(const Info& info);
  void setIsolated(const Info& info);
  Napi::Value read(const Info& info);
  Napi::Value write(const Info& info);
  Napi::Value reset(const Info& info);

  // --- Interrupts ---
  void setIrqCount(const Info& info);
  void setIntxAsserted(const Info& info);
  void setIntxDisabled(const Info& info);
  Napi::Value intxAsserted(const Info& info);
  void triggerIrq(const Info& info);
  void setIrqAllMasked(const Info& info);
  void setIrqMasked(const Info& info);
  void bindIrqPending(const Info& info);
  Napi::Value irqPending(const Info& info);
  void resetIrqs(const Info& info);
  Napi::Value setIrqs(const Info& info);
  void setInterruptsHeld(const Info& info);
  Napi::Value interruptState(const Info& info);
  Napi::Value fitsInterruptState(const Info& info);
  Napi::Value adoptInterruptState(const Info& info);

  // --- Guest memory ---
  void setBusMaster(const Info& info);
  void setEnforceBusMaster(const Info& info);
  void setAskUnmapped(const Info& info);
  Napi::Value dmaMap(const Info& info);
  Napi::Value dmaUnmap(const Info& info);
  void dmaUnmapAll(const Info& info);
  Napi::Value dmaInvalidateVaddr(const Info& info);
  Napi::Value dmaRestoreVaddr(const Info& info);
  Napi::Value dmaRead(const Info& info);
  Napi::Value dmaWrite(const Info& info);
  Napi::Value dmaTransfer(const Info& info);
  Napi::Value dmaExtent(const Info& info);
  Napi::Value dmaUnmapReporting(const Info& info);
  Napi::Value startDirtyLog(const Info& info);
  void stopDirtyLog(const Info& info);
  Napi::Value dirtyPageSize(const Info& info);
  Napi::Value reportDirty(const Info& info);
  Napi::Value setDmaLimits(const Info& info);
  void setClientDmaLimits(const Info& info);
  Napi::Value dmaInfo(const Info& info);
  Napi::Value dmaMaps(const Info& info);
  void setMessageMemory(const Info& info);

  // --- Life ---
  void clientGone(const Info& info);
  void closeForeignFd(const Info& info);
  Napi::Value isBehindOnClosing(const Info& info);
  Napi::Value statistics(const Info& info);
  void close(const Info& info);

  DeviceCore& open(const Info& info) const;
  IrqTable& irqs(const Info& info) const;
  void end();

  const std::shared_ptr<DeviceCore> core_;
  std::shared_ptr<JavaScriptTrapHandler> handler_;
  /// Null when the client is not in this process, or has no memory without a file.
  std::unique_ptr<MessageMemory> messages_;
  bool closed_ = false;
};

/// Runs what may reject the vendor's arguments.
template <typename Function>
auto rejecting(napi_env env, Function function) {
  try {
    return function();
  } catch (const std::invalid_argument& error) {
    throw Napi::RangeError::New(env, error.what());
  }
}

Napi::Value errorNumber(const Napi::CallbackInfo& info, int error) { return Napi::Number::New(info.Env(), error); }

DeviceCore& DeviceCoreObject::open(const Info& info) const {
  if (closed_) throw Napi::Error::New(info.Env(), "the device is closed");
  return *core_;
}

IrqTable& DeviceCoreObject::irqs(const Info& info) const {
  DeviceCore& core = open(info);
  return *core.irqs(uint32Argument(info.Env(), info[0], "index", kPciIrqs - 1));
}

Napi::Value DeviceCoreObject::setRegisterRegion(const Info& info) {
  const Napi::Env env = info.Env();
  DeviceCore& core = open(info);
  const uint32_t index = uint32Argument(env, info[0], "index");
  const uint64_t size = offsetArgument(env, info[1], "size");
  const uint32_t flags = uint32Argument(env, info[2], "flags");
  const auto table = unwrapRegisterTable(env, info[3]);
  const auto memory = rejecting(env, [&] { return core.setRegisterRegion(index, size, flags, table); });
  return Napi::Value(env, externalArrayBuffer(env, memory->data(), memory->size(), memory));
}

void DeviceCoreObject::setRegisterTable(const Info& info) {
  const Napi::Env env = info.Env();
  DeviceCore& core = open(info);
  const uint32_t index = uint32Argument(env, info[0], "index");
  const auto table = unwrapRegisterTable(env, info[1]);
  rejecting(env, [&] { core.setRegisterTable(index, table); });
}

void DeviceCoreObject::setRegion(const Info& info) {
  const Napi::Env env = info.Env();
  DeviceCore& core = open(info);
  const uint32_t index = uint32Argument(env, info[0], "index");
  const uint64_t size = offsetArgument(env, info[1], "size");
  const uint32_t flags = uint32Argument(env, info[2], "flags");
  rejecting(env, [&] { core.setRegion(index, size, flags, nullptr); });
}

Napi::Value DeviceCoreObject::setRegionMemory(const Info& info) {
  const Napi::Env env = info.Env();
  DeviceCore& core = open(info);
  const uint32_t index = uint32Argument(env, info[0], "index");
  if (!info[1].IsArray()) throw Napi::TypeError::New(env, "areas is not an array");
  const auto list = info[1].As<Napi::Array>();
  std::vector<RegionArea> areas;
  for (uint32_t i = 0; i + 1 < list.Length() && areas.size() <= RegionMemory::kAreasMax; i += 2) {
    const uint64_t offset = offsetArgument(env, Napi::Value(list[i]), "an area's offset");
    areas.push_back({offset, offsetArgument(env, Napi::Value(list[i + 1]), "an area's size")});
  }
  try {
    const auto memory = rejecting(env, [&] { return core.setRegionMemory(index, std::move(areas)); });
    return Napi::Value(env, externalArrayBuffer(env, memory->data(), memory->size(), memory));
  } catch (const std::system_error& error) {
    throwSystemError(env, error.code().value(), "region memory");
  }
}

Napi::Value DeviceCoreObject::regionFile(const Info& info) {
  const auto memory = open(info).regionMemory(uint32Argument(info.Env(), info[0], "index"));
  return Napi::Number::New(info.Env(), memory == nullptr ? -1 : memory->file().get());
}

void DeviceCoreObject::setRegionDecode(const Info& info) {
  const Napi::Env env = info.Env();
  DeviceCore& core = open(info);
  const uint32_t index = uint32Argument(env, info[0], "index");
  const uint32_t decode = uint32Argument(env, info[1], "decode", static_cast<uint32_t>(RegionDecode::rom));
  rejecting(env, [&] { core.setRegionDecode(index, static_cast<RegionDecode>(decode)); });
}

void DeviceCoreObject::setTrapHandler(const Info& info) {
  DeviceCore& core = open(info);
  auto handler = std::make_shared<JavaScriptTrapHandler>(info.Env(), info[0], core.mailbox());
  core.setTrapHandler(handler.get());
  handler_ = std::move(handler);
}

void DeviceCoreObject::setMemoryDecode(const Info& info) {
  open(info).setMemoryDecode(boolArgument(info.Env(), info[0], "enabled"));
}

void DeviceCoreObject::setIoDecode(const Info& info) {
  open(info).setIoDecode(boolArgument(info.Env(), info[0], "enabled"));
}

void DeviceCoreObject::setRomDecode(const Info& info) {
  open(info).setRomDecode(boolArgument(info.Env(), info[0], "enabled"));
}

void DeviceCoreObject::setEnforceMemoryDecode(const Info& info) {
  open(info).setEnforceMemoryDecode(boolArgument(info.Env(), info[0], "enforced"));
}

void DeviceCoreObject::setIsolated(const Info& info) {
  open(info).setIsolated(boolArgument(info.Env(), info[0], "isolated"));
}

// A hook may detach the caller's array while the core works: the core gets a buffer of its own, and the array is looked
// up again afterwards.
Napi::Value DeviceCoreObject::read(const Info& info) {
  const Napi::Env env = info.Env();
  DeviceCore& core = open(info);
  const uint32_t region = uint32Argument(env, info[0], "region");
  const uint64_t offset = offsetArgument(env, info[1], "offset");
  const std::size_t size = bytesArgument(env, info[2], "into").size();
  std::byte small[64];
  std::vector<std::byte> large(size > sizeof(small) ? size : 0);
  const std::span<std::byte> data = large.empty() ? std::span(small).first(size) : std::span(large);
  const int error = core.read(region, offset, data);
  if (error == 0) {
    const std::span<std::byte> into = bytesArgument(env, info[2], "into");
    if (into.size() != size) throw Napi::TypeError::New(env, "into was detached or resized during the access");
    std::copy(data.begin(), data.end(), into.begin());
  }
  return errorNumber(info, error);
}

Napi::Value DeviceCoreObject::write(const Info& info) {
  const Napi::Env env = info.Env();
  DeviceCore& core = open(info);
  const uint32_t region = uint32Argument(env, info[0], "region");
  const uint64_t offset = offsetArgument(env, info[1], "offset");
  const std::span<std::byte> from = bytesArgument(env, info[2], "from");
  std::byte small[64];
  std::vector<std::byte> large(from.size() > sizeof(small) ? from.size() : 0);
  const std::span<std::byte> data = large.empty() ? std::span(small).first(from.size()) : std::span(large);
  std::copy(from.begin(), from.end(), data.begin());
  return errorNumber(info, core.write(region, offset, data));
}

Napi::Value DeviceCoreObject::reset(const Info& info) { return errorNumber(info, open(info).reset()); }

void DeviceCoreObject::setIrqCount(const Info& info) {
  const Napi::Env env = info.Env();
  DeviceCore& core = open(info);
  const uint32_t index = uint32Argument(env, info[0], "index");
  const uint32_t count = uint32Argument(env, info[1], "count");
  rejecting(env, [&] { core.interrupts().setCount(index, count); });
}

void DeviceCoreObject::setIntxAsserted(const Info& info) {
  open(info).interrupts().intx()->setAsserted(boolArgument(info.Env(), info[0], "asserted"));
}

void DeviceCoreObject::setIntxDisabled(const Info& info) {
  open(info).interrupts().intx()->setDisabled(boolArgument(info.Env(), info[0], "disabled"));
}

Napi::Value DeviceCoreObject::intxAsserted(const Info& info) {
  return Napi::Boolean::New(info.Env(), open(info).interrupts().intx()->asserted());
}

void DeviceCoreObject::triggerIrq(const Info& info) {
  irqs(info).trigger(uint32Argument(info.Env(), info[1], "vector"));
}

void DeviceCoreObject::setIrqAllMasked(const Info& info) {
  irqs(info).setAllMasked(boolArgument(info.Env(), info[1], "masked"));
}

void DeviceCoreObject::setIrqMasked(const Info& info) {
  IrqTable& table = irqs(info);
  const uint32_t vector = uint32Argument(info.Env(), info[1], "vector");
  table.setMasked(vector, boolArgument(info.Env(), info[2], "masked"));
}

void DeviceCoreObject::bindIrqPending(const Info& info) {
  const Napi::Env env = info.Env();
  IrqTable& table = irqs(info);
  const uint32_t region = uint32Argument(env, info[1], "region");
  const uint64_t offset = offsetArgument(env, info[2], "offset");
  const uint64_t size = (uint64_t{table.count()} + 31) / 32 * sizeof(uint32_t);
  const uint64_t block = core_->registerBlockSize(region);
  if (offset % sizeof(uint32_t) != 0 || offset > block || size > block - offset) {
    throw Napi::RangeError::New(env, "pending bits at " + std::to_string(offset) + " of region " +
                                         std::to_string(region) + "; expected " + std::to_string(size) +
                                         " bytes, aligned to 4, inside a region of registers (this one has " +
                                         std::to_string(block) + ")");
  }
  const auto memory = core_->registerMemory(region);
  if (memory != nullptr) table.bindPending(reinterpret_cast<uint32_t*>(memory->data() + offset), memory);
}

Napi::Value DeviceCoreObject::irqPending(const Info& info) {
  const IrqTable& table = irqs(info);
  return Napi::Boolean::New(info.Env(), table.pending(uint32Argument(info.Env(), info[1], "vector")));
}

void DeviceCoreObject::resetIrqs(const Info& info) {
  irqs(info).reset();
  if (uint32Argument(info.Env(), info[0], "index") == kIrqIntx) core_->interrupts().intx()->reset();
}

Napi::Value DeviceCoreObject::setIrqs(const Info& info) {
  const Napi::Env env = info.Env();
  DeviceCore& core = open(info);
  SetIrqs request{uint32Argument(env, info[0], "flags"),
                  uint32Argument(env, info[1], "index"),
                  uint32Argument(env, info[2], "start"),
                  uint32Argument(env, info[3], "count"),
                  {}};
  if (!info[4].IsNull()) request.data = bytesArgument(env, info[4], "data");
  if (!info[5].IsArray()) throw Napi::TypeError::New(env, "fds is not an array");
  const auto list = info[5].As<Napi::Array>();
  if (list.Length() > kMsixVectorsMax) {
    throw Napi::RangeError::New(env, "fds has " + std::to_string(list.Length()) + " entries; expected at most " +
                                         std::to_string(kMsixVectorsMax));
  }
  std::vector<ForeignFd> fds;
  for (uint32_t i = 0; i < list.Length(); ++i) {
    fds.emplace_back(descriptorArgument(env, Napi::Value(list[i]), "an fd").release(), core.closer());
  }
  return errorNumber(info, core.setIrqs(request, std::move(fds)));
}

void DeviceCoreObject::setInterruptsHeld(const Info& info) {
  open(info).interrupts().setHeld(boolArgument(info.Env(), info[0], "held"));
}

Napi::Value DeviceCoreObject::interruptState(const Info& info) {
  const std::vector<std::byte> bytes = encode(open(info).interrupts().save());
  auto array = Napi::Uint8Array::New(info.Env(), bytes.size());
  std::memcpy(array.Data(), bytes.data(), bytes.size());
  return array;
}

Napi::Value DeviceCoreObject::fitsInterruptState(const Info& info) {
  const auto state = decodeInterruptState(bytesArgument(info.Env(), info[0], "state"));
  return Napi::Boolean::New(info.Env(), state.has_value() && open(info).interrupts().fits(*state));
}

Napi::Value DeviceCoreObject::adoptInterruptState(const Info& info) {
  DeviceCore& core = open(info);
  auto state = decodeInterruptState(bytesArgument(info.Env(), info[0], "state"));
  return errorNumber(info, state.has_value() ? core.interrupts().adopt(*std::move(state)) : EINVAL);
}

void DeviceCoreObject::setBusMaster(const Info& info) {
  open(info).dma()->setBusMaster(boolArgument(info.Env(), info[0], "enabled"));
}

void DeviceCoreObject::setEnforceBusMaster(const Info& info) {
  open(info).dma()->setEnforceBusMaster(boolArgument(info.Env(), info[0], "enforced"));
}

void DeviceCoreObject::setAskUnmapped(const Info& info) {
  open(info).dma()->setAskUnmapped(boolArgument(info.Env(), info[0], "ask"));
}

Napi::Value DeviceCoreObject::dmaMap(const Info& info) {
  const Napi::Env env = info.Env();
  DeviceCore& core = open(info);
  const uint64_t iova = bigintArgument(env, info[0], "iova");
  const uint64_t size = bigintArgument(env, info[1], "size");
  const uint32_t rights = uint32Argument(env, info[2], "rights");
  ForeignFd fd(descriptorArgument(env, info[3], "fd").release(), core.closer());
  const uint64_t offset = bigintArgument(env, info[4], "offset");
  return errorNumber(info, core.dma()->map(iova, size, rights, std::move(fd), offset));
}

Napi::Value DeviceCoreObject::dmaUnmap(const Info& info) {
  const uint64_t iova = bigintArgument(info.Env(), info[0], "iova");
  const uint64_t size = bigintArgument(info.Env(), info[1], "size");
  return errorNumber(info, open(info).dma()->unmap(iova, size));
}

void DeviceCoreObject::dmaUnmapAll(const Info& info) { open(info).dma()->unmapAll(); }

Napi::Value DeviceCoreObject::dmaInvalidateVaddr(const Info& info) {
  const uint64_t iova = bigintArgument(info.Env(), info[0], "iova");
  const uint64_t size = bigintArgument(info.Env(), info[1], "size");
  return errorNumber(info, open(info).dma()->invalidateVaddr(iova, size));
}

Napi::Value DeviceCoreObject::dmaRestoreVaddr(const Info& info) {
  const Napi::Env env = info.Env();
  DeviceCore& core = open(info);
  const uint64_t iova = bigintArgument(env, info[0], "iova");
  const uint64_t size = bigintArgument(env, info[1], "size");
  ForeignFd fd(descriptorArgument(env, info[2], "fd").release(), core.closer());
  const uint64_t offset = bigintArgument(env, info[3], "offset");
  return errorNumber(info, core.dma()->restoreVaddr(iova, size, std::move(fd), offset));
}

Napi::Value DeviceCoreObject::dmaRead(const Info& info) {
  const DeviceCore& core = open(info);
  const uint64_t iova = bigintArgument(info.Env(), info[0], "iova");
  const auto into = bytesArgument(info.Env(), info[1], "into");
  return errorNumber(info, copyFromGuest(*core.dma(), epochReader(info.Env()), iova, into));
}

Napi::Value DeviceCoreObject::dmaWrite(const Info& info) {
  const DeviceCore& core = open(info);
  const uint64_t iova = bigintArgument(info.Env(), info[0], "iova");
  const auto from = bytesArgument(info.Env(), info[1], "from");
  return errorNumber(info, copyToGuest(*core.dma(), epochReader(info.Env()), iova, from));
}

Napi::Value DeviceCoreObject::dmaTransfer(const Info& info) {
  const DeviceCore& core = open(info);
  const bool write = boolArgument(info.Env(), info[0], "write");
  const uint64_t iova = bigintArgument(info.Env(), info[1], "iova");
  return errorNumber(info, startDmaTransfer(info.Env(), core, write, iova, info[2], info[3]));
}

Napi::Value DeviceCoreObject::dmaExtent(const Info& info) {
  const DmaSpace& space = *open(info).dma();
  const uint32_t right = boolArgument(info.Env(), info[0], "write") ? kDmaWrite : kDmaRead;
  const uint64_t iova = bigintArgument(info.Env(), info[1], "iova");
  const uint32_t length = uint32Argument(info.Env(), info[2], "length");
  const EpochGuard guard(epochReader(info.Env()), space.epochs());
  // Of what cannot be reached it is 0.
  return Napi::Number::New(info.Env(), static_cast<double>(space.translate(iova, length, right).length));
}

Napi::Value DeviceCoreObject::dmaUnmapReporting(const Info& info) {
  const uint64_t iova = bigintArgument(info.Env(), info[0], "iova");
  const uint64_t size = bigintArgument(info.Env(), info[1], "size");
  const DirtyQuery asked = dirtyQueryArgument(info.Env(), info[2], info[3]);
  // An unmap ends transfers, and what hears of that may do anything to the array.
  std::vector<std::byte> bitmap(asked.bitmap.size());
  const int error = open(info).dma()->unmapReporting(iova, size, {.pageSize = asked.pageSize, .bitmap = bitmap});
  if (error != 0) return errorNumber(info, error);
  const std::span<std::byte> into = bytesArgument(info.Env(), info[3], "bitmap");
  if (into.size() != bitmap.size()) {
    throw Napi::TypeError::New(info.Env(), "bitmap was detached or resized during the unmap");
  }
  std::copy(bitmap.begin(), bitmap.end(), into.begin());
  return errorNumber(info, 0);
}

Napi::Value DeviceCoreObject::startDirtyLog(const Info& info) {
  const uint64_t pageSize = bigintArgument(info.Env(), info[0], "pageSize");
  const std::vector<DirtyRange> ranges = pairsArgument<DirtyRange>(info.Env(), info[1], "ranges");
  return errorNumber(info, open(info).dma()->startDirtyLog(pageSize, ranges));
}

void DeviceCoreObject::stopDirtyLog(const Info& info) { open(info).dma()->stopDirtyLog(); }

Napi::Value DeviceCoreObject::dirtyPageSize(const Info& info) {
  return Napi::BigInt::New(info.Env(), open(info).dma()->dirtyPageSize());
}

Napi::Value DeviceCoreObject::reportDirty(const Info& info) {
  const uint64_t iova = bigintArgument(info.Env(), info[0], "iova");
  const uint64_t length = bigintArgument(info.Env(), info[1], "length");
  return errorNumber(info,
                     open(info).dma()->reportDirty(iova, length, dirtyQueryArgument(info.Env(), info[2], info[3])));
}

Napi::Value DeviceCoreObject::setDmaLimits(const Info& info) {
  DmaLimits limits;
  limits.maxMappings = bigintArgument(info.Env(), info[0], "maxMappings");
  limits.pageSizes = bigintArgument(info.Env(), info[1], "pageSizes");
  limits.windows = pairsArgument<IovaRange>(info.Env(), info[2], "windows");
  limits.maxDirtyLogBytes = bigintArgument(info.Env(), info[3], "maxDirtyLogBytes");
  return errorNumber(info, open(info).dma()->setLimits(std::move(limits)));
}

void DeviceCoreObject::setClientDmaLimits(const Info& info) {
  const uint64_t maxMappings = bigintArgument(info.Env(), info[0], "maxMappings");
  open(info).dma()->setClientLimits(maxMappings, bigintArgument(info.Env(), info[1], "pageSizes"));
}

Napi::Value DeviceCoreObject::dmaInfo(const Info& info) {
  return {info.Env(), dmaInfoObject(info.Env(), *open(info).dma())};
}

Napi::Value DeviceCoreObject::dmaMaps(const Info& info) {
  return {info.Env(), dmaMapsArray(info.Env(), *open(info).dma())};
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
  return DefineClass(env, "DeviceCore",
                     {
                         InstanceMethod<&This::setRegisterRegion>("setRegisterRegion"),
                         InstanceMethod<&This::setRegisterTable>("setRegisterTable"),
                         InstanceMethod<&This::setRegion>("setRegion"),
                         InstanceMethod<&This::setRegionMemory>("setRegionMemory"),
                         InstanceMethod<&This::regionFile>("regionFile"),
                         InstanceMethod<&This::setRegionDecode>("setRegionDecode"),
                         InstanceMethod<&This::setTrapHandler>("setTrapHandler"),
                         InstanceMethod<&This::setMemoryDecode>("setMemoryDecode"),
                         InstanceMethod<&This::setIoDecode>("setIoDecode"),
                         InstanceMethod<&This::setRomDecode>("setRomDecode"),
                         InstanceMethod<&This::setEnforceMemoryDecode>("setEnforceMemoryDecode"),
                         InstanceMethod<&This::setIsolated>("setIsolated"),
                         InstanceMethod<&This::read>("read"),
                         InstanceMethod<&This::write>("write"),
                         InstanceMethod<&This::reset>("reset"),
                         InstanceMethod<&This::setIrqCount>("setIrqCount"),
                         InstanceMethod<&This::setIntxAsserted>("setIntxAsserted"),
                         InstanceMethod<&This::setIntxDisabled>("setIntxDisabled"),
                         InstanceMethod<&This::intxAsserted>("intxAsserted"),
                         InstanceMethod<&This::triggerIrq>("triggerIrq"),
                         InstanceMethod<&This::setIrqAllMasked>("setIrqAllMasked"),
                         InstanceMethod<&This::setIrqMasked>("setIrqMasked"),
                         InstanceMethod<&This::bindIrqPending>("bindIrqPending"),
                         InstanceMethod<&This::irqPending>("irqPending"),
                         InstanceMethod<&This::resetIrqs>("resetIrqs"),
                         InstanceMethod<&This::setIrqs>("setIrqs"),
                         InstanceMethod<&This::setInterruptsHeld>("setInterruptsHeld"),
                         InstanceMethod<&This::interruptState>("interruptState"),
                         InstanceMethod<&This::fitsInterruptState>("fitsInterruptState"),
                         InstanceMethod<&This::adoptInterruptState>("adoptInterruptState"),
                         InstanceMethod<&This::setBusMaster>("setBusMaster"),
                         InstanceMethod<&This::setEnforceBusMaster>("setEnforceBusMaster"),
                         InstanceMethod<&This::setAskUnmapped>("setAskUnmapped"),
                         InstanceMethod<&This::dmaMap>("dmaMap"),
                         InstanceMethod<&This::dmaUnmap>("dmaUnmap"),
                         InstanceMethod<&This::dmaUnmapAll>("dmaUnmapAll"),
                         InstanceMethod<&This::dmaInvalidateVaddr>("dmaInvalidateVaddr"),
                         InstanceMethod<&This::dmaRestoreVaddr>("dmaRestoreVaddr"),
                         InstanceMethod<&This::dmaRead>("dmaRead"),
                         InstanceMethod<&This::dmaWrite>("dmaWrite"),
                         InstanceMethod<&This::dmaTransfer>("dmaTransfer"),
                         InstanceMethod<&This::dmaExtent>("dmaExtent"),
                         InstanceMethod<&This::dmaUnmapReporting>("dmaUnmapReporting"),
                         InstanceMethod<&This::startDirtyLog>("startDirtyLog"),
                         InstanceMethod<&This::stopDirtyLog>("stopDirtyLog"),
                         InstanceMethod<&This::dirtyPageSize>("dirtyPageSize"),
                         InstanceMethod<&This::reportDirty>("reportDirty"),
                         InstanceMethod<&This::setDmaLimits>("setDmaLimits"),
                         InstanceMethod<&This::setClientDmaLimits>("setClientDmaLimits"),
                         InstanceMethod<&This::dmaInfo>("dmaInfo"),
                         InstanceMethod<&This::dmaMaps>("dmaMaps"),
                         InstanceMethod<&This::setMessageMemory>("setMessageMemory"),
                         InstanceMethod<&This::clientGone>("clientGone"),
                         InstanceMethod<&This::closeForeignFd>("closeForeignFd"),
                         InstanceMethod<&This::isBehindOnClosing>("isBehindOnClosing"),
                         InstanceMethod<&This::statistics>("statistics"),
                         InstanceMethod<&This::close>("close"),
                     });
}

}  // namespace

std::shared_ptr<DeviceCore> unwrapDevice(napi_env env, napi_value value) {
  const Napi::Value object(env, value);
  std::shared_ptr<DeviceCore> core;
  if (object.IsObject() && object.As<Napi::Object>().CheckTypeTag(&kTag)) {
    core = DeviceCoreObject::Unwrap(object.As<Napi::Object>())->core();
    if (core == nullptr) napi_throw_type_error(env, nullptr, "the device is closed");
  } else {
    napi_throw_type_error(env, nullptr, "not a DeviceCore");
  }
  return core;
}

void registerDeviceCore(Napi::Env env, Napi::Object exports) {
  exports.Set("DeviceCore", DeviceCoreObject::define(env));
}

}  // namespace mdev

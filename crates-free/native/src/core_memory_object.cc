// `DeviceCore` in JavaScript: guest memory, what maps it and what the device itself reads and writes of it.
#include <napi.h>

#include <span>
#include <utility>

#include "arguments_object.h"
#include "core/device_core.h"
#include "core/guest_copy.h"
#include "core_methods_object.h"
#include "dma_space_object.h"
#include "dma_transfer_object.h"
#include "environment_object.h"

namespace mdev {

namespace {

using Info = Napi::CallbackInfo;

void setBusMaster(DeviceCore& core, const Info& info) {
  core.dma()->setBusMaster(boolArgument(info.Env(), info[0], "enabled"));
}

void setEnforceBusMaster(DeviceCore& core, const Info& info) {
  core.dma()->setEnforceBusMaster(boolArgument(info.Env(), info[0], "enforced"));
}

void setAskUnmapped(DeviceCore& core, const Info& info) {
  core.dma()->setAskUnmapped(boolArgument(info.Env(), info[0], "ask"));
}

Napi::Value dmaMap(DeviceCore& core, const Info& info) {
  const Napi::Env env = info.Env();
  const uint64_t iova = bigintArgument(env, info[0], "iova");
  const uint64_t size = bigintArgument(env, info[1], "size");
  const uint32_t rights = uint32Argument(env, info[2], "rights");
  ForeignFd fd(descriptorArgument(env, info[3], "fd").release(), core.closer());
  const uint64_t offset = bigintArgument(env, info[4], "offset");
  return errorNumber(info, core.dma()->map(iova, size, rights, std::move(fd), offset));
}

Napi::Value dmaUnmap(DeviceCore& core, const Info& info) {
  const uint64_t iova = bigintArgument(info.Env(), info[0], "iova");
  const uint64_t size = bigintArgument(info.Env(), info[1], "size");
  return errorNumber(info, core.dma()->unmap(iova, size));
}

void dmaUnmapAll(DeviceCore& core, const Info&) { core.dma()->unmapAll(); }

Napi::Value dmaInvalidateVaddr(DeviceCore& core, const Info& info) {
  const uint64_t iova = bigintArgument(info.Env(), info[0], "iova");
  const uint64_t size = bigintArgument(info.Env(), info[1], "size");
  return errorNumber(info, core.dma()->invalidateVaddr(iova, size));
}

Napi::Value dmaRestoreVaddr(DeviceCore& core, const Info& info) {
  const Napi::Env env = info.Env();
  const uint64_t iova = bigintArgument(env, info[0], "iova");
  const uint64_t size = bigintArgument(env, info[1], "size");
  ForeignFd fd(descriptorArgument(env, info[2], "fd").release(), core.closer());
  const uint64_t offset = bigintArgument(env, info[3], "offset");
  return errorNumber(info, core.dma()->restoreVaddr(iova, size, std::move(fd), offset));
}

Napi::Value dmaRead(DeviceCore& core, const Info& info) {
  const uint64_t iova = bigintArgument(info.Env(), info[0], "iova");
  const auto into = bytesArgument(info.Env(), info[1], "into");
  return errorNumber(info, copyFromGuest(*core.dma(), epochReader(info.Env()), iova, into));
}

Napi::Value dmaWrite(DeviceCore& core, const Info& info) {
  const uint64_t iova = bigintArgument(info.Env(), info[0], "iova");
  const auto from = bytesArgument(info.Env(), info[1], "from");
  return errorNumber(info, copyToGuest(*core.dma(), epochReader(info.Env()), iova, from));
}

Napi::Value dmaTransfer(DeviceCore& core, const Info& info) {
  const bool write = boolArgument(info.Env(), info[0], "write");
  const uint64_t iova = bigintArgument(info.Env(), info[1], "iova");
  return errorNumber(info, startDmaTransfer(info.Env(), core, write, iova, info[2], info[3]));
}

Napi::Value dmaExtent(DeviceCore& core, const Info& info) {
  const DmaSpace& space = *core.dma();
  const uint32_t right = boolArgument(info.Env(), info[0], "write") ? kDmaWrite : kDmaRead;
  const uint64_t iova = bigintArgument(info.Env(), info[1], "iova");
  const uint32_t length = uint32Argument(info.Env(), info[2], "length");
  const EpochGuard guard(epochReader(info.Env()), space.epochs());
  // Of what cannot be reached it is 0.
  return Napi::Number::New(info.Env(), static_cast<double>(space.translate(iova, length, right).length));
}

Napi::Value setDmaLimits(DeviceCore& core, const Info& info) {
  DmaLimits limits;
  limits.maxMappings = bigintArgument(info.Env(), info[0], "maxMappings");
  limits.pageSizes = bigintArgument(info.Env(), info[1], "pageSizes");
  limits.windows = pairsArgument<IovaRange>(info.Env(), info[2], "windows");
  limits.maxDirtyLogBytes = bigintArgument(info.Env(), info[3], "maxDirtyLogBytes");
  return errorNumber(info, core.dma()->setLimits(std::move(limits)));
}

void setClientDmaLimits(DeviceCore& core, const Info& info) {
  const uint64_t maxMappings = bigintArgument(info.Env(), info[0], "maxMappings");
  core.dma()->setClientLimits(maxMappings, bigintArgument(info.Env(), info[1], "pageSizes"));
}

Napi::Value dmaInfo(DeviceCore& core, const Info& info) { return {info.Env(), dmaInfoObject(info.Env(), *core.dma())}; }

Napi::Value dmaMaps(DeviceCore& core, const Info& info) { return {info.Env(), dmaMapsArray(info.Env(), *core.dma())}; }

constexpr DeviceMethod kMethods[] = {
    {"setBusMaster", setBusMaster},
    {"setEnforceBusMaster", setEnforceBusMaster},
    {"setAskUnmapped", setAskUnmapped},
    {"dmaMap", dmaMap},
    {"dmaUnmap", dmaUnmap},
    {"dmaUnmapAll", dmaUnmapAll},
    {"dmaInvalidateVaddr", dmaInvalidateVaddr},
    {"dmaRestoreVaddr", dmaRestoreVaddr},
    {"dmaRead", dmaRead},
    {"dmaWrite", dmaWrite},
    {"dmaTransfer", dmaTransfer},
    {"dmaExtent", dmaExtent},
    {"setDmaLimits", setDmaLimits},
    {"setClientDmaLimits", setClientDmaLimits},
    {"dmaInfo", dmaInfo},
    {"dmaMaps", dmaMaps},
};

}  // namespace

std::span<const DeviceMethod> memoryMethods() { return kMethods; }

}  // namespace mdev

// `DeviceCore` in JavaScript: which pages of guest memory the device wrote.
#include <napi.h>

#include <algorithm>
#include <span>
#include <vector>

#include "arguments_object.h"
#include "core/device_core.h"
#include "core_methods_object.h"
#include "dma_space_object.h"

namespace mdev {

namespace {

using Info = Napi::CallbackInfo;

Napi::Value startDirtyLog(DeviceCore& core, const Info& info) {
  const uint64_t pageSize = bigintArgument(info.Env(), info[0], "pageSize");
  const std::vector<DirtyRange> ranges = pairsArgument<DirtyRange>(info.Env(), info[1], "ranges");
  return errorNumber(info, core.dma()->startDirtyLog(pageSize, ranges));
}

void stopDirtyLog(DeviceCore& core, const Info&) { core.dma()->stopDirtyLog(); }

Napi::Value dirtyPageSize(DeviceCore& core, const Info& info) {
  return Napi::BigInt::New(info.Env(), core.dma()->dirtyPageSize());
}

Napi::Value reportDirty(DeviceCore& core, const Info& info) {
  const uint64_t iova = bigintArgument(info.Env(), info[0], "iova");
  const uint64_t length = bigintArgument(info.Env(), info[1], "length");
  return errorNumber(info, core.dma()->reportDirty(iova, length, dirtyQueryArgument(info.Env(), info[2], info[3])));
}

Napi::Value dmaUnmapReporting(DeviceCore& core, const Info& info) {
  const uint64_t iova = bigintArgument(info.Env(), info[0], "iova");
  const uint64_t size = bigintArgument(info.Env(), info[1], "size");
  const DirtyQuery asked = dirtyQueryArgument(info.Env(), info[2], info[3]);
  // An unmap ends transfers, and what hears of that may do anything to the array.
  std::vector<std::byte> bitmap(asked.bitmap.size());
  const int error = core.dma()->unmapReporting(iova, size, {.pageSize = asked.pageSize, .bitmap = bitmap});
  if (error != 0) return errorNumber(info, error);
  const std::span<std::byte> into = bytesArgument(info.Env(), info[3], "bitmap");
  if (into.size() != bitmap.size()) {
    throw Napi::TypeError::New(info.Env(), "bitmap was detached or resized during the unmap");
  }
  std::copy(bitmap.begin(), bitmap.end(), into.begin());
  return errorNumber(info, 0);
}

constexpr DeviceMethod kMethods[] = {
    {"startDirtyLog", startDirtyLog}, {"stopDirtyLog", stopDirtyLog},           {"dirtyPageSize", dirtyPageSize},
    {"reportDirty", reportDirty},     {"dmaUnmapReporting", dmaUnmapReporting},
};

}  // namespace

std::span<const DeviceMethod> dirtyLogMethods() { return kMethods; }

}  // namespace mdev

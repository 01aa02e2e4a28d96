// `DeviceCore` in JavaScript: regions, what decodes them, and accesses as a guest makes them.
#include <napi.h>

#include <algorithm>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include "arguments_object.h"
#include "core/device_core.h"
#include "core_methods_object.h"
#include "register_table_object.h"

namespace mdev {

namespace {

using Info = Napi::CallbackInfo;

Napi::Value setRegisterRegion(DeviceCore& core, const Info& info) {
  const Napi::Env env = info.Env();
  const uint32_t index = uint32Argument(env, info[0], "index");
  const uint64_t size = offsetArgument(env, info[1], "size");
  const uint32_t flags = uint32Argument(env, info[2], "flags");
  const auto table = unwrapRegisterTable(env, info[3]);
  const auto memory = core.setRegisterRegion(index, size, flags, table);
  return Napi::Value(env, externalArrayBuffer(env, memory->data(), memory->size(), memory));
}

void setRegisterTable(DeviceCore& core, const Info& info) {
  const Napi::Env env = info.Env();
  const uint32_t index = uint32Argument(env, info[0], "index");
  const auto table = unwrapRegisterTable(env, info[1]);
  core.setRegisterTable(index, table);
}

void setRegion(DeviceCore& core, const Info& info) {
  const Napi::Env env = info.Env();
  const uint32_t index = uint32Argument(env, info[0], "index");
  const uint64_t size = offsetArgument(env, info[1], "size");
  const uint32_t flags = uint32Argument(env, info[2], "flags");
  core.setRegion(index, size, flags, nullptr);
}

Napi::Value setRegionMemory(DeviceCore& core, const Info& info) {
  const Napi::Env env = info.Env();
  const uint32_t index = uint32Argument(env, info[0], "index");
  if (!info[1].IsArray()) throw Napi::TypeError::New(env, "areas is not an array");
  const auto list = info[1].As<Napi::Array>();
  std::vector<RegionArea> areas;
  for (uint32_t i = 0; i + 1 < list.Length() && areas.size() <= RegionMemory::kAreasMax; i += 2) {
    const uint64_t offset = offsetArgument(env, Napi::Value(list[i]), "an area's offset");
    areas.push_back({offset, offsetArgument(env, Napi::Value(list[i + 1]), "an area's size")});
  }
  try {
    const auto memory = core.setRegionMemory(index, std::move(areas));
    return Napi::Value(env, externalArrayBuffer(env, memory->data(), memory->size(), memory));
  } catch (const std::system_error& error) {
    throwSystemError(env, error.code().value(), "region memory");
  }
}

Napi::Value regionFile(DeviceCore& core, const Info& info) {
  const auto memory = core.regionMemory(uint32Argument(info.Env(), info[0], "index"));
  return Napi::Number::New(info.Env(), memory == nullptr ? -1 : memory->file().get());
}

void setRegionDecode(DeviceCore& core, const Info& info) {
  const Napi::Env env = info.Env();
  const uint32_t index = uint32Argument(env, info[0], "index");
  const uint32_t decode = uint32Argument(env, info[1], "decode", static_cast<uint32_t>(RegionDecode::rom));
  core.setRegionDecode(index, static_cast<RegionDecode>(decode));
}

void setMemoryDecode(DeviceCore& core, const Info& info) {
  core.setMemoryDecode(boolArgument(info.Env(), info[0], "enabled"));
}

void setIoDecode(DeviceCore& core, const Info& info) { core.setIoDecode(boolArgument(info.Env(), info[0], "enabled")); }

void setRomDecode(DeviceCore& core, const Info& info) {
  core.setRomDecode(boolArgument(info.Env(), info[0], "enabled"));
}

void setEnforceMemoryDecode(DeviceCore& core, const Info& info) {
  core.setEnforceMemoryDecode(boolArgument(info.Env(), info[0], "enforced"));
}

void setIsolated(DeviceCore& core, const Info& info) {
  core.setIsolated(boolArgument(info.Env(), info[0], "isolated"));
}

// A hook may detach the caller's array while the core works: the core gets a buffer of its own, and the array is looked
// up again afterwards.
Napi::Value read(DeviceCore& core, const Info& info) {
  const Napi::Env env = info.Env();
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

Napi::Value write(DeviceCore& core, const Info& info) {
  const Napi::Env env = info.Env();
  const uint32_t region = uint32Argument(env, info[0], "region");
  const uint64_t offset = offsetArgument(env, info[1], "offset");
  const std::span<std::byte> from = bytesArgument(env, info[2], "from");
  std::byte small[64];
  std::vector<std::byte> large(from.size() > sizeof(small) ? from.size() : 0);
  const std::span<std::byte> data = large.empty() ? std::span(small).first(from.size()) : std::span(large);
  std::copy(from.begin(), from.end(), data.begin());
  const bool posted = info[3].IsUndefined() || boolArgument(env, info[3], "posted");
  return errorNumber(info, core.write(region, offset, data, posted));
}

Napi::Value reset(DeviceCore& core, const Info& info) { return errorNumber(info, core.reset()); }

constexpr DeviceMethod kMethods[] = {
    {"setRegisterRegion", setRegisterRegion},
    {"setRegisterTable", setRegisterTable},
    {"setRegion", setRegion},
    {"setRegionMemory", setRegionMemory},
    {"regionFile", regionFile},
    {"setRegionDecode", setRegionDecode},
    {"setMemoryDecode", setMemoryDecode},
    {"setIoDecode", setIoDecode},
    {"setRomDecode", setRomDecode},
    {"setEnforceMemoryDecode", setEnforceMemoryDecode},
    {"setIsolated", setIsolated},
    {"read", read},
    {"write", write},
    {"reset", reset},
};

}  // namespace

std::span<const DeviceMethod> regionMethods() { return kMethods; }

}  // namespace mdev

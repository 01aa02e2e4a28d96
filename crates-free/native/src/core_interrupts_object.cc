// `DeviceCore` in JavaScript: interrupts, what a client connected to them, and their state for a handover.
#include <napi.h>

#include <cerrno>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "arguments_object.h"
#include "core/device_core.h"
#include "core/interrupt_state.h"
#include "core_methods_object.h"

namespace mdev {

namespace {

using Info = Napi::CallbackInfo;

IrqTable& irqs(DeviceCore& core, const Info& info) {
  return *core.irqs(uint32Argument(info.Env(), info[0], "index", kPciIrqs - 1));
}

void setIrqCount(DeviceCore& core, const Info& info) {
  const Napi::Env env = info.Env();
  const uint32_t index = uint32Argument(env, info[0], "index");
  const uint32_t count = uint32Argument(env, info[1], "count");
  core.interrupts().setCount(index, count);
}

void setIntxAsserted(DeviceCore& core, const Info& info) {
  core.interrupts().intx()->setAsserted(boolArgument(info.Env(), info[0], "asserted"));
}

void setIntxDisabled(DeviceCore& core, const Info& info) {
  core.interrupts().intx()->setDisabled(boolArgument(info.Env(), info[0], "disabled"));
}

Napi::Value intxAsserted(DeviceCore& core, const Info& info) {
  return Napi::Boolean::New(info.Env(), core.interrupts().intx()->asserted());
}

void triggerIrq(DeviceCore& core, const Info& info) {
  irqs(core, info).trigger(uint32Argument(info.Env(), info[1], "vector"));
}

void setIrqAllMasked(DeviceCore& core, const Info& info) {
  irqs(core, info).setAllMasked(boolArgument(info.Env(), info[1], "masked"));
}

void setIrqMasked(DeviceCore& core, const Info& info) {
  IrqTable& table = irqs(core, info);
  const uint32_t vector = uint32Argument(info.Env(), info[1], "vector");
  table.setMasked(vector, boolArgument(info.Env(), info[2], "masked"));
}

void bindIrqPending(DeviceCore& core, const Info& info) {
  const Napi::Env env = info.Env();
  IrqTable& table = irqs(core, info);
  const uint32_t region = uint32Argument(env, info[1], "region");
  const uint64_t offset = offsetArgument(env, info[2], "offset");
  const uint64_t size = (uint64_t{table.count()} + 31) / 32 * sizeof(uint32_t);
  const uint64_t block = core.registerBlockSize(region);
  if (offset % sizeof(uint32_t) != 0 || offset > block || size > block - offset) {
    throw Napi::RangeError::New(env, "pending bits at " + std::to_string(offset) + " of region " +
                                         std::to_string(region) + "; expected " + std::to_string(size) +
                                         " bytes, aligned to 4, inside a region of registers (this one has " +
                                         std::to_string(block) + ")");
  }
  const auto memory = core.registerMemory(region);
  if (memory != nullptr) table.bindPending(reinterpret_cast<uint32_t*>(memory->data() + offset), memory);
}

Napi::Value irqPending(DeviceCore& core, const Info& info) {
  const IrqTable& table = irqs(core, info);
  return Napi::Boolean::New(info.Env(), table.pending(uint32Argument(info.Env(), info[1], "vector")));
}

void resetIrqs(DeviceCore& core, const Info& info) {
  irqs(core, info).reset();
  if (uint32Argument(info.Env(), info[0], "index") == kIrqIntx) core.interrupts().intx()->reset();
}

Napi::Value setIrqs(DeviceCore& core, const Info& info) {
  const Napi::Env env = info.Env();
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

void setInterruptsHeld(DeviceCore& core, const Info& info) {
  core.interrupts().setHeld(boolArgument(info.Env(), info[0], "held"));
}

void setMessagesHeld(DeviceCore& core, const Info& info) {
  core.interrupts().setMessagesHeld(boolArgument(info.Env(), info[0], "held"));
}

Napi::Value interruptState(DeviceCore& core, const Info& info) {
  const std::vector<std::byte> bytes = encode(core.interrupts().save());
  auto array = Napi::Uint8Array::New(info.Env(), bytes.size());
  std::memcpy(array.Data(), bytes.data(), bytes.size());
  return array;
}

Napi::Value fitsInterruptState(DeviceCore& core, const Info& info) {
  const auto state = decodeInterruptState(bytesArgument(info.Env(), info[0], "state"));
  return Napi::Boolean::New(info.Env(), state.has_value() && core.interrupts().fits(*state));
}

Napi::Value adoptInterruptState(DeviceCore& core, const Info& info) {
  auto state = decodeInterruptState(bytesArgument(info.Env(), info[0], "state"));
  return errorNumber(info, state.has_value() ? core.interrupts().adopt(*std::move(state)) : EINVAL);
}

constexpr DeviceMethod kMethods[] = {
    {"setIrqCount", setIrqCount},
    {"setIntxAsserted", setIntxAsserted},
    {"setIntxDisabled", setIntxDisabled},
    {"intxAsserted", intxAsserted},
    {"triggerIrq", triggerIrq},
    {"setIrqAllMasked", setIrqAllMasked},
    {"setIrqMasked", setIrqMasked},
    {"bindIrqPending", bindIrqPending},
    {"irqPending", irqPending},
    {"resetIrqs", resetIrqs},
    {"setIrqs", setIrqs},
    {"setInterruptsHeld", setInterruptsHeld},
    {"setMessagesHeld", setMessagesHeld},
    {"interruptState", interruptState},
    {"fitsInterruptState", fitsInterruptState},
    {"adoptInterruptState", adoptInterruptState},
};

}  // namespace

std::span<const DeviceMethod> interruptMethods() { return kMethods; }

}  // namespace mdev

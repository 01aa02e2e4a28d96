#include "queue_device_arguments_object.h"

#include <napi.h>

#include <string>

#include "arguments_object.h"

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
  kEventLogStatus,
  kRegisterFields,
};

/// At kEventLogStatus, of a device without event log.
constexpr uint32_t kNoEventLog = ~uint32_t{0};

/// `eventLog`: the address in two halves.
enum EventLogField : std::size_t { kAddressLow, kAddressHigh, kEntries, kEntrySize, kEventLogFields };

/// `capabilities`, a bit each.
enum CapabilityBit : uint32_t {
  kOverlappingMove = 1,
  kNoCacheControl = 2,
  kDestinationReadback = 4,
  kFaultInfo = 8,
  kBatchContinuation = 16,
  kBatchOfOne = 32,
  kAddressTranslation = 64,
  kTranslationStride = 128,
  kDrainReadback = 256,
  kFillPattern16 = 512,
  kCrc64 = 1024,
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
  kThreshold,
  kMaxList,
  kConfigurationFields,
};
static_assert(kConfigurationFields == kQueueConfigurationFields);

/// `error`.
enum ErrorField : std::size_t { kCode, kHasQueue, kQueue, kErrorFields };

/// Words of one effect in `effects`.
enum EffectField : std::size_t { kEffectOffset, kEffectOperation, kEffectValue, kEffectFields };

RegisterEffect::Operation effectOperation(napi_env env, uint32_t value) {
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

}  // namespace

std::vector<uint32_t> wordsArgument(napi_env env, napi_value value, const char* name) {
  const Napi::Value words(env, value);
  if (!words.IsTypedArray() || words.As<Napi::TypedArray>().TypedArrayType() != napi_uint32_array) {
    throw Napi::TypeError::New(env, std::string(name) + ": expected a Uint32Array");
  }
  const auto array = words.As<Napi::Uint32Array>();
  return {array.Data(), array.Data() + array.ElementLength()};
}

std::vector<uint32_t> wordsArgument(napi_env env, napi_value value, const char* name, std::size_t count) {
  std::vector<uint32_t> words = wordsArgument(env, value, name);
  if (words.size() != count) {
    throw Napi::RangeError::New(env, std::string(name) + " has " + std::to_string(words.size()) +
                                         " elements; expected " + std::to_string(count));
  }
  return words;
}

RegisterOffsets registerOffsetsArgument(napi_env env, napi_value value) {
  const std::vector<uint32_t> words = wordsArgument(env, value, "registers", kRegisterFields);
  RegisterOffsets offsets{words[kSoftwareError],
                          words[kInterruptCause],
                          words[kGeneralControl],
                          {words[kWorkQueueStatusOffset], words[kWorkQueueStatusStride]},
                          {words[kMsixPermissionsOffset], words[kMsixPermissionsStride]}};
  if (words[kEventLogStatus] != kNoEventLog) offsets.eventLogStatus = words[kEventLogStatus];
  return offsets;
}

dsa::Capabilities capabilitiesArgument(napi_env env, napi_value value) {
  const uint32_t bits = uint32Argument(env, value, "capabilities");
  dsa::Capabilities capabilities;
  capabilities.overlappingMove = (bits & kOverlappingMove) != 0;
  capabilities.cacheControl = (bits & kNoCacheControl) == 0;
  capabilities.destinationReadback = (bits & kDestinationReadback) != 0;
  capabilities.faultInfo = (bits & kFaultInfo) != 0;
  capabilities.batchContinuation = (bits & kBatchContinuation) != 0;
  capabilities.batchOfOne = (bits & kBatchOfOne) != 0;
  capabilities.addressTranslation = (bits & kAddressTranslation) != 0;
  capabilities.translationStride = (bits & kTranslationStride) != 0;
  capabilities.drainReadback = (bits & kDrainReadback) != 0;
  capabilities.fillPattern16 = (bits & kFillPattern16) != 0;
  capabilities.crc64 = (bits & kCrc64) != 0;
  return capabilities;
}

dsa::TypedCapabilities typedCapabilitiesArgument(napi_env env, napi_value value) {
  const std::vector<uint32_t> words = wordsArgument(env, value, "typedCapabilities", kTypedCapabilityWords);
  const auto whole = [&](std::size_t at) { return words[at] | uint64_t{words[at + 1]} << 32; };
  return {whole(0), whole(2), whole(4)};
}

QueueConfig queueConfig(std::span<const uint32_t> configuration, std::span<const std::byte> operations) {
  QueueConfig config;
  config.size = configuration[kSize];
  config.dedicated = configuration[kDedicated] != 0;
  config.priority = configuration[kPriority];
  config.threshold = configuration[kThreshold];
  if (configuration[kPasidEnabled] != 0) {
    config.pasid = Pasid{configuration[kPasidValue], configuration[kPrivileged] != 0};
  }
  config.limits.maxTransfer = uint64_t{1} << (configuration[kMaxTransferShift] % 32);
  config.limits.maxBatch = uint32_t{1} << (configuration[kMaxBatchShift] % 32);
  config.limits.maxList = configuration[kMaxList];
  config.limits.blockOnFault = configuration[kBlockOnFault] != 0;
  // Only descriptors of a user process may be kept from interrupting; in a shared queue any may be one's.
  const bool user = config.pasid.has_value() && (!config.dedicated || !config.pasid->privileged);
  config.limits.completionInterrupts = !user || configuration[kUserInterrupts] != 0;
  for (unsigned opcode = 0; opcode < dsa::kOpcodes; ++opcode) {
    const auto byte = static_cast<unsigned>(operations[opcode / 8]);
    config.limits.operations.set(opcode, (byte >> (opcode % 8) & 1) != 0);
  }
  return config;
}

std::span<const std::byte> operationsArgument(napi_env env, napi_value value, std::size_t queues) {
  const std::span<const std::byte> operations = bytesArgument(env, value, "operations");
  if (operations.size() != queues * kQueueOperationBytes) {
    throw Napi::RangeError::New(env, "operations has " + std::to_string(operations.size()) + " bytes; expected " +
                                         std::to_string(queues * kQueueOperationBytes));
  }
  return operations;
}

std::vector<RegisterEffect> effectsArgument(napi_env env, napi_value value) {
  const std::vector<uint32_t> words = wordsArgument(env, value, "effects");
  std::vector<RegisterEffect> effects;
  for (std::size_t at = 0; at + kEffectFields <= words.size(); at += kEffectFields) {
    effects.push_back(
        {words[at + kEffectOffset], effectOperation(env, words[at + kEffectOperation]), words[at + kEffectValue]});
  }
  return effects;
}

EventLogConfig eventLogArgument(napi_env env, napi_value value) {
  const std::vector<uint32_t> words = wordsArgument(env, value, "eventLog", kEventLogFields);
  return {words[kAddressLow] | uint64_t{words[kAddressHigh]} << 32, words[kEntries], words[kEntrySize]};
}

SoftwareError softwareErrorArgument(napi_env env, napi_value value) {
  const std::vector<uint32_t> words = wordsArgument(env, value, "error", kErrorFields);
  SoftwareError error;
  error.code = static_cast<uint8_t>(words[kCode]);
  if (words[kHasQueue] != 0) error.queue = static_cast<uint8_t>(words[kQueue]);
  return error;
}

}  // namespace mdev

// What `QueueDevice` is told by JavaScript.
//
// Numbers come as arrays in an order of their own: src/engine/native.ts writes them, having checked each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/queue_device.h"

typedef struct napi_env__* napi_env;
typedef struct napi_value__* napi_value;

namespace mdev {

/// Elements of the configuration of one queue and of `typedCapabilities`, and bytes of the operations that descriptors
/// may name.
inline constexpr std::size_t kQueueConfigurationFields = 12;
inline constexpr std::size_t kTypedCapabilityWords = 6;
inline constexpr std::size_t kQueueOperationBytes = dsa::kOpcodes / 8;

/// The elements of a Uint32Array; with `count`, of as many. Throws Napi::TypeError or Napi::RangeError.
///@{
std::vector<uint32_t> wordsArgument(napi_env env, napi_value value, const char* name);
std::vector<uint32_t> wordsArgument(napi_env env, napi_value value, const char* name, std::size_t count);
///@}

/// `registers`: where a device has its registers.
RegisterOffsets registerOffsetsArgument(napi_env env, napi_value value);
/// `capabilities`: a bit each.
dsa::Capabilities capabilitiesArgument(napi_env env, napi_value value);
/// `typedCapabilities`: DSACAP0 to DSACAP2, the lower half of each first.
dsa::TypedCapabilities typedCapabilitiesArgument(napi_env env, napi_value value);
/// One queue's `configuration`, of kQueueConfigurationFields, and `operations`, of kQueueOperationBytes.
QueueConfig queueConfig(std::span<const uint32_t> configuration, std::span<const std::byte> operations);
/// `operations` of so many queues. Valid until JavaScript runs.
std::span<const std::byte> operationsArgument(napi_env env, napi_value value, std::size_t queues);
/// `effects`: offset, operation and value of each.
std::vector<RegisterEffect> effectsArgument(napi_env env, napi_value value);
/// `eventLog`: where it is, and how large.
EventLogConfig eventLogArgument(napi_env env, napi_value value);
/// `error`: code, whether it is of a queue, and of which.
SoftwareError softwareErrorArgument(napi_env env, napi_value value);

}  // namespace mdev

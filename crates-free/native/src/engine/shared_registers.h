// Where a device has the registers that engines change.
#pragma once

#include "engine/queue_device.h"

namespace mdev {

/// All registers of `options.offsets` lie in the region and are declared `shared`, if `options.table` tells that:
/// others belong to the owner thread, and what an engine writes there could be lost. Throws std::invalid_argument that
/// names the first that is not.
void requireSharedRegisters(const QueueDeviceOptions& options);

/// Whether an engine may change the 32-bit word at `offset`: of a register that is declared `shared`, or of locks,
/// which the owner thread reads as such words only.
bool isChangedByEngines(const RegisterTable& table, uint32_t offset);

}  // namespace mdev

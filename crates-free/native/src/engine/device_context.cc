#include "engine/device_context.h"

#include "dsa/status.h"

namespace mdev {
namespace {

// MSIXPERM entry.
constexpr uint32_t kIgnore = 1u << 2;
constexpr uint32_t kPasidEnable = 1u << 3;
constexpr unsigned kPasidShift = 12;

}  // namespace

bool DeviceContext::mayUseHandle(uint16_t handle, const std::optional<Pasid>& pasid) const {
  if (handle >= handles) return false;
  const uint32_t entry = registers->word32(offsets_.msixPermissions.at(handle)).load(std::memory_order_acquire);
  const bool restricted = (entry & kPasidEnable) != 0;
  if (restricted != pasid.has_value()) return false;
  return !restricted || entry >> kPasidShift == pasid->value;
}

void DeviceContext::raiseCompletion(uint16_t handle) const {
  const uint32_t entry = registers->word32(offsets_.msixPermissions.at(handle)).load(std::memory_order_acquire);
  if ((entry & kIgnore) == 0) irqs->trigger(handle);
}

void DeviceContext::report(const SoftwareError& error) {
  // A device that halts writes nothing any more.
  if (error.code == dsa::kErrorConfigurationChanged || !reportInLog(error)) errors.record(error);
}

bool DeviceContext::reportInLog(const SoftwareError& error) {
  switch (log.append(error)) {
    case EventLog::Taken::closed:
      return false;
    case EventLog::Taken::queued:
      return true;
    case EventLog::Taken::full:
      break;
  }
  log.countLost();
  SoftwareError lost;
  lost.code = dsa::kErrorEventLog;
  errors.record(lost);
  return true;
}

}  // namespace mdev

// VFIO_DEVICE_SET_IRQS: the rules of <linux/vfio.h> and of vfio-pci's interrupt code.
#include <bit>
#include <cerrno>
#include <utility>

#include "core/device_core.h"

namespace mdev {

namespace {

/// What is wrong with a request whatever its index does with it. `vectors` is the number that the index has.
int checkRequest(const SetIrqs& request, std::size_t fds, uint32_t vectors) {
  const uint32_t data = request.flags & kIrqDataMask;
  const uint32_t action = request.flags & kIrqActions;
  if ((request.flags & ~(kIrqDataMask | kIrqActions)) != 0) return EINVAL;
  if (!std::has_single_bit(data) || !std::has_single_bit(action)) return EINVAL;
  if (request.count == 0) {
    // The only request about no vectors: all off. Clients send it for an index that has none, too.
    const bool disable = data == kIrqDataNone && action == kIrqActionTrigger && request.start == 0;
    return disable && fds == 0 ? 0 : EINVAL;
  }
  if (request.start >= vectors || request.count > vectors - request.start) return EINVAL;
  if (data == kIrqDataBool && request.data.size() != request.count) return EINVAL;
  if (fds != 0 && (data != kIrqDataEventfd || fds != request.count)) return EINVAL;
  return 0;
}

}  // namespace

int DeviceCore::setIrqs(const SetIrqs& request, std::vector<ForeignFd> fds) {
  if (request.index >= kPciIrqs) return refuse(EINVAL);
  IrqTable& table = *irqs_[request.index];
  if (const int error = checkRequest(request, fds.size(), table.count()); error != 0) return refuse(error);

  if ((request.flags & kIrqActions) != kIrqActionTrigger) {
    // MSI and MSI-X are masked through the device, not through VFIO; the one-vector events have no mask at all.
    return refuse(request.index == kIrqErr || request.index == kIrqReq ? EINVAL : ENOTTY);
  }
  if (request.count == 0) {
    table.disable();
    return 0;
  }
  switch (request.flags & kIrqDataMask) {
    case kIrqDataEventfd: {
      const int error =
          fds.empty() ? table.release(request.start, request.count) : table.assign(request.start, std::move(fds));
      return error == 0 ? 0 : refuse(error);
    }
    case kIrqDataBool:
      for (uint32_t i = 0; i < request.count; ++i) {
        if (request.data[i] != std::byte{0}) table.loopback(request.start + i);
      }
      return 0;
    default:
      for (uint32_t i = 0; i < request.count; ++i) table.loopback(request.start + i);
      return 0;
  }
}

}  // namespace mdev

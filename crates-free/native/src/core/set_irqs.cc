// VFIO_DEVICE_SET_IRQS: the rules of <linux/vfio.h> and of vfio-pci's interrupt code.
#include <algorithm>
#include <bit>
#include <cerrno>
#include <utility>

#include "base/eventfd.h"
#include "core/interrupts.h"

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

/// Whether a loopback request names its vector `i`.
bool names(const SetIrqs& request, uint32_t i) {
  return (request.flags & kIrqDataBool) == 0 || request.data[i] != std::byte{0};
}

}  // namespace

int Interrupts::set(const SetIrqs& request, std::vector<ForeignFd> fds) {
  if (request.index >= kPciIrqs) return EINVAL;
  if (const int error = checkRequest(request, fds.size(), count(request.index)); error != 0) return error;
  if (request.count == 0) {
    disable(request.index);
    return 0;
  }
  switch (request.index) {
    case kIrqIntx:
      return setIntx(request, fds.empty() ? ForeignFd() : std::move(fds.front()));
    case kIrqMsi:
    case kIrqMsix:
      return setMessages(request, std::move(fds));
    default:
      return setEvent(request, std::move(fds));
  }
}

int Interrupts::setIntx(const SetIrqs& request, ForeignFd fd) {
  const uint32_t action = request.flags & kIrqActions;
  const bool enabled = enabled_ == kIrqIntx;
  const bool byEventfd = (request.flags & kIrqDataEventfd) != 0;
  if (action == kIrqActionTrigger && byEventfd) {
    if (enabled_.has_value() && !enabled) return EINVAL;
    if (!fd) {
      disable(kIrqIntx);
      return 0;
    }
    if (!isEventfd(fd.get()) || !setNonBlocking(fd.get())) return EINVAL;
    intx_->enable(fd.known());
    enabled_ = kIrqIntx;
    enabledVectors_ = 1;
    return 0;
  }
  if (!enabled) return EINVAL;
  if (byEventfd) return action == kIrqActionMask ? ENOTTY : setUnmaskEventfd(std::move(fd));
  if (!names(request, 0)) return 0;
  if (action == kIrqActionMask) {
    intx_->mask();
  } else if (action == kIrqActionUnmask) {
    intx_->unmask();
  } else {
    intx_->loopback();
  }
  return 0;
}

int Interrupts::setMessages(const SetIrqs& request, std::vector<ForeignFd> fds) {
  // Masked through config space and table, not through VFIO.
  if ((request.flags & kIrqActions) != kIrqActionTrigger) return ENOTTY;
  IrqTable& table = *tables_[request.index];
  const bool enabled = enabled_ == request.index;
  if (enabled_.has_value() && !enabled) return EINVAL;
  if ((request.flags & kIrqDataEventfd) != 0) {
    // MSI is NORESIZE: the first request says how many vectors there are.
    const uint32_t end = request.start + request.count;
    if (enabled && request.index == kIrqMsi && end > enabledVectors_) return EINVAL;
    const int error =
        fds.empty() ? table.release(request.start, request.count) : table.assign(request.start, std::move(fds));
    if (error != 0) return error;
    enabled_ = request.index;
    enabledVectors_ = std::max(enabledVectors_, end);
    return 0;
  }
  if (!enabled) return EINVAL;
  for (uint32_t i = 0; i < request.count; ++i) {
    if (names(request, i)) table.loopback(request.start + i);
  }
  return 0;
}

int Interrupts::setEvent(const SetIrqs& request, std::vector<ForeignFd> fds) {
  // The kernel's VFIO says ENOTTY, vfio-user's servers say EINVAL.
  if ((request.flags & kIrqActions) != kIrqActionTrigger) return EINVAL;
  IrqTable& table = *tables_[request.index];
  switch (request.flags & kIrqDataMask) {
    case kIrqDataEventfd:
      return fds.empty() ? table.release(0, 1) : table.assign(0, std::move(fds));
    case kIrqDataNone:
      if (!table.hasEventfd(0)) return EINVAL;
      break;
    default:
      if (!names(request, 0)) return 0;
  }
  table.loopback(0);
  return 0;
}

}  // namespace mdev

// The interrupts of one device, by VFIO index.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/foreign_fd.h"
#include "core/vfio.h"
#include "irq/intx_line.h"
#include "irq/irq_table.h"
#include "irq/unmask_eventfd.h"

namespace mdev {

/// The VFIO SET_IRQS request without its eventfds; values of <linux/vfio.h>.
struct SetIrqs {
  uint32_t flags;
  uint32_t index;
  uint32_t start;
  uint32_t count;
  std::span<const std::byte> data;  ///< the bytes behind the header (booleans)
};

/// What a device's interrupts remember beside their eventfds.
struct InterruptState {
  /// Which of INTx, MSI and MSI-X the client has enabled, and with how many vectors.
  std::optional<uint32_t> enabled;
  uint32_t enabledVectors = 0;
  IntxState intx;
  /// By VFIO index; INTx's has no vectors.
  std::array<IrqTableState, kPciIrqs> tables;
};

/// Where an eventfd of a client's is used.
enum class EventfdUse { trigger, unmask };

/// The five irq indices of a PCI function, with tables of their own. At most one of INTx, MSI and MSI-X is enabled at a
/// time, as in vfio-pci. Owner thread; the lines and tables themselves are any thread's.
class Interrupts {
 public:
  /// Calls back, on the owner's thread, when `fd` is readable, until what it returns is destroyed. Null when that
  /// cannot be done; does not throw.
  using Watch = std::function<std::shared_ptr<void>(int fd, std::function<void()> callback)>;

  Interrupts();
  ~Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

  /// Vectors of an index: INTx 0 or 1, MSI 0 to 32, MSI-X 0 to 2048, ERR and REQ 0 or 1. Lines and tables are new ones
  /// then, without eventfds. Throws std::invalid_argument.
  void setCount(uint32_t index, uint32_t count);
  /// Of an index below kPciIrqs.
  uint32_t count(uint32_t index) const { return index == kIrqIntx ? intxCount_ : tables_.at(index)->count(); }
  /// Never null.
  const std::shared_ptr<IntxLine>& intx() const { return intx_; }
  /// Never null; INTx's has no vectors. Throws std::out_of_range.
  const std::shared_ptr<IrqTable>& table(uint32_t index) const { return tables_.at(index); }
  /// How unmask eventfds are waited for; without it they are refused.
  void setWatch(Watch watch) { watch_ = std::move(watch); }

  /// VFIO_DEVICE_SET_IRQS, see DeviceCore::setIrqs.
  int set(const SetIrqs& request, std::vector<ForeignFd> fds);
  /// Takes all eventfds away. What the device wants of its guest stays; what it wanted of this client (ERR, REQ) does
  /// not.
  void clientGone();

  /// While held, the device raises nothing: INTx keeps its level, messages and ERR latch. REQ is not the device's.
  void setHeld(bool held);
  /// While held, MSI and MSI-X latch, and go out when they no longer are: a function without bus master writes no
  /// messages. INTx, ERR and REQ are none.
  void setMessagesHeld(bool held);

  InterruptState save() const;
  /// Whether the state is that of a device with the same counts.
  bool fits(const InterruptState& state) const;
  /// Takes over the device's part of what a device with the same counts has saved, for another client: what the client
  /// has set (the index that is enabled, INTx's mask) and what is meant for it alone (ERR, REQ) stays. EINVAL: other
  /// counts, and nothing changed.
  int adopt(InterruptState state);
  /// Takes over what a device with the same counts has saved; eventfds are then assigned by SET_IRQS or, as part of a
  /// handover, by `restoreEventfd`. EINVAL: other counts, and nothing changed.
  int restore(const InterruptState& state);
  /// While off, signals of the unmask eventfd wait in it: for another process that has it, too. On at first.
  void setUnmaskWatched(bool watched);
  /// Gives an eventfd its place again; what is enabled stays as it is. EINVAL: no such place, or no eventfd.
  int restoreEventfd(uint32_t index, uint32_t vector, EventfdUse use, ForeignFd fd);
  /// Calls `visit` for each eventfd that a client gave, by index and vector. The descriptors stay the device's, and the
  /// device must not be touched meanwhile.
  void forEachEventfd(const std::function<void(uint32_t index, uint32_t vector, EventfdUse use, int fd)>& visit) const;

 private:
  int setIntx(const SetIrqs& request, ForeignFd fd);
  int setMessages(const SetIrqs& request, std::vector<ForeignFd> fds);
  int setEvent(const SetIrqs& request, std::vector<ForeignFd> fds);
  int setUnmaskEventfd(ForeignFd fd);
  void disable(uint32_t index);
  /// Makes lines and tables what `held_` and `messagesHeld_` say.
  void hold();

  uint32_t intxCount_ = 0;
  std::shared_ptr<IntxLine> intx_;
  std::array<std::shared_ptr<IrqTable>, kPciIrqs> tables_;
  std::optional<uint32_t> enabled_;
  uint32_t enabledVectors_ = 0;
  bool held_ = false;
  bool messagesHeld_ = false;
  /// Null when that cannot be done.
  std::shared_ptr<void> watchUnmask(const UnmaskEventfd& eventfd) const;

  Watch watch_;
  bool unmaskWatched_ = true;
  std::unique_ptr<UnmaskEventfd> unmaskEventfd_;
  /// Behind what it watches: it goes first.
  std::shared_ptr<void> unmaskWatch_;
};

}  // namespace mdev

// One device: regions, interrupts and guest memory, whoever the client is.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "base/fd_closer.h"
#include "base/foreign_fd.h"
#include "core/interrupts.h"
#include "core/region_memory.h"
#include "core/region_port.h"
#include "core/vfio.h"
#include "memory/dma_space.h"
#include "registers/register_memory.h"
#include "registers/register_region.h"

namespace mdev {

class PasidTable;

/// Where accesses go that C++ does not answer. Implemented by the JavaScript side. Results are 0 or a positive errno.
class TrapHandler {
 public:
  virtual ~TrapHandler() = default;
  /// At most 4,096 bytes, inside one 4 KiB page. May re-enter the core, close the connection, or reset the device.
  /// `data` lies at the start of a page of `DeviceCore::mailbox()`: what is written, or where to put what is read
  /// (zeros at first).
  virtual int access(uint32_t region, uint64_t offset, std::span<std::byte> data, bool write) = 0;
  virtual int reset() = 0;
};

/// How deep trapped accesses may nest: hooks that access their own device. One more is refused with EBUSY.
inline constexpr uint32_t kTrapDepth = 4;

/// Data of the trapped accesses in progress, one page for each nesting level.
using TrapMailbox = std::array<std::array<std::byte, kAccessPage>, kTrapDepth>;

/// Counters of one instance; read by JavaScript. Each counts requests, not bytes. Only `dmaFaults` is counted by
/// several threads.
struct DeviceStatistics {
  std::atomic<uint64_t> reads{0}, writes{0}, traps{0}, refused{0}, droppedWrites{0}, dmaFaults{0};

  /// Counts one on the only thread that counts this: cheaper than an atomic addition.
  static void count(std::atomic<uint64_t>& counter) {
    counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
};

/// What must be on for a region to answer.
enum class RegionDecode : uint8_t {
  always,
  memory,  ///< PCI's memory decode
  io,      ///< PCI's I/O decode
  rom,     ///< memory decode and the expansion ROM's own enable bit
};

/// One device's native half. Owner thread, except what its members say.
class DeviceCore {
 public:
  DeviceCore();
  ~DeviceCore();
  DeviceCore(const DeviceCore&) = delete;
  DeviceCore& operator=(const DeviceCore&) = delete;

  /// `port` may be null: reads give all ones, writes are dropped. A BAR needs memory decode, other regions answer
  /// always. Throws std::invalid_argument: index from kRegionsMax on, or flags other than kRegionRead | kRegionWrite.
  void setRegion(uint32_t index, uint64_t size, uint32_t flags, std::shared_ptr<RegionPort> port);
  /// Gives an existing region its port, in place of the one it had. Throws std::invalid_argument: no such index.
  void setRegionPort(uint32_t index, std::shared_ptr<RegionPort> port);
  /// A region of registers, with memory of its own. Throws std::invalid_argument also when the region is smaller than
  /// the table's block.
  std::shared_ptr<RegisterMemory> setRegisterRegion(uint32_t index, uint64_t size, uint32_t flags,
                                                    std::shared_ptr<const RegisterTable> table);
  /// Serves a region of registers from another table of the same block (other registers have hooks). Its memory and
  /// what is in it stay. Throws std::invalid_argument: not a region of registers, or the table has other sizes.
  void setRegisterTable(uint32_t index, std::shared_ptr<const RegisterTable> table);
  /// Puts memory behind all or some pages of an existing region, in front of its port. Throws std::invalid_argument,
  /// std::system_error.
  std::shared_ptr<RegionMemory> setRegionMemory(uint32_t index, std::vector<RegionArea> areas);
  /// The memory behind a region; null where there is none.
  std::shared_ptr<RegionMemory> regionMemory(uint32_t index) const;
  /// Throws std::invalid_argument: no such index.
  void setRegionDecode(uint32_t index, RegionDecode decode);
  /// The memory of a region of registers; null for any other.
  std::shared_ptr<RegisterMemory> registerMemory(uint32_t index) const;
  /// What its registers are; null for any other.
  std::shared_ptr<const RegisterTable> registerTable(uint32_t index) const;
  /// Bytes of a region of registers that are registers: its memory holds locks and staged halves behind them. 0 for any
  /// other.
  std::size_t registerBlockSize(uint32_t index) const;
  /// 0 for an absent region or index.
  uint64_t regionSize(uint32_t index) const;
  uint32_t regionFlags(uint32_t index) const;
  /// `handler` must live until it is replaced or the core is closed. Null: trapped accesses fail with EIO.
  void setTrapHandler(TrapHandler* handler);
  /// The memory behind trapped accesses; may be kept longer than the core.
  const std::shared_ptr<TrapMailbox>& mailbox() const { return mailbox_; }

  /// BAR accesses fail with EIO while memory decode is off (if enforced, as it is at first). Off at first, as after a
  /// reset of PCI's COMMAND register.
  void setMemoryDecode(bool enabled);
  /// The same for I/O BARs and for the expansion ROM. Off at first.
  void setIoDecode(bool enabled);
  void setRomDecode(bool enabled);
  /// Whether any decode matters.
  void setEnforceMemoryDecode(bool enforced);

  /// Cuts the device off after an error: every region reads all ones and drops writes, and no hook runs.
  void setIsolated(bool isolated);

  /// Reads or writes a region. EINVAL: no such region, direction not allowed, offset + size beyond its end or wrapping.
  /// size 0 succeeds. EIO: memory decode off, or the hook failed. EBUSY: hooks nested deeper than kTrapDepth.
  ///
  /// An access is served page by page; an error in a later page leaves the earlier ones done. A hook may do anything:
  /// close the connection, this device, or the buffer's owner. The core works on its own mailbox while JavaScript runs
  /// and looks at regions and decode again afterwards, but it does copy from and to `data` after a hook: **the caller
  /// keeps `data` alive until the call returns**, and checks by itself whether what it wanted the data for still
  /// exists.
  int read(uint32_t region, uint64_t offset, std::span<std::byte> data);
  ///
  /// A write that is not posted may be refused with EAGAIN: nothing was done, and it may be tried again.
  int write(uint32_t region, uint64_t offset, std::span<const std::byte> data, bool posted = true);
  /// As `write`, but engines may learn of it only with the next `flush`, or the next entry into JavaScript: for one of
  /// many writes. Whoever posts also flushes, however its turn ends.
  /// `arrival`: of a write of which `data` is all or a piece.
  int post(uint32_t region, uint64_t offset, std::span<const std::byte> data, const Arrival& arrival);
  int post(uint32_t region, uint64_t offset, std::span<const std::byte> data) {
    return post(region, offset, data, {data.size(), true});
  }
  void flush();

  /// VFIO_DEVICE_SET_IRQS: the whole validation; takes `fds`, closes what it does not keep. An empty descriptor removes
  /// its vector's eventfd, and so does an eventfd request without any fds for its whole range.
  /// EINVAL: malformed, out of range, not eventfds, another one of INTx, MSI and MSI-X is enabled, or this one is not
  /// and should be. ENOTTY: well formed, but this index cannot do it. ENOMEM, EMFILE: an unmask eventfd cannot be
  /// watched. On error nothing changed.
  int setIrqs(const SetIrqs& request, std::vector<ForeignFd> fds);
  Interrupts& interrupts() { return interrupts_; }
  /// Messages and events of an index, without vectors for INTx. Never null; throws std::out_of_range for index >=
  /// kPciIrqs. Fetch it on the owner thread; its use is free.
  const std::shared_ptr<IrqTable>& irqs(uint32_t index) const { return interrupts_.table(index); }

  const std::shared_ptr<DmaSpace>& dma() const { return dma_; }
  /// The device's other address spaces, by PASID; null unless it has some. Who set them keeps them in step with the
  /// device's life.
  const std::shared_ptr<PasidTable>& pasids() const { return pasids_; }
  void setPasids(std::shared_ptr<PasidTable> pasids) { pasids_ = std::move(pasids); }
  /// Lets JavaScript reset the device. EIO without a trap handler.
  int reset();
  /// A client has come that answers for memory without a file. The number says which one it is, to `clientGone`.
  uint64_t clientCame(std::shared_ptr<MessageDma> channel);
  /// That client is asked for nothing any more, though it is not gone yet: what it has submitted ends, as `clientGone`
  /// ends it. Before its channel is closed, or the device would take that for faults of its own. May be called again.
  void clientLeaves(uint64_t client);
  /// That client is gone: maps and eventfds go, device state stays (what is latched too). Nothing happens when it went
  /// before, whoever has come since: a connection may hear late that it has ended.
  void clientGone(uint64_t client);
  bool isClient(uint64_t client) const { return client == client_; }
  /// The client is gone, whichever it is.
  void clientGone();
  /// Ends the device: no trap handler, no regions, no eventfds, no guest memory. Accesses fail with EINVAL from then
  /// on.
  void close();

  /// `close` was called: there is nothing left to map memory for.
  bool isClosed() const { return closed_; }

  /// Closes what this device's clients send and it does not keep.
  const std::shared_ptr<FdCloser>& closer() const { return closer_; }

  DeviceStatistics& statistics() { return statistics_; }
  /// What the register regions refused: accesses of a width that the register does not take, and writes that a lock
  /// froze entirely.
  RegisterRegion::Counters registerCounters() const;

 private:
  struct Region {
    uint64_t size = 0;
    uint32_t flags = 0;
    RegionDecode decode = RegionDecode::always;
    std::shared_ptr<RegionPort> port;
    std::shared_ptr<RegisterRegion> registers;  ///< the port, when it is a register region
    std::shared_ptr<RegionMemory> memory;       ///< in front of the port, where it covers

    RegionPort* portAt(uint64_t offset) const {
      return memory != nullptr && memory->covers(offset) ? memory.get() : port.get();
    }
  };
  bool decodes(RegionDecode decode) const;
  int check(uint32_t region, uint64_t offset, uint64_t size, uint32_t right) const;
  int refuse(int error);
  int trap(uint32_t region, uint64_t offset, std::span<std::byte> into, std::span<const std::byte> from, bool write);
  void checkRegion(uint32_t index, uint32_t flags) const;
  void endClientsWork();

  std::array<Region, kRegionsMax> regions_;
  /// Bit n: region n was written since its port was flushed.
  uint32_t posted_ = 0;
  Interrupts interrupts_;
  std::shared_ptr<DmaSpace> dma_;
  std::shared_ptr<PasidTable> pasids_;
  std::shared_ptr<TrapMailbox> mailbox_;
  const std::shared_ptr<FdCloser> closer_ = std::make_shared<FdCloser>();
  TrapHandler* trap_ = nullptr;
  uint32_t trapDepth_ = 0;
  bool memoryDecode_ = false;
  bool ioDecode_ = false;
  bool romDecode_ = false;
  bool enforceMemoryDecode_ = true;
  bool isolated_ = false;
  bool closed_ = false;
  /// Changes when a client comes, and when one goes.
  uint64_t client_ = 0;
  DeviceStatistics statistics_;
};

}  // namespace mdev

// The interrupts of one VFIO index.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "base/file_descriptor.h"
#include "base/foreign_fd.h"

namespace mdev {

/// Vectors of one VFIO irq index, each with at most one eventfd. Any thread may trigger.
///
/// A vector without an eventfd, or masked, latches: it fires when it gets an eventfd or is unmasked.
class IrqTable {
 public:
  explicit IrqTable(uint32_t count);
  ~IrqTable();
  IrqTable(const IrqTable&) = delete;
  IrqTable& operator=(const IrqTable&) = delete;

  uint32_t count() const { return count_; }

  /// Gives vectors [start, start + fds.size()) their eventfds (an empty one removes). The fds are made non-blocking.
  /// EINVAL: out of range, or not an eventfd (then no vector changed).
  int assign(uint32_t start, std::vector<ForeignFd> fds);
  /// Takes the eventfds of [start, start + count) away; what is latched stays. EINVAL: out of range.
  int release(uint32_t start, uint32_t count);
  /// Takes all eventfds away: the index is disabled. What is latched stays, and what is raised meanwhile latches; it
  /// fires when the index is enabled again, so that a client that sets its vectors up anew loses nothing.
  void disable() { static_cast<void>(release(0, count_)); }

  /// Raises a vector. Any thread; never blocks: a full counter is success. Out of range is ignored.
  void trigger(uint32_t vector);
  /// Writes 1 to the eventfd if there is one, whatever is masked (SET_IRQS loopback). Out of range is ignored.
  void loopback(uint32_t vector);

  /// MSI-X function mask.
  void setAllMasked(bool masked);
  /// Entry mask, where the device owns the MSI-X table. Out of range is ignored.
  void setMasked(uint32_t vector, bool masked);
  /// Words of the PBA in register memory, (count + 63) / 64 of them, one bit a vector; the latch is then visible to the
  /// guest. What was latched so far moves there. `owner` keeps `words` alive as long as this table.
  void bindPending(uint64_t* words, std::shared_ptr<void> owner);
  bool pending(uint32_t vector) const;
  /// FLR or DEVICE_RESET: forgets what is latched and every mask; eventfds stay.
  void reset();

 private:
  struct Vector {
    FileDescriptor eventfd;
    bool masked = false;
  };
  bool holds(uint32_t start, uint64_t count) const { return start <= count_ && count <= count_ - start; }
  void signal(const Vector& vector) const;
  void deliverPending(uint32_t vector);
  void deliverAllPending();
  void forgetPending();
  std::size_t pendingWords() const { return (std::size_t{count_} + 63) / 64; }
  std::atomic_ref<uint64_t> pendingWord(uint32_t vector) const;

  const uint32_t count_;
  mutable std::mutex mutex_;
  std::vector<Vector> vectors_;
  bool allMasked_ = false;
  std::vector<uint64_t> ownPending_;
  uint64_t* pending_;
  std::shared_ptr<void> pendingOwner_;
};

}  // namespace mdev

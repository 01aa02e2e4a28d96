// The interrupts of one VFIO index.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "base/file_descriptor.h"
#include "base/foreign_fd.h"

namespace mdev {

/// What an IrqTable remembers beside its eventfds: words of 32 vectors, one bit each.
struct IrqTableState {
  bool allMasked = false;
  std::vector<uint32_t> masked;
  std::vector<uint32_t> pending;
};

/// Vectors of one VFIO irq index that has messages or events, each with at most one eventfd. Any thread may trigger;
/// threads that raise different vectors rarely wait for each other.
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
  /// False also out of range.
  bool hasEventfd(uint32_t vector) const;

  /// Raises a vector. Any thread; never blocks: a full counter is success. Out of range is ignored.
  void trigger(uint32_t vector);
  /// Writes 1 to the eventfd if there is one, whatever is masked (SET_IRQS loopback). Out of range is ignored.
  void loopback(uint32_t vector);

  /// The function mask. When this returns, nothing that was raised before fires any more until it is taken off.
  void setAllMasked(bool masked);
  /// Mask of one vector: the MSI-X table's, where the device owns that, or MSI's. Out of range is ignored.
  void setMasked(uint32_t vector, bool masked);
  /// While held, nothing fires, whatever the masks say: the device is stopped. No part of the state that is saved.
  void setHeld(bool held);
  /// Words of MSI-X's PBA, or of MSI's pending bits, in register memory, (count + 31) / 32 of them, one bit a vector;
  /// the latch is then visible to the guest. What was latched so far moves there. `owner` keeps `words` alive as long
  /// as this table.
  void bindPending(uint32_t* words, std::shared_ptr<void> owner);
  bool pending(uint32_t vector) const;
  /// Forgets what is latched.
  void forgetPending();
  /// FLR or DEVICE_RESET: forgets what is latched and every mask; eventfds stay.
  void reset();

  /// What is latched and masked, at one moment.
  IrqTableState save() const;
  /// Takes over what another table of this size has saved; what is latched fires where nothing keeps it. EINVAL:
  /// another size, and nothing changed.
  int restore(const IrqTableState& state);
  /// Calls `visit` for each vector that has an eventfd, in ascending order. The descriptor stays this table's, and the
  /// table must not be touched meanwhile.
  void forEachEventfd(const std::function<void(uint32_t vector, int fd)>& visit) const;

 private:
  struct Vector {
    FileDescriptor eventfd;
    bool masked = false;
  };
  /// The lock of every sixteenth vector.
  struct alignas(64) Stripe {
    std::mutex mutex;
  };
  static constexpr std::size_t kStripes = 16;
  /// Holds every stripe.
  class Everything;

  bool holds(uint32_t start, uint64_t count) const { return start <= count_ && count <= count_ - start; }
  std::mutex& mutexOf(uint32_t vector) const { return stripes_[vector % kStripes].mutex; }
  static void signal(const Vector& vector);
  /// Sets one of the two switches that keep every vector back.
  void keepBack(std::atomic<bool>& by, bool back);
  void deliverPending(uint32_t vector);
  /// Fires what is latched and may; takes the locks itself.
  void deliverAllPending();
  std::size_t words() const { return (std::size_t{count_} + 31) / 32; }
  std::atomic_ref<uint32_t> pendingWord(std::size_t word) const { return std::atomic_ref<uint32_t>(pending_[word]); }

  const uint32_t count_;
  mutable std::array<Stripe, kStripes> stripes_;
  /// Each under its stripe.
  std::vector<Vector> vectors_;
  /// Set before the latch is looked at, which is set before this is looked at: one of the two sides sees the other.
  std::atomic<bool> allMasked_ = false;
  /// As `allMasked_`.
  std::atomic<bool> held_ = false;
  std::vector<uint32_t> ownPending_;
  /// Changes with all stripes held.
  uint32_t* pending_;
  std::shared_ptr<void> pendingOwner_;
};

}  // namespace mdev

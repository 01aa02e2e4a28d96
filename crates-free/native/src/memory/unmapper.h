// Where large mappings are unmapped: off the threads that have others to serve.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <mutex>
#include <thread>

namespace mdev {

/// Unmaps on a thread of its own: munmap(2) takes as long as the mapping has pages (about 0.4 s for each GiB), and
/// frees the file if nobody else has it.
///
/// One for the process, because a mapping may outlive whoever made it. The thread is there while something waits, knows
/// nothing of JavaScript, and is joined when the process exits; what still waits then goes with the process. The addon
/// is never unloaded under it.
class Unmapper {
 public:
  /// Smaller ones are unmapped at once: that is done in less time than a thread takes to begin.
  static constexpr std::size_t kWorthWaiting = std::size_t{4} << 20;
  /// Mappings that may wait, and their bytes; a single one may be larger. Beyond that, whoever brings one unmaps it:
  /// what waits is address space, which is finite.
  static constexpr std::size_t kMaxWaiting = 256;
  static constexpr std::size_t kMaxWaitingBytes = std::size_t{1} << 40;

  static Unmapper& instance();
  Unmapper(const Unmapper&) = delete;
  Unmapper& operator=(const Unmapper&) = delete;

  /// Any thread. Nobody may use [base, base + size) any more. Calls `unmapped(size)` when it is done, on this thread or
  /// the other.
  void unmap(void* base, std::size_t size, void (*unmapped)(std::size_t)) noexcept;

  /// Waits until nothing is left; false when that takes longer than `limit`. For tests that count mappings.
  bool drain(std::chrono::milliseconds limit);

 private:
  struct Order {
    void* base;
    std::size_t size;
    void (*unmapped)(std::size_t);
    void carryOut() const noexcept;
  };
  /// Joins the thread at the end of the process.
  struct AtExit {
    ~AtExit() { instance().end(); }
  };

  Unmapper() = default;
  ~Unmapper() = default;
  bool accept(const Order& order) noexcept;
  void run();
  void end();

  std::mutex mutex_;
  /// A ring: taking an order must not need memory.
  std::array<Order, kMaxWaiting> orders_;
  std::size_t first_ = 0;
  /// Waiting, and the one in work.
  std::size_t count_ = 0;
  std::size_t bytes_ = 0;
  bool running_ = false;
  bool ended_ = false;
  /// Of the last burst: it may have returned already.
  std::thread thread_;
};

}  // namespace mdev

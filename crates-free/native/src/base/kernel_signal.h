// Signals eventfds from inside the kernel.
#pragma once

#include <linux/aio_abi.h>

#include <array>
#include <atomic>

#include "base/file_descriptor.h"

namespace mdev {

/// Lets the kernel add 1 to an eventfd when a request of Linux AIO completes, here an empty read of a memory file,
/// which completes at once. Unlike a write(2) the kernel's own signal never waits: a full counter stays full. Any
/// thread; one that loses its processor on the way keeps nobody else waiting, as long as fewer than `kContexts` do.
class KernelSignal {
 public:
  /// The one of this process, made at first use; null where AIO is not to be had (some containers).
  static KernelSignal* instance();
  KernelSignal(const KernelSignal&) = delete;
  KernelSignal& operator=(const KernelSignal&) = delete;

  /// False when the kernel refused, or `fd` is no eventfd.
  bool signal(int fd);

 private:
  /// Completions that the kernel keeps for a context until they are fetched. The system has a limit for all
  /// (fs.aio-max-nr, 65,536 by default).
  static constexpr unsigned kCompletions = 64;
  static constexpr unsigned kContexts = 8;

  /// One thread at a time; made when it is first needed. A flag and no mutex: trying one needs a symbol that older
  /// systems lack.
  struct alignas(64) Context {
    bool take() { return !taken.exchange(true, std::memory_order_acquire); }
    void give() { taken.store(false, std::memory_order_release); }

    std::atomic<bool> taken{false};
    aio_context_t id = 0;
    bool refused = false;
    unsigned submitted = 0;
  };

  explicit KernelSignal(FileDescriptor file) : file_(std::move(file)) {}
  ~KernelSignal() = default;
  bool open(Context& context) const;
  bool submit(Context& context, int fd) const;

  const FileDescriptor file_;
  /// The first one is there.
  std::array<Context, kContexts> contexts_;
};

}  // namespace mdev

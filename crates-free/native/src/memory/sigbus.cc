#include "memory/sigbus.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <mutex>

namespace mdev {

// Read by the handler while other threads register and unregister: `sequence` is odd while the fields change. The range
// that a fault belongs to cannot change meanwhile, because the faulting thread is using it.
struct SigbusRange::Slot {
  std::atomic<uint32_t> sequence{0};
  std::atomic<uintptr_t> first{0};
  std::atomic<uintptr_t> end{0};
  std::atomic<uintptr_t> pageSize{0};
  std::atomic<std::atomic<bool>*> broken{nullptr};
  bool taken = false;  // guarded by `mutex`

  void set(uintptr_t newFirst, uintptr_t newEnd, uintptr_t newPageSize, std::atomic<bool>* newBroken) {
    sequence.fetch_add(1, std::memory_order_relaxed);
    first.store(newFirst, std::memory_order_release);
    end.store(newEnd, std::memory_order_release);
    pageSize.store(newPageSize, std::memory_order_release);
    broken.store(newBroken, std::memory_order_release);
    sequence.fetch_add(1, std::memory_order_release);
  }
};

namespace {

using Slot = SigbusRange::Slot;

// Blocks are never freed: the handler may be walking them.
struct Block {
  std::array<Slot, 128> slots;
  std::atomic<Block*> next{nullptr};
};

constinit Block firstBlock;
constinit std::mutex mutex;
bool installed = false;              // guarded by `mutex`
struct sigaction previousAction {};  // written before our handler is installed

// Replaces the page at fault. False if the address is none of ours.
bool repair(uintptr_t address) {
  for (const Block* block = &firstBlock; block != nullptr; block = block->next.load(std::memory_order_acquire)) {
    for (const Slot& slot : block->slots) {
      const uint32_t sequence = slot.sequence.load(std::memory_order_acquire);
      const uintptr_t first = slot.first.load(std::memory_order_acquire);
      const uintptr_t end = slot.end.load(std::memory_order_acquire);
      const uintptr_t pageSize = slot.pageSize.load(std::memory_order_acquire);
      std::atomic<bool>* broken = slot.broken.load(std::memory_order_acquire);
      if ((sequence & 1) != 0 || slot.sequence.load(std::memory_order_relaxed) != sequence) continue;
      if (address < first || address >= end) continue;
      // Before the page: whoever reads its zeros must find the file broken.
      broken->store(true, std::memory_order_seq_cst);
      const uintptr_t page = first + (address - first) / pageSize * pageSize;
      // The system call itself: a sanitizer's mmap is not safe in a signal handler.
      return ::syscall(SYS_mmap, page, pageSize, PROT_READ | PROT_WRITE,
                       MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) == static_cast<long>(page);
    }
  }
  return false;
}

void chain(int signal, siginfo_t* info, void* context) {
  if ((previousAction.sa_flags & SA_SIGINFO) != 0) {
    previousAction.sa_sigaction(signal, info, context);
    return;
  }
  const bool fault = info->si_code == BUS_ADRALN || info->si_code == BUS_ADRERR || info->si_code == BUS_OBJERR ||
                     info->si_code == BUS_MCEERR_AR;
  if (previousAction.sa_handler == SIG_IGN && !fault) return;
  if (previousAction.sa_handler == SIG_DFL || previousAction.sa_handler == SIG_IGN) {
    // The default action kills: at the instruction itself, which faults again, so that the core shows it; a signal that
    // was sent is sent again and arrives when the handler returns.
    struct sigaction standard {};
    standard.sa_handler = SIG_DFL;
    ::sigaction(SIGBUS, &standard, nullptr);
    if (!fault) ::syscall(SYS_tgkill, ::getpid(), ::syscall(SYS_gettid), SIGBUS);
    return;
  }
  previousAction.sa_handler(signal);
}

void handle(int signal, siginfo_t* info, void* context) {
  const int saved = errno;
  // Synchronous faults only: the address of another SIGBUS says nothing about this thread.
  const bool access = info->si_code == BUS_ADRERR || info->si_code == BUS_MCEERR_AR;
  if (!access || !repair(reinterpret_cast<uintptr_t>(info->si_addr))) chain(signal, info, context);
  errno = saved;
}

void install() {
  if (installed) return;
  ::sigaction(SIGBUS, nullptr, &previousAction);
  struct sigaction ours {};
  ours.sa_sigaction = handle;
  // The earlier handler runs inside ours: with its mask, and on the alternate stack if it or its thread wants one.
  ours.sa_mask = previousAction.sa_mask;
  ours.sa_flags = SA_SIGINFO | SA_ONSTACK | (previousAction.sa_flags & (SA_RESTART | SA_NODEFER));
  ::sigaction(SIGBUS, &ours, nullptr);
  installed = true;
}

Slot& takeSlot() {
  for (Block* block = &firstBlock;;) {
    for (Slot& slot : block->slots) {
      if (slot.taken) continue;
      slot.taken = true;
      return slot;
    }
    Block* next = block->next.load(std::memory_order_relaxed);
    if (next == nullptr) {
      next = std::make_unique<Block>().release();
      block->next.store(next, std::memory_order_release);
    }
    block = next;
  }
}

}  // namespace

SigbusRange::SigbusRange(std::byte* base, size_t size, size_t pageSize, std::atomic<bool>& broken)
    : slot_([]() -> Slot& {
        const std::lock_guard lock(mutex);
        install();
        return takeSlot();
      }()) {
  const auto first = reinterpret_cast<uintptr_t>(base);
  slot_.set(first, first + size, pageSize, &broken);
}

SigbusRange::~SigbusRange() {
  slot_.set(0, 0, 0, nullptr);
  const std::lock_guard lock(mutex);
  slot_.taken = false;
}

}  // namespace mdev

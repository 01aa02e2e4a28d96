#include "base/kernel_signal.h"

#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <new>
#include <utility>

namespace mdev {
namespace {

/// Where a thread looks first: threads have contexts of their own as far as they go.
unsigned ownPlace() {
  static std::atomic<unsigned> places{0};
  thread_local const unsigned place = places.fetch_add(1, std::memory_order_relaxed);
  return place;
}

}  // namespace

// Never destroyed: engine threads may signal until the process is gone.
KernelSignal* KernelSignal::instance() {
  alignas(KernelSignal) static std::byte storage[sizeof(KernelSignal)];
  static KernelSignal* const signal = []() -> KernelSignal* {
    FileDescriptor file(::memfd_create("mdev-signal", MFD_CLOEXEC));
    if (!file) return nullptr;
    auto* const made = new (storage) KernelSignal(std::move(file));
    if (made->open(made->contexts_[0])) return made;
    made->~KernelSignal();
    return nullptr;
  }();
  return signal;
}

bool KernelSignal::signal(int fd) {
  const unsigned place = ownPlace();
  for (;;) {
    for (unsigned step = 0; step < kContexts; ++step) {
      Context& context = contexts_[(place + step) % kContexts];
      if (!context.take()) continue;
      // The first context is always there: one that is refused sends its threads to the others.
      const bool usable = open(context);
      const bool signalled = usable && submit(context, fd);
      context.give();
      if (usable) return signalled;
    }
    // As many threads as there are contexts are in the middle of this, and one of them is off its processor.
    ::sched_yield();
  }
}

bool KernelSignal::open(Context& context) const {
  if (context.id == 0 && !context.refused) {
    context.refused = ::syscall(SYS_io_setup, kCompletions, &context.id) != 0;
  }
  return !context.refused;
}

bool KernelSignal::submit(Context& context, int fd) const {
  char nothing;
  iocb request{};
  request.aio_lio_opcode = IOCB_CMD_PREAD;
  request.aio_fildes = static_cast<uint32_t>(file_.get());
  request.aio_buf = reinterpret_cast<uint64_t>(&nothing);
  request.aio_nbytes = 0;
  request.aio_flags = IOCB_FLAG_RESFD;
  request.aio_resfd = static_cast<uint32_t>(fd);
  iocb* requests[] = {&request};

  if (++context.submitted == kCompletions) {
    std::array<io_event, kCompletions> events;
    timespec now{};
    ::syscall(SYS_io_getevents, context.id, 0, events.size(), events.data(), &now);
    context.submitted = 0;
  }
  return ::syscall(SYS_io_submit, context.id, 1, requests) == 1;
}

}  // namespace mdev

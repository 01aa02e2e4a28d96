// sources: dsa/*.cc dsa/crc/*.cc dsa/operations/*.cc dsa/typed/*.cc engine/*.cc memory/*.cc registers/*.cc irq/*.cc base/*.cc
// sanitize: address,undefined
//
// Guest memory that takes its time: the engine that meets it waits for the page, and nobody waits for that engine.
#include <fcntl.h>

#include <csignal>

#include "engine_suspend.h"

using namespace engine_test;

namespace {

constexpr uint64_t kRecord = 0x1000;
constexpr CommandEffects kNone;

/// A page of this process that comes only when the test says so, as one whose hole is being punched. One at a time.
class SlowPage {
 public:
  explicit SlowPage(std::byte* inside) : page_(inside - reinterpret_cast<uintptr_t>(inside) % kPage) {
    CHECK(::pipe2(pipe_, O_CLOEXEC) == 0);
    current_ = this;
    struct sigaction action {};
    action.sa_sigaction = [](int, siginfo_t* info, void*) { met(static_cast<std::byte*>(info->si_addr)); };
    action.sa_flags = SA_SIGINFO;
    CHECK(::sigaction(SIGSEGV, &action, &before_) == 0);
    CHECK(::mprotect(page_, kPage, PROT_NONE) == 0);
  }
  ~SlowPage() {
    come();
    CHECK(::sigaction(SIGSEGV, &before_, nullptr) == 0);
    for (const int fd : pipe_) ::close(fd);
  }
  SlowPage(const SlowPage&) = delete;
  SlowPage& operator=(const SlowPage&) = delete;

  void awaitTouch() const {
    await("somebody who waits for the page", [this] { return touched_.load(); });
  }
  void come() const {
    CHECK(::mprotect(page_, kPage, PROT_READ | PROT_WRITE) == 0);
    CHECK(::write(pipe_[1], "", 1) == 1);
  }

 private:
  static void met(const std::byte* address) {
    SlowPage& own = *current_;
    if (address < own.page_ || address >= own.page_ + kPage) std::abort();
    own.touched_.store(true);
    char byte;
    while (::read(own.pipe_[0], &byte, 1) != 1) {
    }
  }

  static inline SlowPage* current_ = nullptr;
  std::byte* const page_;
  int pipe_[2];
  struct sigaction before_ {};
  std::atomic<bool> touched_{false};
};

/// A record's body went by message, its memory is mapped now, and the page for its status is slow: a command that finds
/// nothing else in flight ends later, and does not wait for the page.
void testStatusMeetsSlowPage() {
  for (const bool aborts : {false, true}) {
    Guest guest;
    std::vector<int> eventfds;
    for (uint32_t vector = 0; vector < kVectors; ++vector) eventfds.push_back(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    Host host(guest, 1, eventfds);
    host.enableAll();
    host.queues->portal()->write(0, noOp().record(kBehind + kRecord).interrupt(1).descriptor().bytes);
    host.queues->portal()->flush();
    await("the record's body", [&] { return host.client->waiting() == 1; });
    host.suspend(true);
    CHECK_EQUAL(host.dma->unmap(kBehind, guest.behind.size()), 0);
    CHECK_EQUAL(host.dma->map(kBehind, guest.behind.size(), kBoth, guest.behind.fd(), 0), 0);
    {
      const SlowPage page(std::as_const(*host.dma).translate(kBehind + kRecord, 1, kDmaWrite).pointer);
      host.queues->resume();
      page.awaitTouch();
      std::atomic<bool> answered{false};
      std::thread watch([&] { await("the command's answer", [&] { return answered.load(); }); });
      CHECK(!host.queues->command({{0}, true, aborts, kNone}));
      answered.store(true);
      watch.join();
      CHECK_EQUAL(unsigned{guest.behind.status(kRecord)}, 0u);
    }
    await("the command's end", [&] { return !host.queues->commandPending(); });
    CHECK_EQUAL(unsigned{guest.behind.status(kRecord)}, 1u);
    uint64_t raised = 0;
    CHECK(::read(eventfds[1], &raised, sizeof raised) == sizeof raised);
    CHECK_EQUAL(raised, 1u);
    for (const int fd : eventfds) ::close(fd);
  }
}

}  // namespace

int main() { testStatusMeetsSlowPage(); }

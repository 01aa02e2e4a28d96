// sources: base/kernel_signal.cc
//
// Signals of several threads, one of which is stopped in the middle of its own again and again: the others go on.
#include "base/kernel_signal.h"

#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "base/file_descriptor.h"
#include "check.h"

using mdev::FileDescriptor;
using mdev::KernelSignal;

namespace {

std::atomic<bool> stopped{false};
std::atomic<bool> goOn{false};

/// Keeps its thread where it is, as if it had lost its processor. A handler may not wait otherwise.
void hold(int) {
  stopped.store(true);
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!goOn.load()) {
    if (std::chrono::steady_clock::now() > limit)
      mdev::test::fail(__FILE__, __LINE__, "a stopped thread keeps another waiting");
  }
}

uint64_t take(const FileDescriptor& fd) {
  uint64_t count = 0;
  return ::read(fd.get(), &count, sizeof count) == sizeof count ? count : 0;
}

}  // namespace

int main() {
  KernelSignal* const kernel = KernelSignal::instance();
  if (kernel == nullptr) {
    std::puts("no AIO here");
    return 0;
  }
  const FileDescriptor mine(::eventfd(0, EFD_NONBLOCK));
  const FileDescriptor others(::eventfd(0, EFD_NONBLOCK));
  CHECK(mine && others);
  // Often enough that completions have to be fetched.
  for (uint64_t i = 1; i <= 1000; ++i) CHECK(kernel->signal(mine.get()));
  CHECK_EQUAL(take(mine), 1000u);
  CHECK(!kernel->signal(0x7fffffff));
  CHECK(kernel->signal(mine.get()));
  CHECK_EQUAL(take(mine), 1u);

  struct sigaction action {};
  action.sa_handler = hold;
  action.sa_flags = SA_RESTART;
  CHECK(::sigaction(SIGUSR1, &action, nullptr) == 0);
  std::atomic<bool> end{false};
  std::atomic<uint64_t> signalled{0};
  std::thread other([&] {
    while (!end) {
      CHECK(kernel->signal(others.get()));
      ++signalled;
    }
  });
  for (int round = 0; round < 200; ++round) {
    // It is somewhere inside of `signal` almost always.
    const uint64_t before = signalled;
    while (signalled == before) std::this_thread::yield();
    stopped = goOn = false;
    CHECK(::pthread_kill(other.native_handle(), SIGUSR1) == 0);
    while (!stopped) std::this_thread::yield();
    for (int i = 0; i < 100; ++i) CHECK(kernel->signal(mine.get()));
    goOn = true;
  }
  end = true;
  other.join();
  CHECK_EQUAL(take(mine), 200u * 100);
  CHECK_EQUAL(take(others), signalled.load());

  // More threads than contexts.
  std::vector<std::thread> many;
  for (int thread = 0; thread < 20; ++thread) {
    many.emplace_back([&] {
      for (int i = 0; i < 500; ++i) CHECK(kernel->signal(mine.get()));
    });
  }
  for (std::thread& thread : many) thread.join();
  CHECK_EQUAL(take(mine), 20u * 500);
}

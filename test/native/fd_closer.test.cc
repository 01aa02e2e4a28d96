// sources: base/fd_closer.cc
// sanitize: thread
#include "base/fd_closer.h"

#include <dirent.h>
#include <sys/eventfd.h>

#include <chrono>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "base/foreign_fd.h"
#include "check.h"
#include "support/lingering_socket.h"

using namespace mdev;
using mdev::test::LingeringSocket;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::chrono::seconds kLong{10};

int openFiles() {
  DIR* directory = ::opendir("/proc/self/fd");
  CHECK(directory != nullptr);
  int count = -3;  // `.`, `..` and the directory itself
  while (::readdir(directory) != nullptr) ++count;
  ::closedir(directory);
  return count;
}

FileDescriptor newFd() {
  FileDescriptor fd(::eventfd(0, EFD_CLOEXEC));
  CHECK(fd);
  return fd;
}

void whoeverLetsGoCloses() {
  const int before = openFiles();
  const auto closer = std::make_shared<FdCloser>();
  for (int round = 0; round < 200; ++round) {
    ForeignFd dropped(newFd().release(), closer);
    ForeignFd assigned(newFd().release(), closer);
    assigned = ForeignFd(newFd().release(), closer);
    ForeignFd moved(std::move(dropped));
    ForeignFd reset(newFd().release(), closer);
    reset.reset();
    CHECK(!reset && !dropped);
    // Gone from the hands of the closer.
    const FileDescriptor known = moved.known();
    CHECK(known && !moved);
    FileDescriptor released(ForeignFd(newFd().release(), closer).release());
    CHECK(released);
    const ForeignFd own(newFd());
    CHECK(own && own.closer() == nullptr);
  }
  CHECK(FdCloser::drain(kLong));
  CHECK_EQUAL(openFiles(), before);
}

void whoLingersKeepsNobodyWaiting() {
  const int before = openFiles();
  const auto begin = Clock::now();
  {
    LingeringSocket lingering;
    auto stuck = std::make_shared<FdCloser>();
    stuck->close(lingering.take());
    for (std::size_t i = 0; i <= FdCloser::kMaxWaiting + 1; ++i) {
      CHECK(!stuck->behind() || i >= FdCloser::kMaxWaiting);
      stuck->close(newFd());
    }
    CHECK(stuck->behind());
    // A closer of somebody else goes on.
    const auto free = std::make_shared<FdCloser>();
    const int open = openFiles();
    for (int i = 0; i < 100; ++i) free->close(newFd());
    while (openFiles() > open) {
      CHECK(Clock::now() - begin < kLong);
      std::this_thread::yield();
    }
    CHECK(!FdCloser::drain(std::chrono::milliseconds(20)));
    CHECK(stuck->behind());
    // Nobody has to keep it.
    stuck.reset();
    lingering.letGo();
    CHECK(FdCloser::drain(kLong));
  }
  CHECK_EQUAL(openFiles(), before);
  CHECK(Clock::now() - begin < kLong);
}

void anyThread() {
  const int before = openFiles();
  const auto closer = std::make_shared<FdCloser>();
  std::vector<std::thread> threads;
  for (int n = 0; n < 4; ++n) {
    threads.emplace_back([&] {
      for (int i = 0; i < 150; ++i) {
        closer->close(newFd());
        if (i % 10 == 0) static_cast<void>(closer->behind());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(FdCloser::drain(kLong));
  CHECK_EQUAL(openFiles(), before);
}

}  // namespace

int main() {
  whoeverLetsGoCloses();
  whoLingersKeepsNobodyWaiting();
  anyThread();
}

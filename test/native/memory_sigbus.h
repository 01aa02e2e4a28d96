// Clients that shrink their files: the same test under two sanitizers.
#pragma once

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <atomic>
#include <cerrno>
#include <csetjmp>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "check.h"
#include "memory/dma_space.h"
#include "memory/epoch.h"
#include "memory_support.h"

namespace memory_test {

inline constexpr int kChildPassed = 42;

inline std::unique_ptr<mdev::DmaSpace> spaceOver(const mdev::FileDescriptor& file, uint64_t pages) {
  auto space = std::make_unique<mdev::DmaSpace>();
  space->setBusMaster(true);
  CHECK(space->map(0, pages * kPage, kBoth, duplicate(file), 0) == 0);
  return space;
}

inline void shrink(const mdev::FileDescriptor& file, uint64_t pages) {
  CHECK(::ftruncate(file.get(), static_cast<off_t>(pages * kPage)) == 0);
}

inline bool isMapped(const std::byte* address) {
  unsigned char state = 0;
  const auto page = reinterpret_cast<uintptr_t>(address) / kPage * kPage;
  return ::mincore(reinterpret_cast<void*>(page), kPage, &state) == 0;
}

/// Makes the handler exist and work in this process, whatever the earlier disposition.
inline void meetSigbus() {
  mdev::EpochDomain::Reader reader;
  const mdev::FileDescriptor file = memoryFile(2);
  const auto space = spaceOver(file, 2);
  shrink(file, 0);
  const mdev::EpochGuard guard(reader, space->epochs());
  const mdev::Translation piece = space->translate(0, 2 * kPage, mdev::kDmaRead);
  CHECK(load(piece.pointer + kPage) == 0);
  CHECK(!mdev::DmaSpace::intact(piece));
}

/// A SIGBUS that is none of ours.
inline void faultElsewhere() {
  const mdev::FileDescriptor file = memoryFile(1);
  auto* memory = static_cast<std::byte*>(::mmap(nullptr, kPage, PROT_READ, MAP_SHARED, file.get(), 0));
  CHECK(memory != MAP_FAILED);
  shrink(file, 0);
  CHECK(load(memory) == 0);
}

/// Runs `body` in a child process; returns its wait status.
inline int inChild(const std::function<void()>& body) {
  const pid_t child = ::fork();
  CHECK(child >= 0);
  if (child == 0) {
    const rlimit none{};
    ::setrlimit(RLIMIT_CORE, &none);
    body();
    ::_exit(kChildPassed);
  }
  int status = 0;
  CHECK(::waitpid(child, &status, 0) == child);
  return status;
}

inline void setDisposition(const struct sigaction& action) { CHECK(::sigaction(SIGBUS, &action, nullptr) == 0); }
inline void setDisposition(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  setDisposition(action);
}

inline bool died(int status) { return WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS; }
inline bool passed(int status) { return WIFEXITED(status) && WEXITSTATUS(status) == kChildPassed; }

// Before the parent maps anything: each child installs the handler over another disposition.
inline void testChaining() {
  CHECK(passed(inChild([] {
    setDisposition(SIG_DFL);
    meetSigbus();
  })));
  CHECK(died(inChild([] {
    setDisposition(SIG_DFL);
    meetSigbus();
    faultElsewhere();
  })));
  CHECK(died(inChild([] {
    setDisposition(SIG_DFL);
    meetSigbus();
    ::raise(SIGBUS);
  })));
  CHECK(died(inChild([] {
    setDisposition(SIG_IGN);
    meetSigbus();
    faultElsewhere();
  })));
  CHECK(passed(inChild([] {
    setDisposition(SIG_IGN);
    meetSigbus();
    ::raise(SIGBUS);
  })));
  CHECK(passed(inChild([] {
    setDisposition([](int signal) { ::_exit(signal == SIGBUS ? kChildPassed : 1); });
    meetSigbus();
    faultElsewhere();
    ::_exit(2);
  })));
  CHECK(passed(inChild([] {
    struct sigaction action {};
    action.sa_flags = SA_SIGINFO;
    action.sa_sigaction = [](int, siginfo_t* info, void* context) {
      ::_exit(info->si_code == BUS_ADRERR && info->si_addr != nullptr && context != nullptr ? kChildPassed : 1);
    };
    setDisposition(action);
    meetSigbus();
    faultElsewhere();
    ::_exit(2);
  })));
  // An unmapped window's addresses are no longer ours.
  CHECK(died(inChild([] {
    setDisposition(SIG_DFL);
    const mdev::FileDescriptor file = memoryFile(1);
    mdev::EpochDomain::Reader reader;
    auto space = spaceOver(file, 1);
    std::byte* address = nullptr;
    {
      const mdev::EpochGuard guard(reader, space->epochs());
      address = space->translate(0, 8, mdev::kDmaRead).pointer;
    }
    space->unmapAll();
    CHECK(::mmap(address, kPage, PROT_READ, MAP_SHARED | MAP_FIXED, file.get(), 0) == address);
    shrink(file, 0);
    CHECK(load(address) == 0);
  })));
}

inline void testTruncation() {
  mdev::EpochDomain::Reader reader;
  const mdev::FileDescriptor file = memoryFile(16);
  const mdev::FileDescriptor other = memoryFile(16);
  for (uint64_t page = 0; page < 16; ++page) {
    stamp(file.get(), page, 1000 + page);
    stamp(other.get(), page, 2000 + page);
  }
  auto space = spaceOver(file, 16);
  CHECK(space->map(16 * kPage, 16 * kPage, kBoth, duplicate(other), 0) == 0);
  // The same file, read-only, is another mapping: it breaks by itself.
  CHECK(space->map(32 * kPage, 16 * kPage, mdev::kDmaRead, reopen(file, O_RDONLY), 0) == 0);
  const std::byte* old = nullptr;
  {
    const mdev::EpochGuard guard(reader, space->epochs());
    const mdev::Translation piece = space->translate(0, 16 * kPage, mdev::kDmaRead);
    const mdev::Translation second = space->translate(16 * kPage, 16 * kPage, mdev::kDmaRead);
    old = piece.pointer;
    shrink(file, 4);
    CHECK(load(piece.pointer + 3 * kPage) == 1003);
    CHECK(mdev::DmaSpace::intact(piece));
    errno = 4711;
    CHECK(load(piece.pointer + 9 * kPage) == 0);
    CHECK(errno == 4711);
    CHECK(!mdev::DmaSpace::intact(piece));
    // Writes go nowhere, but they go.
    const uint64_t value = 5;
    std::memcpy(piece.pointer + 12 * kPage - 4, &value, sizeof(value));
    CHECK(mdev::DmaSpace::intact(second));
    CHECK(load(second.pointer + 9 * kPage) == 2009);
    CHECK(space->translate(0, 8, mdev::kDmaRead).kind == mdev::Translation::Kind::fault);
    CHECK(space->translateBackward(kPage, 8, mdev::kDmaRead).kind == mdev::Translation::Kind::fault);
    CHECK(space->translate(16 * kPage, 8, mdev::kDmaWrite).kind == mdev::Translation::Kind::mapped);
    CHECK(space->translate(32 * kPage, 8, mdev::kDmaRead).kind == mdev::Translation::Kind::mapped);
  }
  CHECK(space->map(48 * kPage, kPage, kBoth, duplicate(file), 0) == EIO);
  CHECK(space->unmap(0, 16 * kPage) == 0);
  CHECK(!isMapped(old));
  CHECK(!isMapped(old + 9 * kPage));
  // Offered again, it is a new file.
  CHECK(space->map(0, 4 * kPage, kBoth, duplicate(file), 0) == 0);
  const mdev::EpochGuard guard(reader, space->epochs());
  const mdev::Translation piece = space->translate(kPage, 8, mdev::kDmaRead);
  CHECK(load(piece.pointer) == 1001 && mdev::DmaSpace::intact(piece));
}

// Huge pages that nobody allocated, or that there are none of, fault like a truncated file.
inline void testHugePage() {
  constexpr uint64_t kHuge = uint64_t{1} << 21;
  constexpr unsigned kHuge2MiB = 21u << 26;  // MFD_HUGE_2MB of <linux/memfd.h>
  const mdev::FileDescriptor file(::memfd_create("mdev-memory-test", MFD_CLOEXEC | MFD_HUGETLB | kHuge2MiB));
  if (!file || ::ftruncate(file.get(), 2 * kHuge) != 0) {
    std::printf("no huge pages of 2 MiB here: not tested\n");
    return;
  }
  mdev::EpochDomain::Reader reader;
  const auto space = spaceOver(file, 2 * kHuge / kPage);
  const mdev::EpochGuard guard(reader, space->epochs());
  const mdev::Translation piece = space->translate(0, 2 * kHuge, mdev::kDmaRead);
  CHECK(::ftruncate(file.get(), kHuge) == 0);
  CHECK(load(piece.pointer + kHuge + 5 * kPage) == 0);
  CHECK(!mdev::DmaSpace::intact(piece));
  // The whole huge page was replaced at once.
  CHECK(load(piece.pointer + kHuge) == 0 && load(piece.pointer + 2 * kHuge - 8) == 0);
}

// More files than one block of the handler's table holds.
inline void testManyFiles() {
  constexpr uint64_t kFiles = 200;
  mdev::EpochDomain::Reader reader;
  mdev::DmaSpace space;
  space.setBusMaster(true);
  std::vector<mdev::FileDescriptor> files;
  for (uint64_t index = 0; index < kFiles; ++index) {
    files.push_back(memoryFile(1));
    CHECK(space.map(index * kPage, kPage, kBoth, duplicate(files.back()), 0) == 0);
  }
  const mdev::EpochGuard guard(reader, space.epochs());
  for (const uint64_t index : {uint64_t{199}, uint64_t{0}, uint64_t{127}, uint64_t{128}}) {
    const mdev::Translation piece = space.translate(index * kPage, 8, mdev::kDmaRead);
    shrink(files[index], 0);
    CHECK(load(piece.pointer) == 0 && !mdev::DmaSpace::intact(piece));
  }
  for (uint64_t index = 1; index < 127; ++index)
    CHECK(space.translate(index * kPage, 8, mdev::kDmaRead).kind == mdev::Translation::Kind::mapped);
}

// Readers copy while the file loses its pages under them, and other clients' windows come and go in the table.
inline void testConcurrently(int rounds) {
  constexpr uint64_t kPages = 64;
  constexpr uint64_t kContent = 0x1234567812345678;
  std::atomic<bool> stop{false};
  std::thread other([&] {
    while (!stop.load(std::memory_order_relaxed)) {
      mdev::EpochDomain::Reader reader;
      const mdev::FileDescriptor file = memoryFile(2);
      stamp(file.get(), 1, 99);
      const auto space = spaceOver(file, 2);
      const mdev::EpochGuard guard(reader, space->epochs());
      const mdev::Translation piece = space->translate(kPage, 8, mdev::kDmaRead);
      CHECK(load(piece.pointer) == 99 && mdev::DmaSpace::intact(piece));
    }
  });
  std::mt19937 random(3);
  for (int round = 0; round < rounds; ++round) {
    const mdev::FileDescriptor file = memoryFile(kPages);
    for (uint64_t page = 0; page < kPages; ++page) stamp(file.get(), page, kContent);
    const auto space = spaceOver(file, kPages);
    std::atomic<int> copying{0};
    std::vector<std::thread> readers;
    for (unsigned index = 0; index < 2; ++index) {
      readers.emplace_back([&, index] {
        mdev::EpochDomain::Reader reader;
        bool first = true;
        for (uint64_t chunk = index;; ++chunk) {
          const mdev::EpochGuard guard(reader, space->epochs());
          const mdev::Translation piece = space->translate(chunk % 4 * 16 * kPage, 16 * kPage, mdev::kDmaRead);
          if (piece.kind == mdev::Translation::Kind::fault) return;
          bool whole = true;
          for (uint64_t page = 0; page < 16; ++page) {
            whole = whole && load(piece.pointer + page * kPage) == kContent;
            whole = whole && load(piece.pointer + (page + 1) * kPage - 8) == kContent;
          }
          // The promise to the guest: wrong data never goes with success.
          CHECK(whole || !mdev::DmaSpace::intact(piece));
          if (std::exchange(first, false)) copying.fetch_add(1);
        }
      });
    }
    while (copying.load() < 2) std::this_thread::yield();
    shrink(file, random() % kPages);
    for (auto& reader : readers) reader.join();
  }
  stop.store(true);
  other.join();
}

inline void testSigbus(int rounds) {
  testChaining();
  const int before = openFiles();
  testTruncation();
  testHugePage();
  testManyFiles();
  testConcurrently(rounds);
  mdev::EpochDomain::collect();
  CHECK(openFiles() == before);
  CHECK(mappings().empty());
}

}  // namespace memory_test

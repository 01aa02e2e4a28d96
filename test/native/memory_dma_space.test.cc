// sources: memory/*.cc base/fd_closer.cc
// sanitize: address,undefined
//
// DmaSpace from the owner's side: which maps and files it takes, what a translation gives, and that nothing is left.
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "check.h"
#include "memory/dma_space.h"
#include "memory/file_registry.h"
#include "memory_support.h"

namespace {

using mdev::DmaSpace;
using mdev::EpochDomain;
using mdev::EpochGuard;
using mdev::FileDescriptor;
using mdev::kDmaRead;
using mdev::kDmaWrite;
using mdev::MessageRequest;
using mdev::Translation;
using namespace memory_test;

constexpr unsigned kHuge2MiB = 21u << 26;  // MFD_HUGE_2MB of <linux/memfd.h>
constexpr uint64_t kGiB = uint64_t{1} << 30;
constexpr uint64_t kTiB = uint64_t{1} << 40;
constexpr uint64_t kTopPage = uint64_t{0} - kPage;

EpochDomain::Reader& reader() {
  static EpochDomain::Reader instance;
  return instance;
}

Translation translate(const DmaSpace& space, uint64_t iova, uint64_t length, uint32_t rights = kDmaRead) {
  EpochGuard guard(reader(), space.epochs());
  return space.translate(iova, length, rights);
}

Translation translateBackward(const DmaSpace& space, uint64_t end, uint64_t length, uint32_t rights = kDmaRead) {
  EpochGuard guard(reader(), space.epochs());
  return space.translateBackward(end, length, rights);
}

Translation::Kind kind(const DmaSpace& space, uint64_t iova, uint32_t rights = kDmaRead) {
  return translate(space, iova, 1, rights).kind;
}

constexpr auto kFault = Translation::Kind::fault;
constexpr auto kMapped = Translation::Kind::mapped;
constexpr auto kMessage = Translation::Kind::message;

std::unique_ptr<DmaSpace> enabledSpace() {
  auto space = std::make_unique<DmaSpace>();
  space->setBusMaster(true);
  return space;
}

struct FakeChannel : mdev::MessageDma {
  std::vector<std::pair<uint64_t, uint64_t>> cancelled;
  int cancelledAll = 0;
  void submit(std::shared_ptr<MessageRequest> request) override { request->finished(ECANCELED); }
  void cancel(uint64_t address, uint64_t size) override { cancelled.emplace_back(address, size); }
  void cancelAbandoned() override {}
  void cancelAll() override { ++cancelledAll; }
};

void testArguments() {
  auto space = enabledSpace();
  const FileDescriptor file = memoryFile(16);
  const auto map = [&](uint64_t iova, uint64_t size, uint32_t rights, uint64_t offset) {
    return space->map(iova, size, rights, duplicate(file), offset);
  };
  CHECK(map(0, 0, kBoth, 0) == EINVAL);
  CHECK(map(0, kPage, 0, 0) == EINVAL);
  CHECK(map(0, kPage, 4, 0) == EINVAL);
  CHECK(map(0, kPage, 7, 0) == EINVAL);
  CHECK(map(1, kPage, kBoth, 0) == EINVAL);
  CHECK(map(2048, kPage, kBoth, 0) == EINVAL);
  CHECK(map(0, kPage + 8, kBoth, 0) == EINVAL);
  CHECK(map(0, kPage, kBoth, 512) == EINVAL);
  CHECK(map(0, 17 * kPage, kBoth, 0) == EINVAL);
  CHECK(map(0, kPage, kBoth, 16 * kPage) == EINVAL);
  CHECK(map(0, 2 * kPage, kBoth, 15 * kPage) == EINVAL);
  CHECK(map(0, kPage, kBoth, kTopPage) == EINVAL);
  CHECK(map(0, kTopPage, kBoth, 2 * kPage) == EINVAL);
  CHECK(map(kTopPage, 2 * kPage, kBoth, 0) == EINVAL);
  CHECK(map(kTopPage, kTopPage, kBoth, 0) == EINVAL);
  CHECK(space->map(kTopPage, 2 * kPage, kBoth, FileDescriptor(), 0) == EINVAL);
  CHECK(space->map(0, kPage, kBoth, FileDescriptor(), kPage) == EINVAL);
  CHECK(space->mappings() == 0);
  CHECK(mappings().empty());

  CHECK(space->unmap(0, 0) == EINVAL);
  CHECK(space->unmap(kTopPage, 2 * kPage) == EINVAL);
  CHECK(space->unmap(0, kPage) == ENOENT);

  // The last page of the address space is like any other.
  CHECK(map(kTopPage, kPage, kBoth, 15 * kPage) == 0);
  stamp(file.get(), 15, 77);
  const Translation piece = translate(*space, kTopPage + 8, ~uint64_t{0});
  CHECK(piece.kind == kMapped && piece.length == kPage - 8);
  CHECK(load(piece.pointer + kPage - 16) == 77);
  CHECK(translateBackward(*space, 0, ~uint64_t{0}).length == kPage);
  CHECK(space->unmap(kTopPage, kPage) == 0);
}

void testRights() {
  auto space = enabledSpace();
  const FileDescriptor file = memoryFile(4, MFD_ALLOW_SEALING);
  CHECK(space->map(0, kPage, kDmaWrite, reopen(file, O_RDONLY), 0) == EACCES);
  CHECK(space->map(0, kPage, kBoth, reopen(file, O_RDONLY), 0) == EACCES);
  CHECK(space->map(0, kPage, kDmaRead, reopen(file, O_WRONLY), 0) == EACCES);
  CHECK(space->map(0, kPage, kDmaRead, reopen(file, O_RDONLY), 0) == 0);
  CHECK(space->map(kPage, kPage, kBoth, duplicate(file), 0) == 0);
  CHECK(space->map(2 * kPage, kPage, kDmaRead, duplicate(file), 0) == 0);
  CHECK(space->map(3 * kPage, kPage, kDmaWrite, duplicate(file), 0) == 0);
  CHECK(space->map(4 * kPage, kPage, kDmaRead, FileDescriptor(), 0) == 0);
  // Read-only and writable descriptors are two files.
  CHECK(mappings().size() == 2);
  const auto expect = [&](uint64_t page, uint32_t allowed, Translation::Kind wanted) {
    for (const uint32_t rights : {kDmaRead, kDmaWrite, kBoth}) {
      const bool permitted = (rights & ~allowed) == 0;
      CHECK(kind(*space, page * kPage, rights) == (permitted ? wanted : kFault));
      const Translation backward = translateBackward(*space, (page + 1) * kPage, 1, rights);
      CHECK(backward.kind == (permitted ? wanted : kFault) && backward.length == (permitted ? 1 : 0));
    }
  };
  expect(0, kDmaRead, kMapped);
  expect(1, kBoth, kMapped);
  expect(2, kDmaRead, kMapped);
  expect(3, kDmaWrite, kMapped);
  expect(4, kDmaRead, kMessage);
  expect(5, 0, kFault);
  space->unmapAll();
  CHECK(mappings().empty());

  CHECK(::fcntl(file.get(), F_ADD_SEALS, F_SEAL_WRITE) == 0);
  CHECK(space->map(0, kPage, kBoth, duplicate(file), 0) == EACCES);
  CHECK(space->map(0, kPage, kDmaRead, duplicate(file), 0) == 0);
  CHECK(kind(*space, 0) == kMapped);
}

void testOverlaps() {
  auto space = enabledSpace();
  const FileDescriptor file = memoryFile(32);
  const FileDescriptor other = memoryFile(32);
  CHECK(space->map(4 * kPage, 4 * kPage, kBoth, duplicate(file), 4 * kPage) == 0);
  for (uint64_t first = 0; first < 12; ++first) {
    for (uint64_t end = first + 1; end <= 12; ++end) {
      const bool identical = first == 4 && end == 8;
      const bool overlaps = first < 8 && end > 4;
      const int error = space->map(first * kPage, (end - first) * kPage, kBoth, duplicate(file), first * kPage);
      CHECK(error == (identical || !overlaps ? 0 : EEXIST));
      if (!overlaps) CHECK(space->unmap(first * kPage, (end - first) * kPage) == 0);
      const int message = space->map(first * kPage, (end - first) * kPage, kBoth, FileDescriptor(), 0);
      CHECK(message == (overlaps ? EEXIST : 0));
      if (!overlaps) CHECK(space->unmap(first * kPage, (end - first) * kPage) == 0);
      CHECK(space->mappings() == 1);
    }
  }
  CHECK(space->map(4 * kPage, 4 * kPage, kDmaRead, duplicate(file), 4 * kPage) == EEXIST);
  CHECK(space->map(4 * kPage, 4 * kPage, kBoth, duplicate(file), 5 * kPage) == EEXIST);
  CHECK(space->map(4 * kPage, 4 * kPage, kBoth, duplicate(other), 4 * kPage) == EEXIST);
  CHECK(space->map(4 * kPage, 4 * kPage, kDmaRead, reopen(file, O_RDONLY), 4 * kPage) == EEXIST);
  CHECK(mappings().size() == 1);
  CHECK(space->map(40 * kPage, kPage, kDmaRead, FileDescriptor(), 0) == 0);
  CHECK(space->map(40 * kPage, kPage, kDmaRead, FileDescriptor(), 0) == 0);
  CHECK(space->map(40 * kPage, kPage, kBoth, FileDescriptor(), 0) == EEXIST);
  CHECK(space->mappings() == 2);
}

void testUnmapRanges() {
  const FileDescriptor file = memoryFile(16);
  const std::vector<std::pair<uint64_t, uint64_t>> maps = {{2, 4}, {4, 6}, {8, 10}};
  for (uint64_t first = 0; first < 12; ++first) {
    for (uint64_t end = first + 1; end <= 12; ++end) {
      auto space = enabledSpace();
      int inside = 0;
      bool cut = false;
      for (const auto& [from, to] : maps) {
        CHECK(space->map(from * kPage, (to - from) * kPage, kBoth, duplicate(file), from * kPage) == 0);
        const bool touched = from < end && to > first;
        if (touched && from >= first && to <= end) ++inside;
        if (touched && (from < first || to > end)) cut = true;
      }
      const int expected = cut ? EINVAL : inside == 0 ? ENOENT : 0;
      CHECK(space->unmap(first * kPage, (end - first) * kPage) == expected);
      CHECK(space->mappings() == maps.size() - (cut ? 0 : static_cast<size_t>(inside)));
      for (const auto& [from, to] : maps) {
        const bool gone = !cut && from >= first && to <= end;
        CHECK(kind(*space, from * kPage) == (gone ? kFault : kMapped));
        CHECK(kind(*space, to * kPage - 1) == (gone ? kFault : kMapped));
      }
    }
  }
}

void testPieces() {
  auto space = enabledSpace();
  const FileDescriptor file = memoryFile(16);
  for (uint64_t page = 0; page < 16; ++page) stamp(file.get(), page, 100 + page);
  // Adjacent IOVAs, but the file's pages in another order; then the file's next page at a distance.
  CHECK(space->map(0x10000, 2 * kPage, kBoth, duplicate(file), 6 * kPage) == 0);
  CHECK(space->map(0x12000, kPage, kBoth, duplicate(file), 3 * kPage) == 0);
  CHECK(space->map(0x14000, kPage, kBoth, duplicate(file), 8 * kPage) == 0);

  Translation piece = translate(*space, 0x10000, 3 * kPage);
  CHECK(piece.length == 2 * kPage && load(piece.pointer) == 106 && load(piece.pointer + kPage) == 107);
  piece = translate(*space, 0x11ff8, 64);
  CHECK(piece.length == 8 && load(piece.pointer) == 107);
  piece = translate(*space, 0x12000, 64);
  CHECK(piece.length == 64 && load(piece.pointer) == 103);
  CHECK(translate(*space, 0x10000, 0).kind == kFault);
  CHECK(translate(*space, 0x13000, 1).kind == kFault);
  CHECK(translate(*space, 0xffff, 8).kind == kFault);

  piece = translateBackward(*space, 0x13000, 3 * kPage);
  CHECK(piece.length == kPage && load(piece.pointer) == 103);
  piece = translateBackward(*space, 0x12000, 8);
  CHECK(piece.length == 8 && load(piece.pointer) == 107);
  piece = translateBackward(*space, 0x12000, 3 * kPage);
  CHECK(piece.length == 2 * kPage && load(piece.pointer) == 106);
  CHECK(translateBackward(*space, 0x12000, 0).kind == kFault);
  CHECK(translateBackward(*space, 0x14000, 1).kind == kFault);
  CHECK(translateBackward(*space, 0, 1).kind == kFault);

  // What is written through a piece is in the client's file.
  piece = translate(*space, 0x14010, 8, kDmaWrite);
  const uint64_t value = 0x1122334455667788;
  std::memcpy(piece.pointer, &value, sizeof(value));
  uint64_t stored = 0;
  CHECK(::pread(file.get(), &stored, sizeof(stored), 8 * kPage + 16) == sizeof(stored) && stored == value);
  CHECK(DmaSpace::intact(piece));
  CHECK(DmaSpace::intact(Translation{}));
}

void testBusMaster() {
  DmaSpace space;
  const auto channel = std::make_shared<FakeChannel>();
  const FileDescriptor file = memoryFile(1);
  space.setMessageDma(channel);
  CHECK(space.messageDma() == channel);
  CHECK(space.map(0, kPage, kBoth, duplicate(file), 0) == 0);
  CHECK(space.map(kPage, kPage, kBoth, FileDescriptor(), 0) == 0);
  const auto expect = [&](bool on) {
    CHECK(kind(space, 0) == (on ? kMapped : kFault));
    CHECK(kind(space, kPage) == (on ? kMessage : kFault));
    CHECK(translateBackward(space, kPage, 1).kind == (on ? kMapped : kFault));
  };
  expect(false);
  space.setBusMaster(true);
  expect(true);
  CHECK(channel->cancelledAll == 0);
  space.setBusMaster(false);
  expect(false);
  CHECK(channel->cancelledAll == 1);
  space.setBusMaster(false);
  CHECK(channel->cancelledAll == 1);
  space.setEnforceBusMaster(false);
  expect(true);
  space.setBusMaster(true);
  space.setBusMaster(false);
  expect(true);
  CHECK(channel->cancelledAll == 1);
  space.setEnforceBusMaster(true);
  expect(false);
  CHECK(channel->cancelledAll == 2);
}

void testMessages() {
  auto space = enabledSpace();
  const auto channel = std::make_shared<FakeChannel>();
  space->setMessageDma(channel);
  CHECK(space->map(0, 4 * kPage, kBoth, FileDescriptor(), 0) == 0);
  const Translation piece = translate(*space, kPage + 5, 8 * kPage);
  CHECK(piece.kind == kMessage && piece.length == 3 * kPage - 5 && piece.pointer == nullptr);
  CHECK(DmaSpace::intact(piece));
  CHECK(translateBackward(*space, kPage + 5, 8 * kPage).length == kPage + 5);
  CHECK(space->unmap(0, kPage) == EINVAL);
  CHECK(channel->cancelled.empty());
  CHECK(space->unmap(0, 8 * kPage) == 0);
  CHECK(channel->cancelled == (std::vector<std::pair<uint64_t, uint64_t>>{{0, 8 * kPage}}));
  CHECK(space->map(0, 4 * kPage, kBoth, FileDescriptor(), 0) == 0);
  space->unmapAll();
  CHECK(channel->cancelledAll == 1);
  const auto next = std::make_shared<FakeChannel>();
  space->setMessageDma(next);
  CHECK(channel->cancelledAll == 2 && next->cancelledAll == 0);
  space->setMessageDma(next);
  CHECK(next->cancelledAll == 0);
  space->setMessageDma(nullptr);
  CHECK(next->cancelledAll == 1 && space->messageDma() == nullptr);
  CHECK(next.use_count() == 1);
}

void testClientThatMapsNothing() {
  auto space = enabledSpace();
  const FileDescriptor file = memoryFile(1);
  CHECK(kind(*space, kPage) == kFault);
  space->setMessageDma(std::make_shared<FakeChannel>());
  const Translation piece = translate(*space, kTopPage + 5, 2 * kPage, kDmaWrite);
  CHECK(piece.kind == kMessage && piece.iova == kTopPage + 5 && piece.length == kPage - 5 && piece.file == nullptr);
  CHECK(DmaSpace::intact(piece));
  CHECK(translateBackward(*space, 0, 2 * kPage).iova == kTopPage - kPage);
  CHECK(translateBackward(*space, kPage, 2 * kPage).length == kPage);
  space->setBusMaster(false);
  CHECK(kind(*space, kPage) == kFault);
  space->setBusMaster(true);

  // What it is asked for ends with an unmap of everything, too.
  const auto asked = std::make_shared<FakeChannel>();
  space->setMessageDma(asked);
  CHECK(space->unmapAll() == 0 && asked->cancelledAll == 1);
  CHECK(kind(*space, kPage) == kMessage);

  // One map, wherever it is: the client says what there is.
  CHECK(space->map(0, kPage, kBoth, duplicate(file), 0) == 0);
  CHECK(kind(*space, kPage) == kFault && kind(*space, 0) == kMapped);
  CHECK(space->unmap(0, kPage) == 0);
  CHECK(kind(*space, 0) == kMessage);
  CHECK(space->map(0, kPage, kDmaRead, FileDescriptor(), 0) == 0);
  CHECK(kind(*space, kPage) == kFault && kind(*space, 0, kDmaWrite) == kFault);
  space->unmapAll();
  CHECK(kind(*space, kPage) == kMessage);

  space->setAskUnmapped(false);
  CHECK(kind(*space, kPage) == kFault);
  space->setAskUnmapped(true);
  CHECK(kind(*space, kPage) == kMessage);
  space->setMessageDma(nullptr);
  CHECK(kind(*space, kPage) == kFault);
}

void testDescriptorsAndMappings() {
  const FileDescriptor file = memoryFile(64);
  const FileDescriptor other = memoryFile(64);
  const int before = openFiles();
  auto space = enabledSpace();
  for (uint64_t page = 0; page < 64; ++page) {
    CHECK(space->map(page * kPage, kPage, kBoth, duplicate(file), page * kPage) == 0);
    CHECK(openFiles() == before + 1);
    CHECK(mappings().size() == 1);
  }
  CHECK(space->map(0, kPage, kBoth, duplicate(file), 0) == 0);
  CHECK(space->map(0, kPage, kBoth, duplicate(file), kPage) == EEXIST);
  CHECK(space->map(0, kPage, kBoth, duplicate(other), 0) == EEXIST);
  CHECK(openFiles() == before + 1);
  CHECK(space->map(kGiB, kPage, kBoth, duplicate(other), 0) == 0);
  CHECK(space->map(2 * kGiB, kPage, kBoth, FileDescriptor(), 0) == 0);
  CHECK(openFiles() == before + 2);
  CHECK(mappings().size() == 2);
  CHECK(space->unmap(0, 63 * kPage) == 0);
  CHECK(openFiles() == before + 2);
  CHECK(space->unmap(63 * kPage, kPage) == 0);
  CHECK(openFiles() == before + 1);
  CHECK(mappings().size() == 1);
  CHECK(space->mappings() == 2);
  space->unmapAll();
  CHECK(openFiles() == before);
  CHECK(mappings().empty());
  space->unmapAll();

  // The destructor leaves nothing either, and inside a guard it waits for the guard's end, not forever.
  CHECK(space->map(0, 8 * kPage, kBoth, duplicate(file), 0) == 0);
  {
    EpochGuard guard(reader(), space->epochs());
    const Translation piece = space->translate(0, 8, kDmaRead);
    space.reset();
    CHECK(load(piece.pointer) == 0);
    CHECK(DmaSpace::intact(piece));
    CHECK(mappings().size() == 1);
  }
  EpochDomain::collect();
  CHECK(openFiles() == before);
  CHECK(mappings().empty());
}

/// A reader that is held inside one space, as by a page that does not come.
void testReadersOfAnotherSpace() {
  const FileDescriptor file = memoryFile(8);
  const auto slow = enabledSpace();
  const auto other = enabledSpace();
  for (const auto& space : {slow.get(), other.get()}) {
    CHECK(space->map(0, 4 * kPage, kBoth, duplicate(file), 0) == 0);
    CHECK(space->map(4 * kPage, 4 * kPage, kBoth, duplicate(file), 4 * kPage) == 0);
  }
  const EpochGuard guard(reader(), slow->epochs());
  CHECK(slow->translate(0, 8, kDmaRead).kind == Translation::Kind::mapped);
  CHECK(other->startDirtyLog(kPage, {}) == 0);
  other->stopDirtyLog();
  CHECK(other->unmap(0, 4 * kPage) == 0);
  other->setBusMaster(false);
  CHECK(other->unmapAll() == 4 * kPage);
  other->awaitReaders();
}

void testWindowGrows() {
  const FileDescriptor file = memoryFile(4096);
  for (uint64_t page = 0; page < 4096; ++page) stamp(file.get(), page, page + 1);
  auto space = enabledSpace();
  std::mt19937 random(7);
  CHECK(space->map(2000 * kPage, kPage, kBoth, duplicate(file), 2000 * kPage) == 0);
  CHECK(mappings().at(0).size == kPage);
  {
    // A piece found in the old window stays usable until the guard ends.
    EpochGuard guard(reader(), space->epochs());
    const Translation piece = space->translate(2000 * kPage, 8, kDmaRead);
    CHECK(space->map(2100 * kPage, kPage, kBoth, duplicate(file), 2100 * kPage) == 0);
    CHECK(mappings().size() == 2);
    CHECK(load(piece.pointer) == 2001);
    CHECK(load(space->translate(2000 * kPage, 8, kDmaRead).pointer) == 2001);
    CHECK(space->translate(2000 * kPage, 8, kDmaRead).pointer != piece.pointer);
  }
  int windows = 0;
  uint64_t size = 0;
  for (int step = 0; step < 3000; ++step) {
    const uint64_t page = random() % 4096;
    const int error = space->map(page * kPage, kPage, kBoth, duplicate(file), page * kPage);
    CHECK(error == 0);
    CHECK(load(translate(*space, page * kPage, 8).pointer) == page + 1);
    CHECK(load(translate(*space, 2000 * kPage, 8).pointer) == 2001);
    if (step % 100 != 0) continue;
    CHECK(mappings().size() == 1);
    if (mappings().at(0).size != size) ++windows;
    size = mappings().at(0).size;
    CHECK(size <= 4096 * kPage);
  }
  CHECK(size == 4096 * kPage);
  // The client's file grew: the window follows.
  CHECK(::ftruncate(file.get(), 8192 * kPage) == 0);
  stamp(file.get(), 8191, 8192);
  CHECK(space->map(8191 * kPage, kPage, kBoth, duplicate(file), 8191 * kPage) == 0);
  CHECK(load(translate(*space, 8191 * kPage, 8).pointer) == 8192);
  CHECK(mappings().size() == 1 && mappings().at(0).size == 8192 * kPage);
}

void testKinds() {
  auto space = enabledSpace();
  const int before = openFiles();
  const auto refused = [&](int fd) {
    CHECK(fd >= 0);
    CHECK(space->map(0, kPage, kDmaRead, FileDescriptor(fd), 0) == EINVAL);
    CHECK(openFiles() == before);
  };
  int pair[2];
  CHECK(::pipe2(pair, O_CLOEXEC) == 0);
  CHECK(space->map(0, kPage, kDmaRead, FileDescriptor(pair[0]), 0) == EINVAL);
  CHECK(space->map(0, kPage, kDmaWrite, FileDescriptor(pair[1]), 0) == EINVAL);
  CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
  CHECK(space->map(0, kPage, kDmaRead, FileDescriptor(pair[0]), 0) == EINVAL);
  CHECK(space->map(0, kPage, kDmaRead, FileDescriptor(pair[1]), 0) == EINVAL);
  refused(::eventfd(0, EFD_CLOEXEC));
  refused(::open("/dev/zero", O_RDWR | O_CLOEXEC));
  refused(::open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  refused(::open("/dev/shm", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  refused(::open("/proc/self/maps", O_RDONLY | O_CLOEXEC));
  refused(::open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY | O_CLOEXEC));
  {
    const FileDescriptor file = memoryFile(1);
    const std::string path = "/proc/self/fd/" + std::to_string(file.get());
    CHECK(space->map(0, kPage, kDmaRead, FileDescriptor(::open(path.c_str(), O_PATH | O_CLOEXEC)), 0) == EINVAL);
  }
  CHECK(space->map(0, kPage, kDmaRead, FileDescriptor(1000000), 0) == EINVAL);
  CHECK(openFiles() == before);
  CHECK(space->mappings() == 0);

  // Regular files, where the file system of this directory is one that is accepted.
  for (const char* directory : {"/dev/shm", "/tmp"}) {
    struct statfs system {};
    if (::statfs(directory, &system) != 0) continue;
    const auto magic = static_cast<uint32_t>(system.f_type);
    const bool tmpfs = magic == 0x01021994;
    const bool disk = magic == 0xef53 || magic == 0x58465342;
    if (!tmpfs && !disk) continue;
    const FileDescriptor file(::open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (!file) continue;
    CHECK(::ftruncate(file.get(), 2 * kPage) == 0);
    stamp(file.get(), 1, 4711);
    const int error = space->map(0, 2 * kPage, kBoth, duplicate(file), 0);
    CHECK(error == 0);
    CHECK(load(translate(*space, kPage, 8).pointer) == 4711);
    space->unmapAll();
    std::printf("regular file in %s accepted\n", directory);
  }
}

void testHugePages() {
  constexpr uint64_t kHuge = uint64_t{1} << 21;
  const FileDescriptor file(::memfd_create("mdev-memory-test", MFD_CLOEXEC | MFD_HUGETLB | kHuge2MiB));
  if (!file || ::ftruncate(file.get(), 4 * kHuge) != 0) {
    std::printf("no huge pages of 2 MiB here: not tested\n");
    return;
  }
  auto space = enabledSpace();
  CHECK(space->map(0x5000, kPage, kBoth, duplicate(file), kHuge + 3 * kPage) == 0);
  CHECK(mappings().size() == 1 && mappings().at(0).size == kHuge);
  const Translation piece = translate(*space, 0x5000, 8);
  CHECK(reinterpret_cast<uintptr_t>(piece.pointer) % kHuge == 3 * kPage);
  CHECK(space->map(0x6000, kHuge, kBoth, duplicate(file), 2 * kHuge - kPage) == 0);
  CHECK(mappings().size() == 1 && mappings().at(0).size % kHuge == 0);
  CHECK(space->map(0, kPage, kBoth, duplicate(file), 4 * kHuge) == EINVAL);
}

void testLimits() {
  const int before = openFiles();
  auto space = enabledSpace();
  const FileDescriptor file = memoryFile(16);
  CHECK(space->setLimits({.maxMappings = 3}) == 0);
  for (uint64_t page = 0; page < 3; ++page) CHECK(space->map(page * kPage, kPage, kBoth, duplicate(file), 0) == 0);
  CHECK(space->map(3 * kPage, kPage, kBoth, duplicate(file), 0) == ENOSPC);
  CHECK(space->map(3 * kPage, kPage, kBoth, FileDescriptor(), 0) == ENOSPC);
  CHECK(space->map(2 * kPage, kPage, kBoth, duplicate(file), 0) == 0);
  CHECK(space->unmap(kPage, kPage) == 0);
  CHECK(space->map(3 * kPage, kPage, kBoth, duplicate(file), 0) == 0);
  CHECK(space->setLimits({.maxMappings = 65535}) == 0);
  space->unmapAll();

  // A client that sends ever new files.
  for (uint64_t count = 0; count < mdev::FileRegistry::kMaxFiles; ++count)
    CHECK(space->map(count * kPage, kPage, kBoth, memoryFile(1), 0) == 0);
  CHECK(space->map(kGiB, kPage, kBoth, memoryFile(1), 0) == ENOSPC);
  CHECK(mappings().size() == mdev::FileRegistry::kMaxFiles);
  CHECK(space->unmap(0, kPage) == 0);
  CHECK(space->map(kGiB, kPage, kBoth, memoryFile(1), 0) == 0);
  space->unmapAll();
  CHECK(openFiles() == before + 1);

  // A sparse file that would use up the server's address space; pages near one another are still fine.
  const FileDescriptor sparse = memoryFile(32 * kTiB / kPage);
  CHECK(space->map(0, kPage, kBoth, duplicate(sparse), 0) == 0);
  CHECK(space->map(kGiB, kPage, kBoth, duplicate(sparse), 9 * kTiB) == ENOSPC);
  CHECK(space->map(kGiB, 9 * kTiB, kBoth, duplicate(sparse), 0) == ENOSPC);
  CHECK(space->map(kGiB, kPage, kBoth, duplicate(sparse), 7 * kTiB) == 0);
  CHECK(space->map(2 * kGiB, kPage, kBoth, duplicate(sparse), 8 * kTiB - kPage) == 0);
  CHECK(space->map(3 * kGiB, kPage, kBoth, duplicate(file), 0) == ENOSPC);
  CHECK(mappings().size() == 1 && space->mappings() == 3);
  space->unmapAll();
  CHECK(space->map(3 * kGiB, kPage, kBoth, duplicate(file), 0) == 0);
}

// As many maps as users of vfio-user ask for, as a virtual IOMMU makes them.
void testManyMaps() {
  constexpr uint64_t kMaps = 262144;
  const FileDescriptor file = memoryFile(kMaps);
  const int before = openFiles();
  auto space = enabledSpace();
  CHECK(space->setLimits({.maxMappings = kMaps}) == 0);
  const auto start = std::chrono::steady_clock::now();
  for (uint64_t index = 0; index < kMaps; ++index) {
    const uint64_t page = index * 40503 % kMaps;
    CHECK(space->map(page * kPage, kPage, kBoth, duplicate(file), (page ^ 1) * kPage) == 0);
  }
  const std::chrono::duration<double> mapping = std::chrono::steady_clock::now() - start;
  CHECK(space->mappings() == kMaps);
  CHECK(openFiles() == before + 1);
  CHECK(mappings().size() == 1 && mappings().at(0).size == kMaps * kPage);
  CHECK(space->map(kMaps * kPage, kPage, kBoth, duplicate(file), 0) == ENOSPC);
  for (uint64_t page = 0; page < kMaps; page += 1021) {
    stamp(file.get(), page ^ 1, page);
    const Translation piece = translate(*space, page * kPage, 2 * kPage);
    CHECK(piece.length == kPage && load(piece.pointer) == page);
  }
  const auto middle = std::chrono::steady_clock::now();
  for (uint64_t page = 0; page < kMaps / 2; ++page) CHECK(space->unmap(page * kPage, kPage) == 0);
  const std::chrono::duration<double> unmapping = std::chrono::steady_clock::now() - middle;
  CHECK(space->unmap(kMaps / 2 * kPage, kMaps / 2 * kPage) == 0);
  CHECK(space->mappings() == 0);
  CHECK(openFiles() == before && mappings().empty());
  std::printf("%.2f us per map, %.2f us per unmap\n", mapping.count() * 1e6 / kMaps, unmapping.count() * 2e6 / kMaps);
  // Anything but a few levels of a tree would take hours.
  CHECK(mapping.count() < 60 && unmapping.count() < 60);
}

struct ModelMap {
  uint64_t last;
  uint32_t rights;
  int file;  // -1 by message
  uint64_t offset;
};

// Random calls, good and bad, against a map of what should be there.
void testRandom() {
  constexpr uint64_t kPages = 64;
  constexpr uint64_t kSpace = 200;
  const uint64_t base = uint64_t{0} - 150 * kPage;  // the last 150 pages, so that some requests wrap
  std::vector<FileDescriptor> files;
  for (uint64_t file = 0; file < 4; ++file) {
    files.push_back(memoryFile(kPages));
    for (uint64_t page = 0; page < kPages; ++page) stamp(files.back().get(), page, (file + 1) * 1000 + page);
  }
  files.push_back(reopen(files[0], O_RDONLY));
  const auto identity = [](int file) { return file == 4 ? 0 : file; };

  const int before = openFiles();
  auto space = enabledSpace();
  CHECK(space->setLimits({.maxMappings = 40}) == 0);
  std::map<uint64_t, ModelMap> model;
  std::mt19937_64 random(99);
  int mapped = 0;
  int unmapped = 0;
  for (int step = 0; step < 150000; ++step) {
    const uint64_t iova = base + random() % kSpace * kPage + (random() % 50 == 0 ? 8 : 0);
    const uint64_t size = random() % 60 == 0 ? 0 : (1 + random() % 8) * kPage;
    const bool wraps = size != 0 && iova + (size - 1) < iova;
    const auto touched = [&](auto&& visit) {
      for (const auto& [first, entry] : model)
        if (!wraps && first <= iova + (size - 1) && entry.last >= iova) visit(first, entry);
    };
    if (random() % 2 == 0) {
      const int file = static_cast<int>(random() % 6) - 1;
      const auto rights = static_cast<uint32_t>(random() % 40 == 0 ? random() % 8 : 1 + random() % 3);
      const uint64_t offset = file < 0 && random() % 8 != 0 ? 0 : random() % (kPages + 2) * kPage;
      int expected = 0;
      bool adds = false;
      if (size == 0 || wraps || iova % kPage != 0 || rights == 0 || rights > 3) {
        expected = EINVAL;
      } else if (file < 0 && offset != 0) {
        expected = EINVAL;
      } else if (file == 4 && (rights & kDmaWrite) != 0) {
        expected = EACCES;
      } else if (file >= 0 && offset + size > kPages * kPage) {
        expected = EINVAL;
      } else {
        bool overlaps = false;
        bool identical = false;
        touched([&](uint64_t first, const ModelMap& entry) {
          overlaps = true;
          identical = first == iova && entry.last == iova + (size - 1) && entry.rights == rights &&
                      entry.file == file && entry.offset == offset;
        });
        adds = !overlaps && model.size() < 40;
        expected = identical || adds ? 0 : overlaps ? EEXIST : ENOSPC;
      }
      FileDescriptor fd = file < 0 ? FileDescriptor() : duplicate(files[static_cast<size_t>(file)]);
      CHECK(space->map(iova, size, rights, std::move(fd), offset) == expected);
      if (adds) model[iova] = {iova + (size - 1), rights, file, offset};
      mapped += adds ? 1 : 0;
    } else {
      std::vector<uint64_t> inside;
      bool cut = false;
      touched([&](uint64_t first, const ModelMap& entry) {
        if (first < iova || entry.last > iova + (size - 1)) {
          cut = true;
        } else {
          inside.push_back(first);
        }
      });
      const int expected = size == 0 || wraps || cut ? EINVAL : inside.empty() ? ENOENT : 0;
      CHECK(space->unmap(iova, size) == expected);
      if (expected == 0) {
        for (const uint64_t first : inside) model.erase(first);
        unmapped += static_cast<int>(inside.size());
      }
    }
    CHECK(space->mappings() == model.size());

    for (int probe = 0; probe < 4; ++probe) {
      const uint64_t address = base + random() % (kSpace * kPage);
      const uint64_t length = 1 + random() % (4 * kPage);
      const auto rights = static_cast<uint32_t>(1 + random() % 3);
      auto next = model.upper_bound(address);
      const auto* found = next == model.begin() || std::prev(next)->second.last < address ? nullptr : &*std::prev(next);
      if (found != nullptr && (rights & ~found->second.rights) != 0) found = nullptr;
      const bool message = found != nullptr && found->second.file < 0;
      const Translation forward = translate(*space, address, length, rights);
      const Translation backward = translateBackward(*space, address + 1, length, rights);
      const Translation::Kind wanted = found == nullptr ? kFault : message ? kMessage : kMapped;
      CHECK(forward.kind == wanted && backward.kind == wanted);
      CHECK(forward.length == (found == nullptr ? 0 : std::min(length, found->second.last - address + 1)));
      CHECK(backward.length == (found == nullptr ? 0 : std::min(length, address - found->first + 1)));
      if (wanted != kMapped) continue;
      const uint64_t page = (found->second.offset + (address - found->first)) / kPage;
      const std::byte* start = forward.pointer - address % kPage;
      CHECK(load(start) == static_cast<uint64_t>(identity(found->second.file) + 1) * 1000 + page);
      CHECK(backward.pointer == forward.pointer + 1 - backward.length);
    }
    if (step % 1000 != 0) continue;
    std::vector<bool> used(files.size());
    for (const auto& [first, entry] : model)
      if (entry.file >= 0) used[static_cast<size_t>(entry.file)] = true;
    const auto count = std::count(used.begin(), used.end(), true);
    CHECK(openFiles() == before + count);
    CHECK(mappings().size() == static_cast<size_t>(count));
  }
  std::printf("%d mapped, %d unmapped\n", mapped, unmapped);
  CHECK(mapped > 5000 && unmapped > 5000);
  space.reset();
  CHECK(openFiles() == before && mappings().empty());
}

}  // namespace

int main() {
  reader();
  const int before = openFiles();
  const std::vector<std::function<void()>> tests = {testArguments,
                                                    testRights,
                                                    testOverlaps,
                                                    testUnmapRanges,
                                                    testPieces,
                                                    testBusMaster,
                                                    testMessages,
                                                    testClientThatMapsNothing,
                                                    testDescriptorsAndMappings,
                                                    testReadersOfAnotherSpace,
                                                    testWindowGrows,
                                                    testKinds,
                                                    testHugePages,
                                                    testLimits,
                                                    testManyMaps,
                                                    testRandom};
  for (const auto& test : tests) {
    test();
    CHECK(openFiles() == before);
    CHECK(mappings().empty());
  }
}

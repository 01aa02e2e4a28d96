// sources: memory/*.cc base/fd_closer.cc
// sanitize: thread
//
// Maps whose memory is exchanged while readers look at them: they see the old memory, none, or the new one.
#include <fcntl.h>

#include <atomic>
#include <cerrno>
#include <memory>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "memory_support.h"

namespace {

using namespace memory_test;
using mdev::DmaSpace;
using mdev::EpochDomain;
using mdev::EpochGuard;
using mdev::FileDescriptor;
using mdev::kDmaRead;
using mdev::kDmaWrite;
using mdev::Translation;

constexpr uint64_t kTop = ~uint64_t{0};

FileDescriptor stamped(uint64_t pages, uint64_t value) {
  FileDescriptor file = memoryFile(pages);
  for (uint64_t page = 0; page < pages; ++page) stamp(file.get(), page, value + page);
  return file;
}

/// What is at the start of a page; 0: a fault.
uint64_t at(const DmaSpace& space, uint64_t iova) {
  static EpochDomain::Reader reader;
  static mdev::IovaCache cache;
  const EpochGuard guard(reader, space.epochs());
  const Translation piece = space.translate(iova, 8, kDmaRead, &cache);
  CHECK(piece.kind != Translation::Kind::message);
  return piece.kind == Translation::Kind::mapped ? load(piece.pointer) : 0;
}

void testRules() {
  const FileDescriptor first = stamped(8, 100);
  const FileDescriptor second = stamped(8, 200);
  const int files = openFiles();
  DmaSpace space;
  space.setBusMaster(true);
  CHECK(space.map(0, 2 * kPage, kBoth, duplicate(first), 0) == 0);
  CHECK(space.map(2 * kPage, kPage, kDmaRead, duplicate(first), 2 * kPage) == 0);
  CHECK(space.map(8 * kPage, kPage, kBoth, FileDescriptor(), 0) == 0);
  const uint64_t last = kTop - kPage + 1;
  CHECK(space.map(last, kPage, kBoth, duplicate(first), 7 * kPage) == 0);

  CHECK(space.invalidateVaddr(0, 0) == EINVAL);
  CHECK(space.invalidateVaddr(0, kPage) == EINVAL);
  CHECK(space.invalidateVaddr(last, 2 * kPage) == EINVAL);
  CHECK(space.invalidateVaddr(4 * kPage, kPage) == ENOENT);
  // Of a range, all or nothing.
  CHECK(space.invalidateVaddr(0, 9 * kPage) == EINVAL);
  CHECK(at(space, 0) == 100 && at(space, 2 * kPage) == 102);
  CHECK(space.restoreVaddr(0, 2 * kPage, duplicate(second), 0) == EINVAL);

  CHECK(space.invalidateVaddr(0, 3 * kPage) == 0);
  CHECK(space.invalidateVaddr(last, kPage) == 0);
  CHECK(openFiles() == files && mappings().empty());
  CHECK(at(space, 0) == 0 && at(space, kPage) == 0 && at(space, 2 * kPage) == 0 && at(space, last) == 0);
  CHECK(space.mappings() == 4);
  CHECK(space.invalidateVaddr(2 * kPage, kPage) == EINVAL);
  for (const uint32_t rights : {kDmaRead, kBoth})
    CHECK(space.map(2 * kPage, kPage, rights, duplicate(first), 2 * kPage) == EEXIST);
  CHECK(space.map(2 * kPage, kPage, kDmaRead, FileDescriptor(), 0) == EEXIST);
  std::vector<mdev::DmaMap> maps;
  space.forEachMap([&](const mdev::DmaMap& map) {
    maps.push_back(map);
    return true;
  });
  CHECK(!maps.at(0).valid && maps.at(0).rights == kBoth && maps.at(0).fd == -1);
  CHECK(!maps.at(1).valid && maps.at(1).rights == kDmaRead);
  CHECK(maps.at(2).valid && maps.at(2).rights == kBoth);

  CHECK(space.restoreVaddr(0, 2 * kPage, FileDescriptor(), 0) == EINVAL);
  CHECK(space.restoreVaddr(0, kPage, duplicate(second), 0) == EINVAL);
  CHECK(space.restoreVaddr(kPage, kPage, duplicate(second), 0) == EINVAL);
  CHECK(space.restoreVaddr(3 * kPage, kPage, duplicate(second), 0) == ENOENT);
  CHECK(space.restoreVaddr(0, 2 * kPage, duplicate(second), 1) == EINVAL);
  CHECK(space.restoreVaddr(0, 2 * kPage, duplicate(second), 7 * kPage) == EINVAL);
  CHECK(space.restoreVaddr(0, 2 * kPage, reopen(second, O_RDONLY), 0) == EACCES);
  CHECK(at(space, 0) == 0);
  CHECK(space.restoreVaddr(0, 2 * kPage, duplicate(second), kPage) == 0);
  CHECK(space.restoreVaddr(2 * kPage, kPage, reopen(second, O_RDONLY), 0) == 0);
  CHECK(at(space, 0) == 201 && at(space, kPage) == 202 && at(space, 2 * kPage) == 200);
  CHECK(space.restoreVaddr(0, 2 * kPage, duplicate(second), kPage) == EINVAL);
  // The one that has no memory goes as any other.
  CHECK(space.unmap(last, kPage) == 0);
  CHECK(space.unmapAll() == 4 * kPage);
}

/// In trees of several levels, of every part of them.
void testManyMaps() {
  constexpr uint64_t kPages = 5000;
  const FileDescriptor first = stamped(1, 100);
  const FileDescriptor second = stamped(1, 200);
  DmaSpace space;
  space.setBusMaster(true);
  for (uint64_t page = 0; page < kPages; ++page) CHECK(space.map(page * kPage, kPage, kBoth, duplicate(first), 0) == 0);
  std::mt19937_64 random(9);
  std::set<uint64_t> gone;
  for (int round = 0; round < 30; ++round) {
    const uint64_t from = random() % kPages;
    const uint64_t count = 1 + random() % (round % 2 == 0 ? 40 : kPages - from);
    const uint64_t end = std::min(kPages, from + count);
    const bool already = gone.lower_bound(from) != gone.lower_bound(end);
    CHECK(space.invalidateVaddr(from * kPage, (end - from) * kPage) == (already ? EINVAL : 0));
    if (!already)
      for (uint64_t page = from; page < end; ++page) gone.insert(page);
    for (uint64_t page = 0; page < kPages; ++page) {
      const uint64_t seen = at(space, page * kPage);
      CHECK(gone.contains(page) ? seen == 0 : seen == 100 || seen == 200);
    }
    while (gone.size() > kPages / 3) {
      const uint64_t page = *gone.begin();
      gone.erase(gone.begin());
      CHECK(space.restoreVaddr(page * kPage, kPage, duplicate(second), 0) == 0);
      CHECK(at(space, page * kPage) == 200);
    }
  }
  CHECK(space.mappings() == kPages);
  CHECK(space.unmapAll() == kPages * kPage);
}

void testReaders() {
  const std::vector<FileDescriptor> files = [] {
    std::vector<FileDescriptor> made;
    for (uint64_t index = 1; index <= 4; ++index) made.push_back(stamped(2, index * 1000));
    return made;
  }();
  DmaSpace space;
  space.setBusMaster(true);
  CHECK(space.map(0, kPage, kBoth, duplicate(files[0]), 0) == 0);
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> seen{0};
  std::vector<std::thread> readers;
  for (int index = 0; index < 3; ++index) {
    readers.emplace_back([&] {
      EpochDomain::Reader reader;
      mdev::IovaCache cache;
      while (!stop.load()) {
        const EpochGuard guard(reader, space.epochs());
        const Translation piece = space.translate(0, kPage, kDmaRead, &cache);
        if (piece.kind == Translation::Kind::fault) continue;
        CHECK(piece.kind == Translation::Kind::mapped && piece.length == kPage);
        const uint64_t value = load(piece.pointer);
        CHECK(value % 1000 <= 1 && value >= 1000 && value < 5000);
        CHECK(load(piece.pointer + kPage - 8) == value);
        CHECK(DmaSpace::intact(piece));
        seen.fetch_add(1);
      }
    });
  }
  for (uint64_t round = 1; round < 3000 || seen.load() < 1000; ++round) {
    CHECK(space.invalidateVaddr(0, kPage) == 0);
    CHECK(space.restoreVaddr(0, kPage, duplicate(files[round % 4]), round % 2 * kPage) == 0);
  }
  stop.store(true);
  for (std::thread& reader : readers) reader.join();
}

}  // namespace

int main() {
  const int files = openFiles();
  testRules();
  testManyMaps();
  testReaders();
  CHECK(openFiles() == files);
  CHECK(mappings().empty());
}

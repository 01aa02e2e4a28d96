// Engines that copy by PASID while the owner attaches, replaces, detaches and invalidates: under two sanitizers.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "memory_support.h"
#include "sva/pasid_guard.h"
#include "sva/pasid_table.h"

namespace sva_test {

using namespace memory_test;
using mdev::DmaSpace;
using mdev::PasidGuard;
using mdev::PasidReader;
using mdev::PasidState;
using mdev::PasidTable;
using mdev::Translation;

inline std::shared_ptr<DmaSpace> spaceOf(const mdev::FileDescriptor& file, uint64_t pages) {
  auto space = std::make_shared<DmaSpace>();
  space->setEnforceBusMaster(false);
  space->setAskUnmapped(false);
  CHECK_EQUAL(space->map(0, pages * kPage, kBoth, duplicate(file), 0), 0);
  return space;
}

/// Each PASID means a space whose pages say which PASID they are for: what a reader finds by a PASID must say so, for
/// as long as its guard is open. The owner writes another number into a space as soon as nobody may use it any more.
inline void testPasidReaders(uint64_t copies) {
  constexpr int kReaders = 3;
  constexpr uint32_t kPasids = 8;
  constexpr uint64_t kPages = 4;
  constexpr uint64_t kGone = 0xdeadbeefdeadbeef;
  // Apart from each other, so that they are in several leaves of the table.
  const auto pasidOf = [](uint32_t index) { return 1 + index * 0x1fff0; };
  const int before = openFiles();
  {
    const auto table = std::make_shared<PasidTable>();
    std::atomic<bool> go{true};
    std::array<std::atomic<uint64_t>, kReaders> copied{};
    std::array<std::atomic<uint64_t>, kReaders> faults{};
    std::vector<std::thread> readers;
    for (size_t index = 0; index < kReaders; ++index) {
      readers.emplace_back([&, index] {
        PasidReader reader;
        mdev::IovaCache found;
        std::mt19937_64 random(index + 1);
        while (go.load(std::memory_order_relaxed)) {
          const uint32_t pasid = pasidOf(static_cast<uint32_t>(random() % kPasids));
          const PasidGuard guard(reader, *table, pasid);
          const uint64_t generation = table->generation();
          CHECK(guard.state() != PasidState::excluded);
          if (guard.state() == PasidState::absent) {
            faults[index].fetch_add(1, std::memory_order_relaxed);
            continue;
          }
          const uint64_t page = random() % kPages;
          const Translation piece = guard.space().translate(page * kPage, kPage, mdev::kDmaRead, &found);
          if (piece.kind != Translation::Kind::mapped) {
            faults[index].fetch_add(1, std::memory_order_relaxed);
            continue;
          }
          const uint64_t first = load(piece.pointer);
          if (random() % 8 == 0) std::this_thread::yield();
          const uint64_t last = load(piece.pointer + kPage - sizeof(uint64_t));
          CHECK_EQUAL(first, pasid);
          CHECK_EQUAL(last, pasid);
          CHECK(table->generation() >= generation);
          copied[index].fetch_add(1, std::memory_order_relaxed);
        }
      });
    }

    struct Side {
      mdev::FileDescriptor file;
      std::shared_ptr<DmaSpace> space;
    };
    const auto make = [&](uint32_t pasid) {
      Side side{memoryFile(kPages), nullptr};
      for (uint64_t page = 0; page < kPages; ++page) stamp(side.file.get(), page, pasid);
      side.space = spaceOf(side.file, kPages);
      return side;
    };
    const auto spoil = [&](const Side& side) {
      for (uint64_t page = 0; page < kPages; ++page) stamp(side.file.get(), page, kGone);
    };
    const auto busy = [&] {
      return std::any_of(copied.begin(), copied.end(), [&](const auto& count) { return count.load() < copies; });
    };
    std::array<Side, kPasids> sides;
    std::mt19937_64 random(42);
    table->setReachable(true);
    for (uint64_t step = 0; busy(); ++step) {
      const uint32_t index = static_cast<uint32_t>(random() % kPasids);
      const uint32_t pasid = pasidOf(index);
      Side& side = sides[index];
      if (side.space == nullptr) {
        side = make(pasid);
        CHECK_EQUAL(table->attach(pasid, side.space), 0);
        continue;
      }
      switch (random() % 8) {
        case 0:
        case 1: {
          CHECK_EQUAL(table->detach(pasid), 0);
          spoil(side);
          side = {};
          break;
        }
        case 2:
        case 3: {
          Side next = make(pasid);
          CHECK_EQUAL(table->replace(pasid, next.space), 0);
          spoil(side);
          side = std::move(next);
          break;
        }
        case 4: {
          // What is unmapped may be given to somebody else at once, whoever reaches it by whichever PASID.
          const uint64_t page = random() % kPages;
          CHECK_EQUAL(side.space->unmap(0, kPages * kPage), 0);
          spoil(side);
          for (uint64_t other = 0; other < kPages; ++other) stamp(side.file.get(), other, pasid);
          CHECK_EQUAL(side.space->map(page * kPage, kPage, kBoth, duplicate(side.file), page * kPage), 0);
          if (page != 0) CHECK_EQUAL(side.space->map(0, page * kPage, kBoth, duplicate(side.file), 0), 0);
          if (page + 1 < kPages) {
            CHECK_EQUAL(side.space->map((page + 1) * kPage, (kPages - page - 1) * kPage, kBoth, duplicate(side.file),
                                        (page + 1) * kPage),
                        0);
          }
          break;
        }
        case 5: {
          const uint64_t generation = table->generation();
          table->invalidate();
          CHECK(table->generation() > generation);
          break;
        }
        case 6: {
          if (random() % 8 != 0) break;
          table->setReachable(false);
          for (Side& each : sides) {
            if (each.space == nullptr) continue;
            spoil(each);
            for (uint64_t page = 0; page < kPages; ++page) stamp(each.file.get(), page, pasidOf(0) + 1000000);
          }
          for (uint32_t each = 0; each < kPasids; ++each) {
            if (sides[each].space == nullptr) continue;
            for (uint64_t page = 0; page < kPages; ++page) stamp(sides[each].file.get(), page, pasidOf(each));
          }
          table->setReachable(true);
          break;
        }
        default: {
          if (random() % 32 != 0) break;
          table->detachAll();
          CHECK_EQUAL(table->size(), std::size_t{0});
          for (Side& each : sides) {
            if (each.space == nullptr) continue;
            spoil(each);
            each = {};
          }
        }
      }
    }
    go.store(false);
    for (auto& reader : readers) reader.join();
    for (size_t index = 0; index < kReaders; ++index)
      std::printf("reader %zu: %llu copies, %llu faults\n", index, static_cast<unsigned long long>(copied[index]),
                  static_cast<unsigned long long>(faults[index]));
    table->detachAll();
  }
  CHECK(mappings().empty());
  CHECK_EQUAL(openFiles(), before);
}

}  // namespace sva_test

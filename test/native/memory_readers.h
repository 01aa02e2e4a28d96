// Readers that copy through translations while the owner maps and unmaps: the same test under two sanitizers.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
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

inline constexpr uint64_t kReaderPages = 512;
inline constexpr uint64_t kPoison = 0xdeadbeefdeadbeef;

/// The page of its file that an IOVA page maps. Not the same order, so that a wrong entry is seen.
inline uint64_t filePage(uint64_t iovaPage) { return iovaPage * 77 % kReaderPages; }
inline uint64_t content(uint64_t page) { return 0x5000 + page; }

struct EmptyChannel : mdev::MessageDma {
  void submit(std::shared_ptr<mdev::MessageRequest>) override {}
  void cancel(uint64_t, uint64_t) override {}
  void cancelAbandoned() override {}
  void cancelAll() override {}
};

/// `copies` is what each reader does at least; the owner goes on until all have done it.
inline void testReaders(uint64_t copies) {
  constexpr int kReaders = 3;
  constexpr uint64_t kIova = uint64_t{0} - kReaderPages * kPage;  // up to the end of the address space
  const int before = openFiles();
  {
    mdev::DmaSpace space;
    space.setMessageDma(std::make_shared<EmptyChannel>());
    std::atomic<bool> go{true};
    std::array<std::atomic<uint64_t>, kReaders> copied{};
    std::array<std::atomic<uint64_t>, kReaders> faults{};
    const auto busy = [&] {
      return std::any_of(copied.begin(), copied.end(), [&](const auto& count) { return count.load() < copies; });
    };

    std::vector<std::thread> readers;
    for (size_t index = 0; index < kReaders; ++index) {
      readers.emplace_back([&, index] {
        mdev::EpochDomain::Reader reader;
        mdev::IovaCache found;
        std::mt19937_64 random(index + 1);
        while (go.load(std::memory_order_relaxed)) {
          const uint64_t page = random() % kReaderPages;
          const uint64_t iova = kIova + page * kPage;
          const mdev::EpochGuard guard(reader, space.epochs());
          const bool backward = random() % 2 == 0;
          mdev::IovaCache* const cache = random() % 4 == 0 ? nullptr : &found;
          const mdev::Translation piece = backward ? space.translateBackward(iova + kPage, kPage, mdev::kDmaRead, cache)
                                                   : space.translate(iova, kPage, mdev::kDmaRead, cache);
          if (piece.kind != mdev::Translation::Kind::mapped) {
            CHECK(piece.length == 0 || piece.kind == mdev::Translation::Kind::message);
            faults[index].fetch_add(1, std::memory_order_relaxed);
            if (random() % 64 == 0) CHECK(space.messageDma() != nullptr);
            continue;
          }
          CHECK(piece.length == kPage);
          // First and last word of the page, at two times: neither may turn into poison while the guard is open.
          const uint64_t first = load(piece.pointer);
          if (random() % 8 == 0) std::this_thread::yield();
          const uint64_t last = load(piece.pointer + kPage - sizeof(uint64_t));
          CHECK(first == content(filePage(page)) && last == first);
          CHECK(mdev::DmaSpace::intact(piece));
          copied[index].fetch_add(1, std::memory_order_relaxed);
        }
      });
    }

    std::mt19937_64 random(42);
    space.setBusMaster(true);
    uint64_t rounds = 0;
    while (busy()) {
      // A new file each time, so that descriptors, windows and inodes come and go.
      const mdev::FileDescriptor file = memoryFile(kReaderPages);
      for (uint64_t page = 0; page < kReaderPages; ++page) stamp(file.get(), page, content(page));
      std::vector<bool> mapped(kReaderPages);
      for (int step = 0; step < 1500; ++step) {
        const uint64_t page = random() % kReaderPages;
        const uint64_t iova = kIova + page * kPage;
        if (!mapped[page]) {
          // Some entries are reached by message; readers count them as faults.
          const bool message = random() % 16 == 0;
          stamp(file.get(), filePage(page), content(filePage(page)));
          CHECK(space.map(iova, kPage, kBoth, message ? mdev::FileDescriptor() : duplicate(file),
                          message ? 0 : filePage(page) * kPage) == 0);
          mapped[page] = true;
          continue;
        }
        if (random() % 4 != 0) continue;
        // What was unmapped may be given to somebody else at once.
        uint64_t end = page + 1;
        while (end < kReaderPages && end < page + 4 && mapped[end]) ++end;
        CHECK(space.unmap(iova, (end - page) * kPage) == 0);
        for (uint64_t gone = page; gone < end; ++gone) {
          mapped[gone] = false;
          stamp(file.get(), filePage(gone), kPoison);
        }
        if (step % 100 != 0) continue;
        space.setBusMaster(false);
        for (uint64_t other = 0; other < kReaderPages; ++other) stamp(file.get(), other, kPoison);
        for (uint64_t other = 0; other < kReaderPages; ++other) stamp(file.get(), other, content(other));
        space.setMessageDma(std::make_shared<EmptyChannel>());
        space.setBusMaster(true);
      }
      if (rounds++ % 2 == 0) {
        space.unmapAll();
      } else {
        // Down to nothing by single unmaps.
        for (uint64_t page = 0; page < kReaderPages; ++page)
          if (mapped[page]) CHECK(space.unmap(kIova + page * kPage, kPage) == 0);
      }
      for (uint64_t page = 0; page < kReaderPages; ++page) stamp(file.get(), page, kPoison);
      CHECK(mappings().empty());
    }
    go.store(false);
    for (auto& reader : readers) reader.join();
    for (size_t index = 0; index < kReaders; ++index)
      std::printf("reader %zu: %llu copies, %llu faults\n", index, static_cast<unsigned long long>(copied[index]),
                  static_cast<unsigned long long>(faults[index]));
    std::printf("%llu files\n", static_cast<unsigned long long>(rounds));
    space.setMessageDma(nullptr);
  }
  CHECK(openFiles() == before);
  CHECK(mappings().empty());
}

}  // namespace memory_test

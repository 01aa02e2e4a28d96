// sources: registers/*.cc
// sanitize: thread
// Engines set cause bits while the guest clears those that it has seen: none is lost, and nothing else changes.
#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>
#include <vector>

#include "check.h"
#include "registers/register_memory.h"
#include "registers/register_region.h"
#include "registers/register_table.h"
#include "support/table_builder.h"

using mdev::RegisterEntry;
using mdev::RegisterMemory;
using mdev::RegisterRegion;
using mdev::RegisterTable;
using mdev::Served;

namespace {

constexpr uint64_t kCauses = 10'000'000;
/// Far more than it takes; a lost bit must not become a hang.
constexpr std::chrono::seconds kTimeLimit(300);
constexpr int kEngines = 2;

// A 4-byte and an 8-byte register, each with cause bits (w1c) and a field of the guest's (rw) in the same word.
constexpr uint32_t kNarrow = 0;
constexpr uint32_t kWide = 8;
constexpr uint64_t kNarrowCauses = 0x00ffffff;
constexpr uint64_t kWideCauses = 0x00ffffffffffffff;

std::shared_ptr<const RegisterTable> causeTable() {
  mdev::test::TableSpec spec;
  spec.blockSize = 16;
  spec.entries = {mdev::test::plainEntry(kNarrow, 4), mdev::test::plainEntry(kWide, 8)};
  const auto declare = [](RegisterEntry& entry, uint64_t causes, uint64_t field) {
    entry.flags = RegisterEntry::shared;
    entry.read = causes | field;
    entry.w1c = causes;
    entry.write = field;
  };
  declare(spec.entries[0], kNarrowCauses, 0xff000000);
  declare(spec.entries[1], kWideCauses, 0xff00000000000000);
  return std::make_shared<const RegisterTable>(mdev::test::encode(spec));
}

/// Sets cause bits one at a time and counts those that were clear, until together all engines counted enough.
void runEngine(int number, const RegisterMemory& memory, std::atomic<uint64_t>& raised) {
  const auto word32 = memory.word32(kNarrow);
  const auto word64 = memory.word64(kWide);
  uint64_t mine = 0;
  for (uint32_t turn = number; raised.load(std::memory_order_relaxed) < kCauses; ++turn) {
    for (int bit = number; bit < 56; bit += kEngines) {
      if (bit < 24 && (turn & 1) != 0) {
        const uint32_t mask = uint32_t{1} << bit;
        mine += (word32.fetch_or(mask) & mask) == 0;
      } else {
        const uint64_t mask = uint64_t{1} << bit;
        mine += (word64.fetch_or(mask) & mask) == 0;
      }
    }
    // With every bit set it is the guest's turn, maybe on this core.
    if (mine == 0) std::this_thread::yield();
    // Engines share no bit, so that each counts its own; the sum tells all when to stop.
    raised.fetch_add(std::exchange(mine, 0), std::memory_order_relaxed);
  }
}

/// The guest: reads, then writes what it read, in accesses of changing widths. Counts what it cleared.
class Guest {
 public:
  Guest(std::shared_ptr<const RegisterTable> table, std::shared_ptr<RegisterMemory> memory)
      : region_(std::move(table), std::move(memory)) {}

  uint64_t acknowledge() {
    const std::size_t narrow = std::array<std::size_t, 4>{4, 1, 2, 4}[++turn_ % 4];
    const std::size_t wide = std::array<std::size_t, 5>{8, 1, 4, 2, 8}[turn_ % 5];
    return acknowledge(kNarrow, 4, narrow) + acknowledge(kWide, 8, wide);
  }

 private:
  /// The register's last byte is the guest's own field: it counts up there, and no engine may disturb it.
  uint64_t acknowledge(uint32_t offset, std::size_t size, std::size_t width) {
    uint64_t cleared = 0;
    for (std::size_t at = 0; at < size; at += width) {
      std::array<std::byte, 8> bytes{};
      const auto piece = std::span(bytes).first(width);
      CHECK(region_.read(offset + at, piece) == Served::done);
      if (at + width == size) {
        uint8_t& field = field_[offset == kWide ? 1 : 0];
        CHECK_EQUAL(static_cast<uint8_t>(piece.back()), field);
        piece.back() = std::byte{0};
        for (const std::byte byte : piece) cleared += std::popcount(static_cast<uint8_t>(byte));
        piece.back() = static_cast<std::byte>(++field);
      } else {
        for (const std::byte byte : piece) cleared += std::popcount(static_cast<uint8_t>(byte));
      }
      CHECK(region_.write(offset + at, piece) == Served::done);
    }
    return cleared;
  }

  RegisterRegion region_;
  std::size_t turn_ = 0;
  std::array<uint8_t, 2> field_{};
};

}  // namespace

int main() {
  const auto table = causeTable();
  const auto memory = std::make_shared<RegisterMemory>(table->memorySize());
  std::atomic<uint64_t> raised{0};
  std::vector<std::thread> engines;
  for (int number = 0; number < kEngines; ++number) {
    engines.emplace_back([&, number] { runEngine(number, *memory, raised); });
  }

  Guest guest(table, memory);
  uint64_t cleared = 0;
  const auto limit = std::chrono::steady_clock::now() + kTimeLimit;
  while (raised.load(std::memory_order_relaxed) < kCauses) {
    for (int i = 0; i < 1000; ++i) {
      const uint64_t seen = guest.acknowledge();
      if (seen == 0) std::this_thread::yield();
      cleared += seen;
    }
    CHECK(std::chrono::steady_clock::now() < limit);
  }
  for (std::thread& engine : engines) engine.join();
  // What was raised after the last look.
  for (int i = 0; i < 20; ++i) cleared += guest.acknowledge();

  CHECK(raised >= kCauses);
  CHECK_EQUAL(cleared, raised.load());
  CHECK_EQUAL(memory->word32(kNarrow).load() & kNarrowCauses, 0u);
  CHECK_EQUAL(memory->word64(kWide).load() & kWideCauses, 0u);
}

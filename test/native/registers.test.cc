// sources: registers/*.cc
// sanitize: address,undefined
#include <sanitizer/asan_interface.h>

#include <array>
#include <cstring>
#include <optional>
#include <random>
#include <stdexcept>
#include <vector>

#include "check.h"
#include "registers/register_memory.h"
#include "registers/register_region.h"
#include "registers/register_table.h"
#include "support/register_model.h"
#include "support/table_builder.h"

using mdev::LockRule;
using mdev::RegisterEntry;
using mdev::RegisterMemory;
using mdev::RegisterRegion;
using mdev::RegisterTable;
using mdev::Served;
using mdev::test::encode;
using mdev::test::plainEntry;
using mdev::test::RegisterModel;
using mdev::test::TableSpec;

namespace {

std::mt19937_64 seeded(20261120);  // NOLINT: the seed is fixed on purpose

uint64_t below(uint64_t limit) { return std::uniform_int_distribution<uint64_t>(0, limit - 1)(seeded); }
bool oneIn(uint64_t times) { return below(times) == 0; }

/// Memory of exactly the asked size: ASan reports what touches the rest of the last page.
class StrictMemory {
 public:
  explicit StrictMemory(std::size_t size) : memory(std::make_shared<RegisterMemory>(size)) {
    __asan_poison_memory_region(memory->data() + size, tail());
  }
  ~StrictMemory() { __asan_unpoison_memory_region(memory->data() + memory->size(), tail()); }

  const std::shared_ptr<RegisterMemory> memory;

 private:
  std::size_t tail() const { return (4096 - memory->size() % 4096) % 4096; }
};

RegisterEntry randomEntry(TableSpec& spec, uint32_t offset, uint8_t size) {
  RegisterEntry entry = plainEntry(offset, size);
  const uint64_t bits = size == 8 ? ~uint64_t{0} : (uint64_t{1} << size * 8) - 1;
  for (uint64_t* plane : {&entry.read, &entry.write, &entry.w1c, &entry.w1s, &entry.w0c, &entry.rc}) {
    *plane = oneIn(2) ? bits & seeded() : 0;
  }
  if (oneIn(8)) entry.flags |= RegisterEntry::trapRead;
  if (oneIn(8)) entry.flags |= RegisterEntry::trapWrite;
  if (size >= 4 && oneIn(3)) entry.flags |= RegisterEntry::shared;
  if (oneIn(4)) entry.widths = static_cast<uint8_t>(below(16));
  if (oneIn(4)) {
    entry.flags |= RegisterEntry::commitLast;
    entry.stageIndex = spec.stages++;
  }
  if (spec.lockWords != 0 && oneIn(3)) {
    entry.firstRule = static_cast<uint32_t>(spec.rules.size());
    entry.ruleCount = static_cast<uint8_t>(1 + below(3));
    for (int rule = 0; rule < entry.ruleCount; ++rule) {
      spec.rules.push_back({static_cast<uint32_t>(below(spec.lockWords)), static_cast<uint32_t>(1 + below(7)),
                            oneIn(2) ? ~uint64_t{0} : seeded()});
    }
  }
  return entry;
}

TableSpec randomSpec() {
  TableSpec spec;
  spec.blockSize = static_cast<uint32_t>(1 + below(3 * 4096));
  spec.lockWords = static_cast<uint32_t>(below(4));
  for (uint32_t offset = static_cast<uint32_t>(below(16)); offset < spec.blockSize;) {
    const auto size = static_cast<uint8_t>(1 << below(4));
    offset = (offset + size - 1) / size * size;
    if (offset + size > spec.blockSize) break;
    spec.entries.push_back(randomEntry(spec, offset, size));
    offset += size;
    if (oneIn(3)) offset += static_cast<uint32_t>(below(12));
    if (oneIn(20)) offset += static_cast<uint32_t>(below(6000));
  }
  return spec;
}

/// A random access that stays inside one page, mostly at or near a register.
std::pair<uint64_t, std::vector<std::byte>> randomAccess(std::span<const RegisterEntry> entries, uint64_t size) {
  const bool near = !entries.empty() && !oneIn(4);
  const uint64_t offset = near ? std::min(entries[below(entries.size())].offset + below(4), size - 1) : below(size);
  const uint64_t room = std::min(size - offset, 4096 - offset % 4096);
  const uint64_t wanted = oneIn(10) ? 1 + below(4096) : oneIn(2) ? 1 + below(16) : uint64_t{1} << below(4);
  std::vector<std::byte> data(std::min(room, wanted));
  for (std::byte& byte : data) byte = static_cast<std::byte>(oneIn(4) ? 0 : seeded());
  return {offset, data};
}

/// The dispatcher does what the bit-by-bit model does, on tables and accesses of every kind.
void equalsTheModel() {
  uint64_t trapped = 0;
  uint64_t refused = 0;
  for (int round = 0; round < 150; ++round) {
    const TableSpec spec = randomSpec();
    const auto table = std::make_shared<const RegisterTable>(encode(spec));
    const StrictMemory strict(table->memorySize());
    RegisterRegion region(table, strict.memory);
    RegisterModel model(spec);
    for (int access = 0; access < 200; ++access) {
      if (spec.lockWords != 0 && oneIn(4)) {
        const auto word = static_cast<uint32_t>(below(spec.lockWords));
        const auto bits = static_cast<uint32_t>(below(8));
        strict.memory->word32(spec.lockOffset() + 4 * word).store(bits);
        model.setLock(word, bits);
      }
      auto [offset, data] = randomAccess(spec.entries, spec.blockSize + 100);
      bool served;
      if (oneIn(2)) {
        std::vector<std::byte> expected(data.size());
        served = model.read(offset, expected);
        CHECK_EQUAL(region.read(offset, data) == Served::done, served);
        if (served) CHECK(data == expected);
      } else {
        served = model.write(offset, data);
        CHECK_EQUAL(region.write(offset, data) == Served::done, served);
      }
      if (!served) ++trapped;
    }
    for (std::size_t i = 0; i < spec.entries.size(); ++i) {
      uint64_t value = 0;
      std::memcpy(&value, strict.memory->data() + spec.entries[i].offset, spec.entries[i].size);
      CHECK_EQUAL(value, model.value(i));
    }
    CHECK_EQUAL(region.counters().dropped, model.dropped);
    CHECK_EQUAL(region.counters().frozen, model.frozen);
    refused += model.dropped + model.frozen;
  }
  // The property says something only if every path was taken.
  CHECK(trapped > 1000);
  CHECK(refused > 1000);
}

void exercise(const RegisterTable& table, const std::shared_ptr<const RegisterTable>& shared) {
  if (table.memorySize() > (1u << 20)) return;
  const StrictMemory strict(table.memorySize());
  for (std::size_t i = 0; i < strict.memory->size(); ++i) strict.memory->data()[i] = static_cast<std::byte>(seeded());
  RegisterRegion region(shared, strict.memory);
  for (int access = 0; access < 50; ++access) {
    auto [offset, data] = randomAccess(table.entries(), table.blockSize() + 5000ull);
    region.read(offset, data);
    region.write(offset, data);
  }
}

/// Bytes that are no table are refused, or harmless: nothing that the constructor accepts leaves its memory.
void survivesAnyBytes() {
  int accepted = 0;
  int rejected = 0;
  const auto attempt = [&](const std::vector<std::byte>& bytes) {
    std::shared_ptr<const RegisterTable> table;
    try {
      table = std::make_shared<const RegisterTable>(bytes);
    } catch (const std::invalid_argument&) {
      ++rejected;
      return;
    }
    ++accepted;
    exercise(*table, table);
  };
  for (int round = 0; round < 200; ++round) {
    std::vector<std::byte> noise(below(600));
    for (std::byte& byte : noise) byte = static_cast<std::byte>(seeded());
    attempt(noise);

    TableSpec spec = randomSpec();
    if (spec.entries.size() > 200) spec.entries.resize(200);
    const std::vector<std::byte> valid = encode(spec);
    const std::size_t interesting = 48 + 64 * spec.entries.size() + 16 * spec.rules.size();
    for (int change = 0; change < 40; ++change) {
      std::vector<std::byte> damaged = valid;
      for (uint64_t times = 1 + below(2); times > 0; --times) {
        // Mostly where numbers are, not in the large index; mostly one bit, so that many survive the checks.
        std::byte& victim = damaged[below(oneIn(4) ? damaged.size() : oneIn(2) ? 48 : interesting)];
        victim = oneIn(2) ? victim ^ (std::byte{1} << below(8)) : static_cast<std::byte>(seeded());
      }
      if (oneIn(10)) damaged.resize(below(damaged.size() + 1));
      attempt(damaged);
    }
  }
  CHECK(accepted > 200);
  CHECK(rejected > 2000);
}

/// Every rule of the layout, each broken alone.
void namesWhatIsWrong() {
  TableSpec spec;
  spec.blockSize = 0x20;
  spec.lockWords = 1;
  spec.stages = 1;
  spec.entries = {plainEntry(0, 4), plainEntry(8, 8)};
  spec.entries[0].ruleCount = 1;
  spec.entries[1].flags = RegisterEntry::commitLast;
  spec.entries[1].stageIndex = 0;
  spec.rules = {{0, 1, ~uint64_t{0}}};
  static_cast<void>(RegisterTable(encode(spec)));

  const auto refuses = [&](auto change) {
    TableSpec broken = spec;
    change(broken);
    CHECK_THROWS(std::invalid_argument, RegisterTable(encode(broken)));
  };
  refuses([](TableSpec& t) { t.entries[0].size = 3; });
  refuses([](TableSpec& t) { t.entries[0].offset = 2; });
  refuses([](TableSpec& t) { t.entries[0].offset = 0x10; });
  refuses([](TableSpec& t) { t.entries[1].offset = 0; });
  refuses([](TableSpec& t) { t.blockSize = 0xc; });
  refuses([](TableSpec& t) { t.entries[0].flags = 16; });
  refuses([](TableSpec& t) { t.entries[0].widths = 16; });
  refuses([](TableSpec& t) {
    t.entries[0] = plainEntry(0, 2);
    t.entries[0].flags = RegisterEntry::shared;
  });
  refuses([](TableSpec& t) { t.entries[0].firstRule = 1; });
  refuses([](TableSpec& t) { t.entries[0].ruleCount = 2; });
  refuses([](TableSpec& t) { t.entries[1].stageIndex = 1; });
  refuses([](TableSpec& t) { t.entries[1].stageIndex = mdev::kNoStage; });
  refuses([](TableSpec& t) { t.entries[1].flags = 0; });
  refuses([](TableSpec& t) { t.entries[0].read = uint64_t{1} << 32; });
  refuses([](TableSpec& t) { t.rules[0].word = 6; });

  const std::vector<std::byte> valid = encode(spec);
  const auto refusesByte = [&](std::size_t at, uint8_t value) {
    std::vector<std::byte> broken = valid;
    CHECK(broken[at] != static_cast<std::byte>(value));
    broken[at] = static_cast<std::byte>(value);
    CHECK_THROWS(std::invalid_argument, RegisterTable(broken));
  };
  const std::size_t directory = 48 + 2 * 64 + 16;
  refusesByte(0, 0);                  // magic
  refusesByte(4, 2);                  // version
  refusesByte(16, 2);                 // directory entries
  refusesByte(20, 2);                 // index pages
  refusesByte(28, 0);                 // memory smaller than block, locks and stages
  refusesByte(32, 2);                 // misaligned locks
  refusesByte(32, 0);                 // locks inside the block
  refusesByte(36, 4);                 // misaligned stages
  refusesByte(40, 1);                 // reserved
  refusesByte(directory, 1);          // index page that does not exist
  refusesByte(directory + 8, 0);      // a byte of a register not indexed
  refusesByte(directory + 8, 2);      // or indexed to another one
  refusesByte(directory + 8 + 8, 1);  // a byte of no register indexed
  refusesByte(directory + 8 + 8, 3);  // or to one that does not exist
  TableSpec alone;
  alone.blockSize = 0x20;
  std::vector<std::byte> small = encode(alone);
  small[28] = std::byte{0x1f};  // memory smaller than the block
  CHECK_THROWS(std::invalid_argument, RegisterTable(small));
  std::vector<std::byte> longer = valid;
  longer.resize(longer.size() + 8);
  CHECK_THROWS(std::invalid_argument, RegisterTable(longer));
  CHECK_THROWS(std::invalid_argument, RegisterTable({}));
}

void wantsEnoughMemory() {
  TableSpec spec;
  spec.blockSize = 8;
  const auto table = std::make_shared<const RegisterTable>(encode(spec));
  CHECK_THROWS(std::invalid_argument, RegisterRegion(table, std::make_shared<RegisterMemory>(7)));
  // An empty block is a block.
  const auto empty = std::make_shared<const RegisterTable>(encode(TableSpec{}));
  RegisterRegion region(empty, std::make_shared<RegisterMemory>(0));
  std::array<std::byte, 4> data{std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}};
  CHECK(region.write(0, data) == Served::done);
  CHECK(region.read(0, data) == Served::done);
  CHECK(data == (std::array<std::byte, 4>{}));
  CHECK(region.read(~uint64_t{0} - 4095, data) == Served::done);
}

}  // namespace

int main() {
  equalsTheModel();
  survivesAnyBytes();
  namesWhatIsWrong();
  wantsEnoughMemory();
}

#include "registers/register_table.h"

#include <bit>
#include <cstring>
#include <stdexcept>
#include <string>

namespace mdev {

// The table is used where it lies; a big-endian machine would have to swap it first.
static_assert(std::endian::native == std::endian::little);

namespace {

struct Header {
  uint32_t magic;
  uint32_t version;
  uint32_t entryCount;
  uint32_t ruleCount;
  uint32_t directoryCount;
  uint32_t indexPageCount;
  uint32_t blockSize;
  uint32_t memorySize;
  uint32_t lockOffset;
  uint32_t stageOffset;
  uint32_t reserved[2];
};
static_assert(sizeof(Header) == 48);

constexpr uint64_t kPage = 4096;
constexpr uint64_t kIndexPageBytes = kPage * sizeof(uint16_t);
constexpr uint16_t kAbsentPage = 0xffff;
/// Index slots are 16 bits wide and 0 means none.
constexpr uint32_t kEntriesMax = 0xffff;
constexpr uint64_t kStageBytes = 16;

[[noreturn]] void fail(const std::string& what) { throw std::invalid_argument("register table: " + what); }

void require(bool condition, const char* what) {
  if (!condition) fail(what);
}

uint64_t roundUp(uint64_t value, uint64_t to) { return (value + to - 1) / to * to; }

Header readHeader(std::span<const std::byte> bytes) {
  require(bytes.size() >= sizeof(Header), "shorter than its header");
  Header header;
  std::memcpy(&header, bytes.data(), sizeof(header));
  require(header.magic == kRegisterTableMagic, "wrong magic number");
  require(header.version == kRegisterTableVersion, "unknown version");
  require(header.reserved[0] == 0 && header.reserved[1] == 0, "reserved words are not zero");
  require(header.entryCount <= kEntriesMax, "too many registers");
  require(header.directoryCount == (uint64_t{header.blockSize} + kPage - 1) / kPage,
          "the page directory does not fit the block");
  require(header.indexPageCount <= header.directoryCount && header.indexPageCount < kAbsentPage,
          "too many index pages");
  require(header.memorySize >= header.blockSize, "the memory is smaller than the block");
  require(header.lockOffset % sizeof(uint32_t) == 0, "misaligned lock words");
  require(header.stageOffset % sizeof(uint64_t) == 0, "misaligned staging slots");
  return header;
}

}  // namespace

RegisterTable::RegisterTable(std::span<const std::byte> bytes) {
  const Header header = readHeader(bytes);
  const uint64_t entries = sizeof(Header);
  const uint64_t rules = entries + uint64_t{header.entryCount} * sizeof(RegisterEntry);
  const uint64_t directory = rules + uint64_t{header.ruleCount} * sizeof(LockRule);
  const uint64_t pages = directory + roundUp(uint64_t{header.directoryCount} * sizeof(uint16_t), sizeof(uint64_t));
  require(bytes.size() == pages + header.indexPageCount * kIndexPageBytes, "its length does not fit its header");

  bytes_.resize(bytes.size() / sizeof(uint64_t));
  std::memcpy(bytes_.data(), bytes.data(), bytes.size());
  const auto* base = reinterpret_cast<const std::byte*>(bytes_.data());
  entries_ = {reinterpret_cast<const RegisterEntry*>(base + entries), header.entryCount};
  rules_ = {reinterpret_cast<const LockRule*>(base + rules), header.ruleCount};
  blockSize_ = header.blockSize;
  memorySize_ = header.memorySize;
  lockOffset_ = header.lockOffset;
  stageOffset_ = header.stageOffset;

  const auto* numbers = reinterpret_cast<const uint16_t*>(base + directory);
  const auto* firstPage = reinterpret_cast<const uint16_t*>(base + pages);
  pages_.resize(header.directoryCount, nullptr);
  for (uint64_t page = 0; page < pages_.size(); ++page) {
    if (numbers[page] == kAbsentPage) continue;
    require(numbers[page] < header.indexPageCount, "the page directory names an index page that does not exist");
    pages_[page] = firstPage + numbers[page] * kPage;
  }

  for (const LockRule& rule : rules_) {
    require(lockOffset_ >= blockSize_, "lock words inside the block");
    require(lockOffset_ + (uint64_t{rule.word} + 1) * sizeof(uint32_t) <= memorySize_,
            "a lock word outside the memory");
  }
  for (std::size_t index = 0; index < entries_.size(); ++index) checkEntry(index);
  checkIndex();
}

void RegisterTable::checkEntry(std::size_t index) const {
  const RegisterEntry& entry = entries_[index];
  const auto check = [&](bool condition, const char* what) {
    if (!condition) fail("register " + std::to_string(index) + ": " + what);
  };
  check(entry.size == 1 || entry.size == 2 || entry.size == 4 || entry.size == 8, "a size other than 1, 2, 4 or 8");
  check(entry.offset % entry.size == 0, "not aligned to its size");
  check(uint64_t{entry.offset} + entry.size <= blockSize_, "outside of the block");
  if (index > 0) {
    const RegisterEntry& before = entries_[index - 1];
    check(entry.offset >= uint64_t{before.offset} + before.size, "overlaps the one before, or out of order");
  }
  check(entry.flags < 16, "unknown flags");
  check(entry.widths < 16, "unknown widths");
  check((entry.flags & RegisterEntry::shared) == 0 || entry.size >= 4, "shared, but neither 4 nor 8 bytes");
  check(uint64_t{entry.firstRule} + entry.ruleCount <= rules_.size(), "lock rules that do not exist");
  check(((entry.flags & RegisterEntry::commitLast) != 0) == (entry.stageIndex != kNoStage),
        "a staging slot without staged commit, or the reverse");
  if (entry.stageIndex != kNoStage) {
    check(stageOffset_ >= blockSize_, "staging slots inside the block");
    check(stageOffset_ + (uint64_t{entry.stageIndex} + 1) * kStageBytes <= memorySize_,
          "a staging slot outside the memory");
  }
  const uint64_t bits = entry.size == 8 ? ~uint64_t{0} : (uint64_t{1} << (8 * entry.size)) - 1;
  const uint64_t planes = entry.read | entry.write | entry.w1c | entry.w1s | entry.w0c | entry.rc;
  check((planes & ~bits) == 0, "bits beyond its size");
}

// Both ways: every byte of every register is indexed, and every index slot leads to the register that holds its byte.
void RegisterTable::checkIndex() const {
  uint64_t registerBytes = 0;
  for (const RegisterEntry& entry : entries_) registerBytes += entry.size;
  uint64_t indexedBytes = 0;
  for (uint64_t page = 0; page < pages_.size(); ++page) {
    if (pages_[page] == nullptr) continue;
    for (uint64_t byte = 0; byte < kPage; ++byte) {
      const uint16_t slot = pages_[page][byte];
      if (slot == 0) continue;
      require(slot <= entries_.size(), "the index names a register that does not exist");
      const RegisterEntry& entry = entries_[slot - 1];
      const uint64_t offset = page * kPage + byte;
      require(offset >= entry.offset && offset < uint64_t{entry.offset} + entry.size,
              "the index leads to a register elsewhere");
      ++indexedBytes;
    }
  }
  require(indexedBytes == registerBytes, "the index misses bytes of a register");
}

}  // namespace mdev

// The compiled form of a register block, shared by all instances of a type.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace mdev {

/// One register, as `compile` lays it out (64 bytes, little-endian). The planes are masks of the register's bits.
struct RegisterEntry {
  enum Flag : uint8_t { trapRead = 1, trapWrite = 2, shared = 4, commitLast = 8 };

  uint32_t offset;      ///< bytes from the block's start; a multiple of `size`
  uint8_t size;         ///< bytes: 1, 2, 4 or 8
  uint8_t flags;        ///< Flag
  uint8_t widths;       ///< bit n: a write of 2^n bytes is taken; 0: any number of bytes is
  uint8_t ruleCount;    ///< lock rules
  uint32_t firstRule;   ///< index of the first one
  uint32_t stageIndex;  ///< staging slot, or kNoStage
  uint64_t read;        ///< bits that a read shows
  uint64_t write;       ///< bits that a write replaces
  uint64_t w1c;         ///< bits that writing 1 clears
  uint64_t w1s;         ///< bits that writing 1 sets
  uint64_t w0c;         ///< bits that writing 0 clears
  uint64_t rc;          ///< bits that a read clears
};
static_assert(sizeof(RegisterEntry) == 64);

/// Register bits that a write leaves alone while any lock of `mask` is held.
struct LockRule {
  uint32_t word;  ///< index of the lock word
  uint32_t mask;  ///< locks in it
  uint64_t bits;  ///< frozen bits of the register
};
static_assert(sizeof(LockRule) == 16);

inline constexpr uint32_t kRegisterTableMagic = 0x6d726567;
inline constexpr uint32_t kRegisterTableVersion = 1;
inline constexpr uint32_t kNoStage = 0xffffffff;

/// A validated table: whatever bytes it was made of, following its indices and offsets stays inside it and inside a
/// RegisterMemory of `memorySize()` bytes. Immutable, any thread.
class RegisterTable {
 public:
  /// Copies `bytes`. Throws std::invalid_argument that names what is wrong.
  explicit RegisterTable(std::span<const std::byte> bytes);
  RegisterTable(const RegisterTable&) = delete;
  RegisterTable& operator=(const RegisterTable&) = delete;

  uint32_t blockSize() const { return blockSize_; }
  uint32_t memorySize() const { return memorySize_; }
  uint32_t lockOffset() const { return lockOffset_; }
  uint32_t stageOffset() const { return stageOffset_; }

  /// Index page of the 4 KiB page that holds `offset`: for each byte 0 or 1 + the index of its register. Null when no
  /// register lives there. Any offset.
  const uint16_t* page(uint64_t offset) const {
    const uint64_t number = offset >> 12;
    return number < pages_.size() ? pages_[number] : nullptr;
  }
  const RegisterEntry& entry(std::size_t index) const { return entries_[index]; }
  std::span<const RegisterEntry> entries() const { return entries_; }
  std::span<const LockRule> rules(const RegisterEntry& entry) const {
    return rules_.subspan(entry.firstRule, entry.ruleCount);
  }

 private:
  void checkEntry(std::size_t index) const;
  void checkIndex() const;

  std::vector<uint64_t> bytes_;  ///< the copy; 8-byte words for their alignment
  std::span<const RegisterEntry> entries_;
  std::span<const LockRule> rules_;
  std::vector<const uint16_t*> pages_;
  uint32_t blockSize_ = 0;
  uint32_t memorySize_ = 0;
  uint32_t lockOffset_ = 0;
  uint32_t stageOffset_ = 0;
};

}  // namespace mdev

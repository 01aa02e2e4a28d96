// What registers do, one bit at a time: the reference for the native dispatcher.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "support/table_builder.h"

namespace mdev::test {

/// The registers of one table, as slowly and plainly as possible.
class RegisterModel {
 public:
  explicit RegisterModel(const TableSpec& spec) : spec_(spec), locks_(spec.lockWords) {}

  uint64_t dropped = 0;
  uint64_t frozen = 0;

  void setLock(uint32_t word, uint32_t bits) { locks_[word] = bits; }
  uint64_t value(std::size_t index) const { return get(values_, index); }

  /// False: the access traps.
  bool read(uint64_t offset, std::span<std::byte> data) {
    if (traps(offset, data.size(), RegisterEntry::trapRead)) return false;
    for (std::byte& byte : data) byte = std::byte{0};
    for (std::size_t i = 0; i < spec_.entries.size(); ++i) {
      const RegisterEntry& entry = spec_.entries[i];
      for (int bit = 0; bit < entry.size * 8; ++bit) {
        const uint64_t at = entry.offset + bit / 8;
        if (at < offset || at >= offset + data.size()) continue;
        if (is(entry.read, bit) && is(values_[i], bit)) data[at - offset] |= std::byte{1} << (bit % 8);
        if (is(entry.rc, bit)) set(values_[i], bit, false);
      }
    }
    return true;
  }

  bool write(uint64_t offset, std::span<const std::byte> data) {
    if (traps(offset, data.size(), RegisterEntry::trapWrite)) return false;
    for (std::size_t i = 0; i < spec_.entries.size(); ++i) writeRegister(i, offset, data);
    return true;
  }

 private:
  static bool is(uint64_t value, int bit) { return (value >> bit & 1) != 0; }
  static void set(uint64_t& value, int bit, bool to) {
    value = to ? value | uint64_t{1} << bit : value & ~(uint64_t{1} << bit);
  }
  static uint64_t get(const std::map<std::size_t, uint64_t>& values, std::size_t index) {
    const auto found = values.find(index);
    return found == values.end() ? 0 : found->second;
  }

  bool traps(uint64_t offset, std::size_t size, uint8_t trap) const {
    for (const RegisterEntry& entry : spec_.entries) {
      if ((entry.flags & trap) != 0 && entry.offset < offset + size && offset < entry.offset + entry.size) return true;
    }
    return false;
  }

  bool isFrozen(const RegisterEntry& entry, int bit) const {
    for (uint32_t rule = entry.firstRule; rule < entry.firstRule + entry.ruleCount; ++rule) {
      if ((locks_[spec_.rules[rule].word] & spec_.rules[rule].mask) != 0 && is(spec_.rules[rule].bits, bit))
        return true;
    }
    return false;
  }

  void writeRegister(std::size_t index, uint64_t offset, std::span<const std::byte> data) {
    const RegisterEntry& entry = spec_.entries[index];
    std::map<int, bool> bits;  // what is written, by bit of the register
    int carried = 0;
    for (int byte = 0; byte < entry.size; ++byte) {
      const uint64_t at = entry.offset + byte;
      if (at < offset || at >= offset + data.size()) continue;
      ++carried;
      for (int bit = 0; bit < 8; ++bit) {
        bits[byte * 8 + bit] = is(static_cast<uint64_t>(data[at - offset]), bit);
      }
    }
    if (carried == 0) return;
    const std::map<int, int> widthBit = {{1, 0}, {2, 1}, {4, 2}, {8, 3}};
    if (entry.widths != 0 && (!widthBit.contains(carried) || !is(entry.widths, widthBit.at(carried)))) {
      ++dropped;
      return;
    }
    if ((entry.flags & RegisterEntry::commitLast) != 0) {
      auto& staged = staged_[index];
      for (const auto& [bit, one] : bits) staged[bit] = one;
      if (!bits.contains(entry.size * 8 - 1)) return;
      bits = staged;
      staged.clear();
    }
    std::erase_if(bits, [&](const auto& item) { return isFrozen(entry, item.first); });
    if (bits.empty()) {
      ++frozen;
      return;
    }
    for (const auto& [bit, one] : bits) {
      uint64_t& value = values_[index];
      if (is(entry.write, bit)) set(value, bit, one);
      if (is(entry.w1c, bit) && one) set(value, bit, false);
      if (is(entry.w1s, bit) && one) set(value, bit, true);
      if (is(entry.w0c, bit) && !one) set(value, bit, false);
    }
  }

  const TableSpec& spec_;
  std::vector<uint32_t> locks_;
  std::map<std::size_t, uint64_t> values_;
  std::map<std::size_t, std::map<int, bool>> staged_;
};

}  // namespace mdev::test

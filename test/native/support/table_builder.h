// Register tables made by hand, for native tests: an encoder of its own, apart from the TypeScript one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "registers/register_table.h"

namespace mdev::test {

/// A table before it is encoded. Rules of an entry are those it names by firstRule and ruleCount.
struct TableSpec {
  uint32_t blockSize = 0;
  uint32_t lockWords = 0;
  uint32_t stages = 0;
  std::vector<RegisterEntry> entries;
  std::vector<LockRule> rules;

  uint32_t lockOffset() const { return (blockSize + 7) / 8 * 8; }
  uint32_t stageOffset() const { return lockOffset() + (lockWords + 1) / 2 * 8; }
  uint32_t memorySize() const { return stageOffset() + stages * 16; }
};

/// A register without flags, locks and bits.
inline RegisterEntry plainEntry(uint32_t offset, uint8_t size) {
  RegisterEntry entry{};
  entry.offset = offset;
  entry.size = size;
  entry.stageIndex = kNoStage;
  return entry;
}

inline std::vector<std::byte> encode(const TableSpec& spec) {
  std::vector<std::byte> bytes;
  const auto put = [&bytes](const void* from, std::size_t size) {
    const auto* first = static_cast<const std::byte*>(from);
    bytes.insert(bytes.end(), first, first + size);
  };
  const uint32_t pages = (spec.blockSize + 4095) / 4096;
  std::vector<uint16_t> directory((pages + 3) / 4 * 4, 0);
  std::vector<uint16_t> index;
  for (uint32_t page = 0; page < pages; ++page) directory[page] = 0xffff;
  for (std::size_t i = 0; i < spec.entries.size(); ++i) {
    const RegisterEntry& entry = spec.entries[i];
    for (uint32_t at = entry.offset; at < entry.offset + entry.size; ++at) {
      uint16_t& page = directory[at / 4096];
      if (page == 0xffff) {
        page = static_cast<uint16_t>(index.size() / 4096);
        index.resize(index.size() + 4096);
      }
      index[page * 4096 + at % 4096] = static_cast<uint16_t>(i + 1);
    }
  }
  const uint32_t header[12] = {kRegisterTableMagic,
                               kRegisterTableVersion,
                               static_cast<uint32_t>(spec.entries.size()),
                               static_cast<uint32_t>(spec.rules.size()),
                               pages,
                               static_cast<uint32_t>(index.size() / 4096),
                               spec.blockSize,
                               spec.memorySize(),
                               spec.lockOffset(),
                               spec.stageOffset(),
                               0,
                               0};
  put(header, sizeof(header));
  put(spec.entries.data(), spec.entries.size() * sizeof(RegisterEntry));
  put(spec.rules.data(), spec.rules.size() * sizeof(LockRule));
  put(directory.data(), directory.size() * sizeof(uint16_t));
  put(index.data(), index.size() * sizeof(uint16_t));
  return bytes;
}

}  // namespace mdev::test

#include "core/interrupt_state.h"

#include <cstdint>

#include "base/state_archive.h"

namespace mdev {

namespace {

constexpr uint32_t kVersion = 1;
constexpr uint32_t kAsserted = 1;
constexpr uint32_t kMasked = 2;
constexpr uint32_t kDisabled = 4;
constexpr uint32_t kWordsMax = kMsixVectorsMax / 32;

template <typename Self, typename Archive>
void exchangeIntx(Self& intx, Archive& archive) {
  uint32_t bits = (intx.asserted ? kAsserted : 0) | (intx.masked ? kMasked : 0) | (intx.disabled ? kDisabled : 0);
  archive.value(bits);
  archive.require((bits & ~(kAsserted | kMasked | kDisabled)) == 0);
  if constexpr (Archive::kReads) intx = {(bits & kAsserted) != 0, (bits & kMasked) != 0, (bits & kDisabled) != 0};
}

template <typename Self, typename Archive>
void exchangeTable(Self& table, Archive& archive) {
  uint32_t allMasked = table.allMasked ? 1 : 0;
  auto words = static_cast<uint32_t>(table.masked.size());
  archive.value(allMasked);
  archive.value(words);
  archive.require(allMasked <= 1 && words <= kWordsMax);
  if constexpr (Archive::kReads) {
    archive.require(words <= archive.left() / (2 * sizeof(uint32_t)));
    if (!archive.good()) return;
    table.allMasked = allMasked != 0;
    table.masked.resize(words);
    table.pending.resize(words);
  }
  for (auto& word : table.masked) archive.value(word);
  for (auto& word : table.pending) archive.value(word);
}

template <typename Self, typename Archive>
void exchange(Self& state, Archive& archive) {
  uint32_t version = kVersion;
  archive.value(version);
  archive.require(version == kVersion);
  uint32_t enabled = state.enabled ? *state.enabled + 1 : 0;
  archive.value(enabled);
  if constexpr (Archive::kReads) {
    if (enabled != 0) state.enabled = enabled - 1;
  }
  archive.value(state.enabledVectors);
  exchangeIntx(state.intx, archive);
  for (auto& table : state.tables) exchangeTable(table, archive);
}

}  // namespace

std::vector<std::byte> encode(const InterruptState& state) {
  StateWriter archive;
  exchange(state, archive);
  return archive.take();
}

std::optional<InterruptState> decodeInterruptState(std::span<const std::byte> bytes) {
  StateReader archive(bytes);
  InterruptState state;
  exchange(state, archive);
  if (!archive.good() || archive.left() != 0) return std::nullopt;
  return state;
}

}  // namespace mdev

#include "core/interrupt_state.h"

#include <cstdint>
#include <cstring>

namespace mdev {

namespace {

constexpr uint32_t kVersion = 1;
constexpr uint32_t kAsserted = 1;
constexpr uint32_t kMasked = 2;
constexpr uint32_t kDisabled = 4;
constexpr uint32_t kWordsMax = kMsixVectorsMax / 32;

/// Takes words off the front; asked for more than there are, it gives zeros and remembers.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  uint32_t word() {
    uint32_t value = 0;
    if (bytes_.size() < sizeof(value)) {
      short_ = true;
      return 0;
    }
    std::memcpy(&value, bytes_.data(), sizeof(value));
    bytes_ = bytes_.subspan(sizeof(value));
    return value;
  }
  std::vector<uint32_t> words(uint32_t count) {
    std::vector<uint32_t> values(count);
    for (uint32_t& value : values) value = word();
    return values;
  }
  /// Everything was there, and nothing is left.
  bool exact() const { return !short_ && bytes_.empty(); }

 private:
  std::span<const std::byte> bytes_;
  bool short_ = false;
};

}  // namespace

std::vector<std::byte> encode(const InterruptState& state) {
  const IntxState& intx = state.intx;
  std::vector<uint32_t> words = {
      kVersion, state.enabled ? *state.enabled + 1 : 0, state.enabledVectors,
      (intx.asserted ? kAsserted : 0) | (intx.masked ? kMasked : 0) | (intx.disabled ? kDisabled : 0)};
  for (const IrqTableState& table : state.tables) {
    words.push_back(table.allMasked ? 1 : 0);
    words.push_back(static_cast<uint32_t>(table.masked.size()));
    words.insert(words.end(), table.masked.begin(), table.masked.end());
    words.insert(words.end(), table.pending.begin(), table.pending.end());
  }
  std::vector<std::byte> bytes(words.size() * sizeof(uint32_t));
  std::memcpy(bytes.data(), words.data(), bytes.size());
  return bytes;
}

std::optional<InterruptState> decodeInterruptState(std::span<const std::byte> bytes) {
  Reader reader(bytes);
  if (reader.word() != kVersion) return std::nullopt;
  InterruptState state;
  if (const uint32_t enabled = reader.word(); enabled != 0) state.enabled = enabled - 1;
  state.enabledVectors = reader.word();
  const uint32_t intx = reader.word();
  if ((intx & ~(kAsserted | kMasked | kDisabled)) != 0) return std::nullopt;
  state.intx = {(intx & kAsserted) != 0, (intx & kMasked) != 0, (intx & kDisabled) != 0};
  for (IrqTableState& table : state.tables) {
    const uint32_t allMasked = reader.word();
    const uint32_t words = reader.word();
    if (allMasked > 1 || words > kWordsMax) return std::nullopt;
    table.allMasked = allMasked != 0;
    table.masked = reader.words(words);
    table.pending = reader.words(words);
  }
  if (!reader.exact()) return std::nullopt;
  return state;
}

}  // namespace mdev

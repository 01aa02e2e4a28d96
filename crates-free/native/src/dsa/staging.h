// What an operation has taken from one operand and not yet given to another.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace mdev::dsa {

/// Bytes that an operation collects, works on and hands over as a whole, such as a block with its integrity field. They
/// are the engine's own: the guest cannot change them between a check and a use. Of one descriptor at a time.
struct Staging {
  /// The largest block, 4104 bytes, with its integrity field.
  static constexpr uint32_t kSize = 4104 + 8;

  /// Bytes that are there, and those of them that the operation is done with.
  uint32_t filled = 0;
  uint32_t drained = 0;
  /// They are complete, and on their way out.
  bool draining = false;
  std::array<std::byte, kSize> data;

  // Written out, so that making one does not clear the data.
  Staging() {}

  void clear() {
    filled = drained = 0;
    draining = false;
  }
  /// `bytes` of what is there go out.
  void drain(uint32_t bytes) {
    filled = bytes;
    drained = 0;
    draining = true;
  }

  template <typename Self, typename Archive>
  static void exchange(Self& self, Archive& archive) {
    archive.value(self.filled);
    archive.value(self.drained);
    archive.choice(self.draining);
    if constexpr (Archive::kReads) {
      archive.require(self.filled <= kSize && self.drained <= self.filled);
      if (!archive.good()) self.clear();
    }
    archive.bytes(std::span(self.data).first(self.filled));
  }
};

}  // namespace mdev::dsa

// What is left of a write by message when its device is suspended.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "memory/message_dma.h"

namespace mdev::dsa {

/// A write in a device's state: how it ended, and what has to go out again if it was cancelled.
struct SuspendedWrite {
  enum class Outcome : uint8_t { none, arrived, failed, cancelled };

  Outcome outcome = Outcome::none;
  /// Of a cancelled one, 1 to kMessageDmaMax bytes.
  uint64_t address = 0;
  std::vector<std::byte> data;

  /// Takes no more memory than the state has bytes for. May throw std::bad_alloc.
  template <typename Self, typename Archive>
  static void exchange(Self& self, Archive& archive) {
    archive.choice(self.outcome, static_cast<uint8_t>(Outcome::cancelled));
    if (self.outcome != Outcome::cancelled) return;
    auto count = static_cast<uint32_t>(self.data.size());
    archive.value(self.address);
    archive.value(count);
    if constexpr (Archive::kReads) {
      archive.require(count >= 1 && count <= kMessageDmaMax && count <= archive.left());
      if (!archive.good()) return;
      self.data.resize(count);
    }
    archive.bytes(self.data);
  }
};

}  // namespace mdev::dsa

// Changes of shared register words that engines make for the device model, as data.
#pragma once

#include <cstdint>

#include "registers/register_memory.h"

namespace mdev {

/// One change of an aligned 32-bit word of a region's memory: a shared register, or a word of locks.
struct RegisterEffect {
  enum class Operation : uint8_t { store, setBits, keepBits };

  uint32_t offset;
  Operation operation;
  uint32_t value;

  /// The word lies inside and is aligned: checked once, before the effect is kept.
  bool fits(const RegisterMemory& memory) const {
    return offset % sizeof(uint32_t) == 0 && offset < memory.size() && memory.size() - offset >= sizeof(uint32_t);
  }

  void apply(const RegisterMemory& memory) const {
    const std::atomic_ref<uint32_t> word = memory.word32(offset);
    switch (operation) {
      case Operation::store:
        word.store(value, std::memory_order_release);
        break;
      case Operation::setBits:
        word.fetch_or(value, std::memory_order_release);
        break;
      case Operation::keepBits:
        word.fetch_and(value, std::memory_order_release);
        break;
    }
  }
};

}  // namespace mdev

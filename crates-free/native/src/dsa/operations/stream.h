// Operations whose operands are walked side by side, byte for byte.
#pragma once

#include <cstdint>
#include <span>

#include "dsa/operations/cursor.h"

namespace mdev::dsa {

/// Works on `length` bytes at the pointers, in the operands' order. Returns how many of them went well: fewer than
/// `length` end the operation there. The memory may change meanwhile; each byte is read once.
using Kernel = uint64_t (*)(Execution& execution, std::byte* const* pointers, uint64_t length);

/// Walks the operands (sources first, at most GuestAccess::kSlots) from `done` to the descriptor's size. `finished`
/// means a complete transfer (success), a stop by the kernel (success, with `done` where it stopped), or a fault, with
/// all its fields.
Step stream(Execution& execution, GuestAccess& memory, Budget& budget, std::span<const Operand> operands, Kernel kernel,
            Walk walk = Walk::forward);

}  // namespace mdev::dsa

// What the engine executes for an operation code.
#pragma once

#include "dsa/execution.h"

namespace mdev::dsa {

/// Works until the budget is spent, a message is missing, or the operation ends; then `completion` says how. Called
/// again until it ends.
using Operation = Step (*)(Execution& execution, GuestAccess& memory, Budget& budget);

/// Whether the descriptor's data goes to memory, past the caches: a move of some size whose cache control says so (DSA
/// specification 8.1.2).
bool passesCaches(const Descriptor& descriptor);

Step memoryMove(Execution& execution, GuestAccess& memory, Budget& budget);
Step dualcast(Execution& execution, GuestAccess& memory, Budget& budget);
Step fill(Execution& execution, GuestAccess& memory, Budget& budget);
Step compare(Execution& execution, GuestAccess& memory, Budget& budget);
Step comparePattern(Execution& execution, GuestAccess& memory, Budget& budget);
Step crcGeneration(Execution& execution, GuestAccess& memory, Budget& budget);
Step copyWithCrc(Execution& execution, GuestAccess& memory, Budget& budget);

/// The operation that works on memory, or null for those that do not (no-op, batch, drain) and those that are not
/// there.
Operation operationOf(uint8_t opcode);

}  // namespace mdev::dsa

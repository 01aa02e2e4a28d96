// From an operand into staging, and from there into another.
#pragma once

#include "dsa/operations/cursor.h"

namespace mdev::dsa {

/// Reads on until staging has `count` bytes; the cursor is where they end. `ready` when they are there. After a fault
/// staging has what came before it, and the cursor is where it is.
AccessResult gather(GuestAccess& memory, Cursor& from, uint32_t count);

/// Writes on until staging is drained; the cursor is where that has got to. A fault leaves both there: everything
/// before it is written.
AccessResult scatter(Execution& execution, GuestAccess& memory, Cursor& to);

/// Whether staging says of itself what it may, with what is being sent of it.
bool stagingPlausible(const Execution& execution, const Staging& staging);

}  // namespace mdev::dsa

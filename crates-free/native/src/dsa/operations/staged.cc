#include "dsa/operations/staged.h"

#include <algorithm>
#include <cstring>

namespace mdev::dsa {

AccessResult gather(GuestAccess& memory, Cursor& from, uint32_t count) {
  Staging& staging = memory.staging();
  while (staging.filled < count) {
    // All that is left, because what comes by message comes for what follows, too.
    const AccessResult result = from.acquire(memory, std::min(from.left(), kChunk));
    if (result != AccessResult::ready) return result;
    const auto length = static_cast<uint32_t>(std::min<uint64_t>(from.available(), count - staging.filled));
    std::memcpy(staging.data.data() + staging.filled, from.bytes(length), length);
    if (!from.release(memory, length)) return AccessResult::fault;
    staging.filled += length;
    from.advance(length);
  }
  return AccessResult::ready;
}

AccessResult scatter(Execution& execution, GuestAccess& memory, Cursor& to) {
  Staging& staging = memory.staging();
  for (;;) {
    if (execution.sending != 0) {
      if (memory.outstanding()) return AccessResult::parked;
      if (to.sent(memory) == AccessResult::fault) return AccessResult::fault;
      staging.drained += execution.sending;
      to.advance(execution.sending);
      execution.sending = 0;
    }
    if (staging.drained == staging.filled) return AccessResult::ready;
    const AccessResult result = to.acquire(memory, staging.filled - staging.drained);
    if (result != AccessResult::ready) return result;
    const auto length = static_cast<uint32_t>(to.available());
    std::memcpy(to.bytes(length), staging.data.data() + staging.drained, length);
    if (!to.release(memory, length)) return AccessResult::fault;
    if (to.sends()) {
      execution.sending = length;
      to.send(memory, length);
    } else {
      staging.drained += length;
      to.advance(length);
    }
  }
}

bool stagingPlausible(const Execution& execution, const Staging& staging) {
  if (!staging.draining) return staging.drained == 0 && execution.sending == 0;
  return execution.sending <= staging.filled - staging.drained;
}

}  // namespace mdev::dsa

// What the engine executes for an operation code.
#pragma once

#include "dsa/execution.h"
#include "dsa/limits.h"

namespace mdev::dsa {

/// An operation that works on memory: everything about it that is not in its row of the facts.
struct Operation {
  /// Works until the budget is spent, a message is missing, or the operation ends; then `completion` says how. Called
  /// again until it ends.
  Step (*execute)(Execution& execution, GuestAccess& memory, Budget& budget);
  /// The rules that its fields have beyond the facts: the status of the one that is broken, or 0. Null: none.
  uint8_t (*check)(const Descriptor& descriptor, const Capabilities& capabilities, const QueueLimits& limits) = nullptr;
  /// Whether it could have come to this state by itself; asked of one that is restored. Null: it is a stream.
  bool (*plausible)(const Execution& execution, const Staging& staging) = nullptr;
  /// It uses staging: that, and its state, are saved behind what every descriptor has.
  bool staged = false;
  /// With one of these flags it has a state of its own, which is saved as if it used staging.
  uint32_t flagsWithState = 0;
};

/// Whether the descriptor's data goes to memory, past the caches: a move of some size whose cache control says so (DSA
/// specification 8.1.2).
bool passesCaches(const Descriptor& descriptor);

extern const Operation kMemoryMove;
extern const Operation kFill;
extern const Operation kCompare;
extern const Operation kComparePattern;
extern const Operation kCreateDelta;
extern const Operation kApplyDelta;
extern const Operation kDualcast;
extern const Operation kTranslationFetch;
extern const Operation kCrcGeneration;
extern const Operation kCopyWithCrc;
extern const Operation kDifCheck;
extern const Operation kDifInsert;
extern const Operation kDifStrip;
extern const Operation kDifUpdate;
extern const Operation kDixGenerate;
extern const Operation kTypeConversion;
extern const Operation kReduce;
extern const Operation kReduceDualcast;
extern const Operation kCacheFlush;

/// Whether [first, first + firstSize) and [second, second + secondSize) share a byte; addresses count modulo 2^64.
constexpr bool overlap(uint64_t first, uint64_t firstSize, uint64_t second, uint64_t secondSize) {
  return second - first < firstSize || first - second < secondSize;
}

}  // namespace mdev::dsa

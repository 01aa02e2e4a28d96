// Drain, and what it reads back. DSA specification 3.9 and 8.3.3.
#include "dsa/flags.h"
#include "dsa/status.h"
#include "engine/job.h"
#include "engine/queue_run.h"

namespace mdev {
namespace {

using dsa::AccessResult;
using dsa::FaultOperand;
using dsa::Step;

/// What a drain reads back, so that the writes before it have arrived: where its address is, and the slot for it.
struct Readback {
  uint32_t flag;
  std::size_t field;
  unsigned slot;
  FaultOperand operand;
};
constexpr Readback kReadbacks[] = {{dsa::kFlagReadback1, 16, 0, FaultOperand::source1},
                                   {dsa::kFlagReadback2, 24, 1, FaultOperand::source2}};

}  // namespace

Step Job::drain(Unit& unit, dsa::Budget& budget) {
  if (!run_->waitForEarlier(*this)) return Step::parked;
  dsa::Execution& execution = unit.execution;
  bool parked = false;
  for (const Readback& readback : kReadbacks) {
    if (!execution.descriptor.has(readback.flag)) continue;
    const auto address = execution.descriptor.at<uint64_t>(readback.field);
    dsa::Piece piece;
    const AccessResult result = memory_.read(readback.slot, dsa::Walk::forward, address, 1, piece);
    if (result == AccessResult::parked) {
      parked = true;
      continue;
    }
    bool good = result == AccessResult::ready;
    if (good) {
      static_cast<void>(*static_cast<const volatile std::byte*>(piece.pointer));
      budget.take(1);
      good = memory_.finish(piece, piece.pointer, 1, false);
    }
    if (good) continue;
    // The other one's answer has to arrive first.
    if (parked) return Step::parked;
    execution.completion.status = dsa::kStatusReadbackFault;
    execution.completion.faultAddress = address;
    execution.completion.faultOperand = readback.operand;
    return Step::finished;
  }
  if (parked) return Step::parked;
  execution.completion.status = dsa::kStatusSuccess;
  if (run_->recordLogged()) endsInLog_ = true;
  return Step::finished;
}

}  // namespace mdev

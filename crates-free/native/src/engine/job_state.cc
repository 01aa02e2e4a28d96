// What is left of a descriptor when its device is suspended, and going on with it elsewhere.
#include <algorithm>

#include "base/state_archive.h"
#include "dsa/check.h"
#include "dsa/execution_state.h"
#include "dsa/flags.h"
#include "dsa/opcode.h"
#include "engine/device_context.h"
#include "engine/job.h"
#include "engine/queue_run.h"

namespace mdev {
namespace {

using dsa::Execution;

}  // namespace

template <typename Self, typename Archive>
void Job::exchange(Self& self, Archive& archive, [[maybe_unused]] bool aborted) {
  const auto unit = [&](auto& own) {
    dsa::exchangeExecution(own.execution, archive);
    archive.choice(own.stage, static_cast<uint8_t>(Stage::recordStatus));
    archive.choice(own.handleGood);
    if (own.stage == Stage::operate) dsa::exchangeStaged(own.execution, self.memory_.staging(), archive);
  };
  archive.value(self.sequence_);
  unit(self.own_);
  auto& batch = self.batch_;
  bool inBatch = self.own_.stage == Stage::operate && self.own_.execution.descriptor.opcode() == dsa::kOpBatch;
  archive.choice(inBatch);
  if (inBatch) {
    const uint32_t fetched = exchangeCount(archive, batch.fetched, static_cast<uint32_t>(batch.list.size()));
    if constexpr (Archive::kReads) batch.fetched = fetched;
    archive.bytes(std::span(batch.list).first(fetched));
    archive.value(batch.taken);
    archive.value(batch.begun);
    archive.value(batch.ended);
    archive.choice(batch.memberActive);
    archive.choice(batch.failed);
    if (batch.memberActive) unit(self.member_);
  }
  if constexpr (Archive::kReads) {
    self.memory_.restore(archive);
  } else {
    // Nobody sends it again for a descriptor that is aborted, and nobody asks then whether it was issued.
    self.memory_.save(archive, aborted && self.revealed() ? std::optional(kRecordSlot) : std::nullopt);
  }
}

const Job::Unit& Job::activeUnit() const {
  const bool inBatch = own_.stage == Stage::operate && own_.execution.descriptor.opcode() == dsa::kOpBatch;
  return inBatch && batch_.memberActive ? member_ : own_;
}

void Job::interrupted() {
  messages_.abandonedBefore.store(aborted() ? sequence_ + 1 : 0);
  retry_ = true;
  // What the client has refused is a fault.
  if (activeUnit().stage == Stage::recordStatus && memory_.wasCancelled(kRecordSlot) &&
      memory_.mayHaveArrived(kRecordSlot)) {
    memory_.takeAsArrived(kRecordSlot);
  }
}

/// What the operations take for granted, because `check` has seen to it, or because they have left it so.
bool Job::plausible(const QueueRun& run) const {
  const DeviceContext& device = *run.device;
  // Members act for whom their batch does.
  const dsa::QueueLimits& limits = run.limitsOf(submitterOf(run.config, own_.execution.descriptor));
  const auto unitPlausible = [&](const Unit& unit) {
    const Execution& execution = unit.execution;
    const dsa::Descriptor& descriptor = execution.descriptor;
    if (unit.handleGood && descriptor.interruptHandle() >= device.handles) return false;
    switch (unit.stage) {
      case Stage::check:
        return dsa::untouched(execution);
      case Stage::operate:
        return !dsa::check(descriptor, device.capabilities, limits, unit.member) &&
               dsa::plausible(execution, memory_.staging());
      case Stage::settle:
      case Stage::entry:
      case Stage::entrySent:
        return false;
      case Stage::recordBody:
      case Stage::recordStatus:
        break;
    }
    return execution.completion.status != 0 && descriptor.has(dsa::kFlagCompletionAddressValid) &&
           descriptor.completionAddress() % dsa::kCompletionRecordSize == 0;
  };
  if (!unitPlausible(own_)) return false;
  if (own_.stage != Stage::operate || own_.execution.descriptor.opcode() != dsa::kOpBatch) return true;
  const bool listPlausible = batch_.fetched % dsa::kDescriptorSize == 0 && batch_.taken % dsa::kDescriptorSize == 0 &&
                             batch_.taken <= batch_.fetched;
  const bool countsPlausible =
      batch_.begun <= own_.execution.descriptor.size() && batch_.ended + uint64_t{batch_.memberActive} == batch_.begun;
  return listPlausible && countsPlausible && (!batch_.memberActive || unitPlausible(member_));
}

bool Job::revealed() const {
  return activeUnit().stage == Stage::recordStatus &&
         (memory_.sent(kRecordSlot) == dsa::AccessResult::ready || memory_.mayHaveArrived(kRecordSlot));
}

std::optional<uint16_t> Job::dueInterrupt() const {
  const Unit& unit = activeUnit();
  if (!revealed() || !unit.handleGood) return std::nullopt;
  return unit.execution.descriptor.interruptHandle();
}

void Job::save(StateWriter& archive) const { exchange(*this, archive, aborted()); }

void Job::saveForgotten(StateWriter& archive) const {
  Job anew;
  anew.sequence_ = sequence_;
  anew.start(anew.own_, own_.execution.descriptor);
  anew.abort();
  anew.save(archive);
}

void Job::restore(StateReader& archive, const QueueRun& run) {
  exchange(*this, archive, false);
  busy_ = retry_ = true;
  // A batch has at most 2^15 members, if this is one.
  own_.member = false;
  member_.member = true;
  member_.batchIndex = static_cast<uint16_t>(batch_.begun - 1);
  archive.require(archive.good() && plausible(run));
}

}  // namespace mdev

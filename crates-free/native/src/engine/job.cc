#include "engine/job.h"

#include <cstring>
#include <utility>

#include "dsa/check.h"
#include "dsa/flags.h"
#include "dsa/opcode.h"
#include "dsa/operation_facts.h"
#include "dsa/operations/past_caches.h"
#include "dsa/status.h"
#include "engine/device_context.h"
#include "engine/engine.h"
#include "engine/queue_run.h"

namespace mdev {
namespace {

using dsa::Budget;
using dsa::Completion;
using dsa::Descriptor;
using dsa::Step;

/// Transfer size from which it pays to fetch the beginning of the operands ahead, bytes.
constexpr uint32_t kWorthPreparing = 16 * 1024;
/// What the processor's own fetching ahead needs to take over, bytes.
constexpr uint64_t kOperandHead = 512;

}  // namespace

Job::Job() = default;
Job::~Job() = default;

void Job::begin(std::shared_ptr<QueueRun> run, Engine& engine, uint64_t sequence, const Descriptor& descriptor,
                const Descriptor* next) {
  jobWaker_->setTarget(engine.parker());
  memory_.begin(*run->device->dma, waker_, messages_, sequence);
  run_ = std::move(run);
  busy_ = true;
  engine_ = &engine;
  sequence_ = sequence;
  waitsForEarlier_ = false;
  ending_.store(false, std::memory_order_relaxed);
  parked_.store(false, std::memory_order_relaxed);
  aborted_.store(false, std::memory_order_relaxed);
  abandoned_ = false;
  retry_ = adopted_ = endsInLog_ = false;
  own_.member = false;
  start(own_, descriptor);
  if (run_->isLog()) own_.stage = Stage::entry;
  upcoming_ = next != nullptr ? upcomingOf(*next) : Upcoming{};
}

void Job::adopt(std::shared_ptr<QueueRun> run, Engine& engine) {
  jobWaker_->setTarget(engine.parker());
  memory_.attach(*run->device->dma, waker_, messages_, sequence_);
  run_ = std::move(run);
  engine_ = &engine;
  adopted_ = true;
  parked_.store(false, std::memory_order_relaxed);
}

void Job::handBack() {
  run_.reset();
  engine_ = nullptr;
  waitsForEarlier_ = false;
}

Turn Job::endAbandoned(QueueRun& run) {
  // The caller has the run.
  run_ = std::shared_ptr<QueueRun>(std::shared_ptr<QueueRun>(), &run);
  const Turn last = turn();
  run_.reset();
  return last;
}

void Job::end() {
  busy_ = false;
  engine_ = nullptr;
  waitsForEarlier_ = false;
}

std::shared_ptr<QueueRun> Job::release() { return std::move(run_); }

bool Job::abandonIfAborted() {
  if (aborted()) abandoned_ = true;
  return abandoned_;
}

bool Job::ready() const {
  if (run_->device->suspended.load()) return run_->detached();
  // What was sent is answered or cancelled: only a run that is over for good does not wait for that.
  if (memory_.outstanding()) return run_->detached();
  if (aborted()) return true;
  return !waitsForEarlier_ || run_->earlierEnded(*this);
}

Turn Job::turn() {
  const Turn result = takeTurn();
  // Nothing that comes from now on is missed: it wakes the engine, which looks at what it has parked.
  if (result == Turn::parked && (memory_.outstanding() || waitsForEarlier_)) {
    parked_.store(true, std::memory_order_relaxed);
  }
  return result;
}

Turn Job::takeTurn() {
  // Inside the guard: who suspends the device waits for the turns that have not seen it.
  if (run_->device->suspended.load() && !run_->detached()) return Turn::parked;
  const bool retry = std::exchange(retry_, false) && !aborted();
  if (retry) retry_ = !memory_.retry();
  if ((std::exchange(adopted_, false) || retry) && memory_.outstanding() && !run_->detached()) return Turn::parked;
  // There is more to be sent, and what was is answered already.
  if (retry_) return Turn::yield;
  Budget budget;
  const Step step = advance(own_, budget);
  if (abandoned_ || step == Step::finished) ending_.store(true, std::memory_order_release);
  if (abandoned_) return Turn::abandoned;
  switch (step) {
    case Step::yield:
      return Turn::yield;
    case Step::parked:
      return Turn::parked;
    case Step::finished:
      break;
  }
  return Turn::completed;
}

std::optional<Pasid> Job::submitter() const { return submitterOf(run_->config, own_.execution.descriptor); }

void Job::start(Unit& unit, const Descriptor& descriptor) {
  unit.execution.begin(descriptor);
  unit.stage = Stage::check;
  unit.handleGood = false;
}

Step Job::advance(Unit& unit, Budget& budget) {
  for (;;) {
    Step step = Step::finished;
    switch (unit.stage) {
      case Stage::check:
        check(unit);
        continue;
      case Stage::operate:
        step = operate(unit, budget);
        if (step != Step::finished || abandoned_) return step;
        lookAhead(unit);
        unit.stage = Stage::settle;
        continue;
      case Stage::settle:
        return settle(unit);
      case Stage::recordBody:
        step = sendStatus(unit);
        break;
      case Stage::recordStatus:
        step = settleStatus(unit);
        break;
      case Stage::entry:
        step = writeEntry(unit);
        break;
      case Stage::entrySent:
        step = settleEntry(unit);
        break;
    }
    return step;
  }
}

void Job::check(Unit& unit) {
  const Descriptor& descriptor = unit.execution.descriptor;
  Completion& completion = unit.execution.completion;
  const std::optional<Pasid> submitter = this->submitter();
  const dsa::QueueLimits& limits = run_->limitsOf(submitter);
  const DeviceContext& device = *run_->device;

  memory_.forget();
  dsa::Failure failure = dsa::check(descriptor, device.capabilities, limits, unit.member);
  if (descriptor.has(dsa::kFlagRequestCompletionInterrupt) && limits.completionInterrupts) {
    unit.handleGood = device.mayUseHandle(descriptor.interruptHandle(), submitter);
    if (!failure && !unit.handleGood) failure = {dsa::kStatusInterruptHandle, 0};
  }
  // Only a shared queue's descriptor says so itself.
  if (submitter && submitter->privileged && !run_->config.pasid->privileged) failure = {dsa::kStatusPrivilege, 0};
  completion.status = failure.status;
  completion.put(dsa::kCompletionInvalidFlags, failure.invalidFlags);
  unit.stage = failure ? Stage::settle : Stage::operate;
  if (!failure && descriptor.opcode() == dsa::kOpBatch) {
    batch_.fetched = batch_.taken = batch_.begun = batch_.ended = 0;
    batch_.memberActive = batch_.failed = false;
    // A continuation of a batch in which something failed before.
    if (descriptor.has(dsa::kFlagBatchError)) batch_.failed = true;
  }
}

Step Job::operate(Unit& unit, Budget& budget) {
  // A batch looks by itself: the member that it is at may have come too far to be abandoned.
  if (unit.execution.descriptor.opcode() == dsa::kOpBatch) return batch(unit, budget);
  if (abandonIfAborted()) return Step::finished;
  switch (unit.execution.descriptor.opcode()) {
    case dsa::kOpNoOp:
      unit.execution.completion.status = dsa::kStatusSuccess;
      return Step::finished;
    case dsa::kOpDrain:
      return drain(unit, budget);
    default:
      if (unit.execution.descriptor.has(dsa::kFlagCompletionAddressValid)) {
        memory_.prefetchRecord(unit.execution.descriptor.completionAddress());
      }
      if (dsa::passesCaches(unit.execution.descriptor)) {
        const Upcoming next = nextOf(unit);
        unit.execution.upcoming = next.passesCaches ? memory_.hintOf(next.address1) : nullptr;
      }
      return dsa::operationOf(unit.execution.descriptor.opcode())->execute(unit.execution, memory_, budget);
  }
}

Job::Upcoming Job::upcomingOf(const Descriptor& descriptor) {
  return {descriptor.address1(), descriptor.address2(), descriptor.size(), dsa::passesCaches(descriptor)};
}

/// What is begun when the unit has ended, as far as that is known.
Job::Upcoming Job::nextOf(const Unit& unit) const {
  if (!unit.member) return upcoming_;
  if (batch_.taken == batch_.fetched) return {};
  Descriptor descriptor;
  std::memcpy(descriptor.bytes.data(), batch_.list.data() + batch_.taken, dsa::kDescriptorSize);
  return upcomingOf(descriptor);
}

/// The operands of what comes next arrive while this unit's record is written and the next one is begun.
void Job::lookAhead(const Unit& unit) {
  const Upcoming next = nextOf(unit);
  // A copy past the caches has looked ahead itself.
  if (next.size < kWorthPreparing || unit.execution.upcoming != nullptr) return;
  memory_.prefetchOperand(next.address1, next.passesCaches ? dsa::kCopyAhead : kOperandHead);
  if (!next.passesCaches) memory_.prefetchOperand(next.address2, kOperandHead);
}

}  // namespace mdev

// Type conversion, reduce and reduce dualcast: the same for every element. DSA specification 8.3.19 to 8.3.21.
#include <algorithm>
#include <cstring>

#include "dsa/flags.h"
#include "dsa/operations/operation.h"
#include "dsa/operations/staged.h"
#include "dsa/operations/typed_fields.h"
#include "dsa/status.h"

namespace mdev::dsa {
namespace {

/// What an operation has one of, or two.
struct Plan {
  uint8_t sources;
  uint8_t destinations;
  Operand source[2];
  Operand destination[2];
};

constexpr Plan kConvertPlan = {
    1, 1, {{16, false, FaultOperand::source1}, {}}, {{24, true, FaultOperand::destination1}, {}}};
constexpr Plan kReducePlan = {2,
                              1,
                              {{16, false, FaultOperand::source1}, {24, false, FaultOperand::source2}},
                              {{40, true, FaultOperand::destination1}, {}}};
constexpr Plan kReduceDualcastPlan = {2,
                                      2,
                                      {{16, false, FaultOperand::source1}, {24, false, FaultOperand::source2}},
                                      {{40, true, FaultOperand::destination1}, {48, true, FaultOperand::destination2}}};

/// Destinations are written one after the other.
constexpr unsigned kDestinationSlot = 2;
/// What an element costs of a chunk, bytes: it is taken apart and put together bit by bit.
constexpr uint64_t kCost = 16;

uint64_t addressOf(const Descriptor& descriptor, const Operand& operand) {
  return descriptor.at<uint64_t>(operand.field);
}

template <const Plan& plan>
uint8_t checkElements(const Descriptor& descriptor, const Capabilities& capabilities, const QueueLimits& limits) {
  const TypedFields fields = TypedFields::of(descriptor);
  if (const uint8_t status = checkTyped(fields, plan.sources == 2, capabilities.typed); status != 0) return status;
  const uint64_t read = uint64_t{descriptor.size()} * fields.sizeFrom();
  const uint64_t written = uint64_t{descriptor.size()} * fields.sizeTo();
  if (std::max(read, written) > limits.maxTransfer) return kStatusTransferSize;
  for (unsigned i = 0; i < plan.sources; ++i) {
    if (addressOf(descriptor, plan.source[i]) % fields.sizeFrom() != 0) return kStatusAlignment;
  }
  for (unsigned i = 0; i < plan.destinations; ++i) {
    const uint64_t to = addressOf(descriptor, plan.destination[i]);
    if (to % fields.sizeTo() != 0) return kStatusAlignment;
    for (unsigned j = 0; j < plan.sources; ++j) {
      const uint64_t from = addressOf(descriptor, plan.source[j]);
      const bool inPlace = from == to && fields.from == fields.to;
      if (!inPlace && overlap(from, read, to, written)) return kStatusOverlap;
    }
  }
  if (plan.destinations == 1) return 0;
  const uint64_t first = addressOf(descriptor, plan.destination[0]);
  const uint64_t second = addressOf(descriptor, plan.destination[1]);
  return overlap(first, written, second, written) ? kStatusOverlap : 0;
}

/// One descriptor's turn.
template <const Plan& plan>
class Turn {
 public:
  Turn(Execution& execution, GuestAccess& memory, Budget& budget, ElementsState& state)
      : execution_(execution),
        descriptor_(execution.descriptor),
        memory_(memory),
        staging_(memory.staging()),
        budget_(budget),
        state_(state),
        fields_(TypedFields::of(descriptor_)),
        read_(fields_.sizeFrom()),
        written_(fields_.sizeTo()),
        all_(uint64_t{descriptor_.size()} * read_) {}

  Step run() {
    for (;;) {
      if (!staging_.draining) {
        if (execution_.done >= all_) return succeed();
        if (state_.count == 0) {
          if (budget_.spent()) return Step::yield;
          state_.count = static_cast<uint32_t>(std::min<uint64_t>(perStep(), (all_ - execution_.done) / read_));
        }
        if (const Step step = take(); step != Step::yield) return step;
        if (const Step step = work(); step != Step::yield) return step;
      }
      if (const Step step = give(); step != Step::yield) return step;
    }
  }

 private:
  /// Elements that staging has room for, before and after.
  uint32_t perStep() const { return Staging::kSize / std::max(plan.sources * read_, written_); }

  Step succeed() {
    const bool unexpected = descriptor_.has(kFlagCheckResult) && execution_.completion.result != 0;
    execution_.completion.status = unexpected ? kStatusPredicateFalse : kStatusSuccess;
    return Step::finished;
  }

  Cursor source(unsigned index, uint64_t done) const {
    return Cursor(descriptor_, plan.source[index], index, all_, done);
  }
  Cursor destination(unsigned index, uint64_t done) const {
    return Cursor(descriptor_, plan.destination[index], kDestinationSlot, all_ / read_ * written_,
                  execution_.done / read_ * written_ + done);
  }

  /// Fetches the sources' next elements, one source after the other: fewer when one of them ends in a fault.
  Step take() {
    for (unsigned i = 0; i < plan.sources; ++i) {
      const uint32_t from = i * state_.count * read_;
      const uint32_t end = from + state_.count * read_;
      if (staging_.filled >= end) continue;
      Cursor cursor = source(i, execution_.done + (staging_.filled - from));
      const AccessResult result = gather(memory_, cursor, end);
      if (result == AccessResult::parked) return Step::parked;
      if (result == AccessResult::ready) continue;
      const uint32_t whole = (staging_.filled - from) / read_;
      if (whole == 0) {
        fault(execution_, cursor);
        return Step::finished;
      }
      // Elements before the fault come first.
      const uint32_t kept = whole * read_;
      if (i == 1) std::memmove(staging_.data.data() + kept, staging_.data.data() + from, kept);
      staging_.filled = (i + 1) * kept;
      state_.count = whole;
    }
    return Step::yield;
  }

  /// Bytes of the destination that can be written from here on, up to `most`.
  uint64_t reach(unsigned index, uint64_t most) {
    const uint64_t base = destination(index, 0).faultAddress();
    uint64_t reached = 0;
    while (reached < most) {
      // Over the end of the address space is nothing.
      if (base + reached < addressOf(descriptor_, plan.destination[index])) break;
      const Translation place = memory_.translate(Walk::forward, base + reached, most - reached, kDmaWrite);
      if (place.kind == Translation::Kind::fault) break;
      reached += place.length;
    }
    return reached;
  }

  /// Turns what is staged into what goes out: not more than every destination has room for, so that neither exceptions
  /// nor results of elements count that another one has not.
  Step work() {
    const uint32_t second = state_.count * read_;
    uint64_t room = uint64_t{state_.count} * written_;
    for (unsigned i = 0; i < plan.destinations; ++i) {
      room = reach(i, room);
      if (room >= written_) continue;
      fault(execution_, destination(i, 0));
      return Step::finished;
    }
    const auto count = static_cast<uint32_t>(room / written_);
    std::byte results[Staging::kSize];
    state_.exceptions = 0;
    const std::byte* const operands = staging_.data.data();
    if constexpr (plan.sources == 1) {
      fields_.arithmetic().convert(operands, results, count, state_.exceptions);
    } else {
      fields_.arithmetic().compute(operands, operands + second, results, count, state_.exceptions);
    }
    std::memcpy(staging_.data.data(), results, count * written_);
    staging_.drain(count * written_);
    state_.count = count;
    state_.second = false;
    budget_.take(count * kCost);
    return Step::yield;
  }

  /// The destination that is written first. Of two, what is no source: were it the source that is written first, its
  /// elements would be lost if the other one faulted.
  unsigned first() const {
    if constexpr (plan.destinations == 2) {
      const uint64_t to = addressOf(descriptor_, plan.destination[0]);
      const bool inPlace = to == addressOf(descriptor_, plan.source[0]) || to == addressOf(descriptor_, plan.source[1]);
      return inPlace ? 1 : 0;
    }
    return 0;
  }

  Step give() {
    for (;;) {
      Cursor to = destination(state_.second ? 1 - first() : first(), staging_.drained);
      const AccessResult result = scatter(execution_, memory_, to);
      if (result == AccessResult::parked) return Step::parked;
      const bool more = plan.destinations == 2 && !state_.second;
      const uint32_t whole = staging_.drained / written_;
      if (result == AccessResult::fault && (!more || whole == 0)) {
        execution_.sending = 0;
        commit(whole);
        fault(execution_, to);
        return Step::finished;
      }
      if (!more) {
        commit(whole);
        return Step::yield;
      }
      // What the first one has, the second one gets. If that was not all, the rest is tried again, and faults.
      execution_.sending = 0;
      state_.second = true;
      staging_.drain(whole * written_);
    }
  }

  /// `count` elements are written.
  void commit(uint32_t count) {
    execution_.done += uint64_t{count} * read_;
    if (count > 0) execution_.completion.result |= state_.exceptions;
    state_ = {};
    staging_.clear();
  }

  Execution& execution_;
  const Descriptor& descriptor_;
  GuestAccess& memory_;
  Staging& staging_;
  Budget& budget_;
  ElementsState& state_;
  const TypedFields fields_;
  const uint32_t read_;
  const uint32_t written_;
  /// Bytes of a source.
  const uint64_t all_;
};

template <const Plan& plan>
Step eachElement(Execution& execution, GuestAccess& memory, Budget& budget) {
  if (std::get_if<ElementsState>(&execution.state) == nullptr) execution.state.emplace<ElementsState>();
  ElementsState& state = *std::get_if<ElementsState>(&execution.state);
  return Turn<plan>(execution, memory, budget, state).run();
}

template <const Plan& plan>
bool plausibleElements(const Execution& execution, const Staging& staging) {
  if (!stagingPlausible(execution, staging)) return false;
  const auto* const state = std::get_if<ElementsState>(&execution.state);
  if (state == nullptr) return untouched(execution) && staging.filled == 0 && !staging.draining;
  const TypedFields fields = TypedFields::of(execution.descriptor);
  const uint64_t all = uint64_t{execution.descriptor.size()} * fields.sizeFrom();
  if (execution.done > all || execution.done % fields.sizeFrom() != 0) return false;
  const uint64_t left = (all - execution.done) / fields.sizeFrom();
  const uint32_t most = Staging::kSize / std::max(plan.sources * fields.sizeFrom(), fields.sizeTo());
  if (state->count > most || state->count > left) return false;
  if (!staging.draining) return staging.filled <= plan.sources * state->count * fields.sizeFrom() && !state->second;
  const bool second = plan.destinations == 2 || !state->second;
  return second && state->count > 0 && staging.filled > 0 && staging.filled <= state->count * fields.sizeTo() &&
         staging.filled % fields.sizeTo() == 0;
}

template <const Plan& plan>
constexpr Operation kOperationOf = {
    .execute = eachElement<plan>, .check = checkElements<plan>, .plausible = plausibleElements<plan>, .staged = true};

}  // namespace

const Operation kTypeConversion = kOperationOf<kConvertPlan>;
const Operation kReduce = kOperationOf<kReducePlan>;
const Operation kReduceDualcast = kOperationOf<kReduceDualcastPlan>;

}  // namespace mdev::dsa

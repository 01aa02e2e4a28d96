// A descriptor that is executed, in the state of a suspended device.
#pragma once

#include <cstdint>
#include <utility>
#include <variant>

#include "dsa/execution.h"
#include "dsa/operation_facts.h"

namespace mdev::dsa {

/// What every descriptor has, whatever stage it is in: as release 0.1.0 wrote it, which had nothing else.
template <typename Self, typename Archive>
void exchangeExecution(Self& execution, Archive& archive) {
  archive.bytes(execution.descriptor.bytes);
  archive.value(execution.completion.status);
  archive.value(execution.completion.result);
  archive.choice(execution.completion.faultOperand, static_cast<uint8_t>(FaultOperand::record));
  archive.value(execution.completion.completed);
  archive.value(execution.completion.faultAddress);
  archive.bytes(execution.completion.specific);
  archive.value(execution.done);
  archive.value(execution.sending);
  // A direction, which follows from the descriptor, and whether a comparison that has ended found a difference.
  uint8_t walk = 0;
  uint8_t differs = 0;
  archive.choice(walk);
  archive.choice(differs);
  bool seeded = std::holds_alternative<ChecksumState>(execution.state);
  archive.choice(seeded);
  ChecksumState checksum;
  if constexpr (Archive::kReads) {
    ChecksumState::exchange(checksum, archive);
    execution.state.template emplace<std::monostate>();
    if (seeded) execution.state = checksum;
  } else {
    if (seeded) checksum = *std::get_if<ChecksumState>(&execution.state);
    ChecksumState::exchange(checksum, archive);
  }
}

namespace detail {

/// Exchanges the state at the index that was read.
template <std::size_t... Indices>
void readState(OperationState& state, std::size_t index, auto& archive, std::index_sequence<Indices...>) {
  const auto one = [&]<std::size_t Index>(std::integral_constant<std::size_t, Index>) {
    if (Index != index) return;
    auto& own = state.emplace<Index>();
    if constexpr (Index != 0) std::remove_reference_t<decltype(own)>::exchange(own, archive);
  };
  (one(std::integral_constant<std::size_t, Indices>{}), ...);
}

}  // namespace detail

/// What an operation that uses staging, or has a state of its own, has besides, while it is executed. Nothing that
/// release 0.1.0 executes does.
template <typename Self, typename Staged, typename Archive>
void exchangeStaged(Self& execution, Staged& staging, Archive& archive) {
  const Operation* const operation = operationOf(execution.descriptor.opcode());
  if (operation == nullptr) return;
  if (!operation->staged && !execution.descriptor.has(operation->flagsWithState)) return;
  Staging::exchange(staging, archive);
  auto index = static_cast<uint8_t>(execution.state.index());
  constexpr std::size_t kStates = std::variant_size_v<OperationState>;
  archive.choice(index, kStates - 1);
  if constexpr (Archive::kReads) {
    detail::readState(execution.state, index, archive, std::make_index_sequence<kStates>());
  } else {
    std::visit(
        [&](const auto& own) {
          using Own = std::remove_cvref_t<decltype(own)>;
          if constexpr (!std::is_same_v<Own, std::monostate>) Own::exchange(own, archive);
        },
        execution.state);
  }
}

/// Whether an operation could have come to this state by itself, once its descriptor has passed the checks.
inline bool plausible(const Execution& execution, const Staging& staging) {
  const Operation* const operation = operationOf(execution.descriptor.opcode());
  if (operation != nullptr && operation->plausible != nullptr) return operation->plausible(execution, staging);
  // The walk has not left its operands.
  const uint64_t size = execution.descriptor.size();
  return execution.done <= size && execution.sending <= size - execution.done && execution.sending <= kChunk;
}

}  // namespace mdev::dsa

// CRC generation, and copy with CRC generation. DSA specification 8.3.12 and 8.3.13.
#include "dsa/crc/crc.h"

#include <cstring>

#include "dsa/flags.h"
#include "dsa/operations/operation.h"
#include "dsa/operations/stream.h"
#include "dsa/status.h"

namespace mdev::dsa {
namespace {

constexpr Operand kSource[] = {{16, false, FaultOperand::source1}};
constexpr Operand kSourceAndDestination[] = {{16, false, FaultOperand::source1},
                                             {24, true, FaultOperand::destination1}};
constexpr unsigned kSeedSlot = 2;
constexpr std::size_t kSeedField = 40;
constexpr std::size_t kSeedAddressField = 48;

template <typename Kind>
using StateOf = ChecksumStateOf<typename Kind::Register>;

// The register is kept reflected; seed and result are, too, unless the bypass flag says that they are raw.
template <typename Register>
Register toRegister(const Descriptor& descriptor, Register seed) {
  return descriptor.has(kFlagBypassCrcInversionAndReflection) ? reverseBits(seed) : static_cast<Register>(~seed);
}
template <typename Register>
Register fromRegister(const Descriptor& descriptor, Register reg) {
  return toRegister(descriptor, reg);
}
DataBits dataBits(const Descriptor& descriptor) {
  return descriptor.has(kFlagBypassDataReflection) ? DataBits::straight : DataBits::reflected;
}

/// There is a state since the seed is there.
template <typename Kind>
StateOf<Kind>& startPiece(Execution& execution) {
  StateOf<Kind>& state = *std::get_if<StateOf<Kind>>(&execution.state);
  state.before = state.crc;
  state.from = execution.done;
  return state;
}

template <typename Kind>
uint64_t crcKernel(Execution& execution, std::byte* const* pointers, uint64_t length) {
  StateOf<Kind>& state = startPiece<Kind>(execution);
  state.crc = crc<Kind>(state.crc, pointers[0], length, dataBits(execution.descriptor));
  return length;
}

template <typename Kind>
uint64_t copyCrcKernel(Execution& execution, std::byte* const* pointers, uint64_t length) {
  StateOf<Kind>& state = startPiece<Kind>(execution);
  state.crc = crcCopy<Kind>(state.crc, pointers[1], pointers[0], length, dataBits(execution.descriptor));
  return length;
}

/// Takes the seed from the descriptor or from guest memory. `yield` means that it is there.
template <typename Kind>
Step takeSeed(Execution& execution, GuestAccess& memory, Budget& budget) {
  const Descriptor& descriptor = execution.descriptor;
  auto seed = descriptor.at<typename Kind::Register>(kSeedField);
  if (descriptor.has(kFlagReadCrcSeed)) {
    // Aligned, so in one piece.
    const uint64_t address = descriptor.at<uint64_t>(kSeedAddressField);
    Piece piece;
    const AccessResult result = memory.read(kSeedSlot, Walk::forward, address, sizeof seed, piece);
    if (result == AccessResult::parked) return Step::parked;
    bool good = result == AccessResult::ready && piece.length == sizeof seed;
    if (good) {
      std::memcpy(&seed, piece.pointer, sizeof seed);
      budget.take(sizeof seed);
      good = memory.finish(piece, piece.pointer, sizeof seed, false);
    }
    if (!good) {
      fault(execution, address, FaultOperand::source2, false);
      return Step::finished;
    }
  }
  const auto start = toRegister(descriptor, seed);
  execution.state = StateOf<Kind>{.crc = start, .before = start};
  return Step::yield;
}

template <typename Kind>
Step checksum(Execution& execution, GuestAccess& memory, Budget& budget, std::span<const Operand> operands,
              Kernel kernel) {
  if (std::get_if<StateOf<Kind>>(&execution.state) == nullptr) {
    if (const Step step = takeSeed<Kind>(execution, memory, budget); step != Step::yield) return step;
  }
  const Step step = stream(execution, memory, budget, operands, kernel);
  if (step != Step::finished) return step;
  // After a fault, the checksum of what was done is the seed to go on with: what the kernel saw last may not count.
  const StateOf<Kind>& state = *std::get_if<StateOf<Kind>>(&execution.state);
  const bool voided = isFault(execution.completion.status) && execution.done == state.from;
  execution.completion.put(kCompletionCrc, fromRegister(execution.descriptor, voided ? state.before : state.crc));
  return step;
}

Step crcGeneration(Execution& execution, GuestAccess& memory, Budget& budget) {
  return execution.descriptor.has(kFlagCrc64) ? checksum<Crc64>(execution, memory, budget, kSource, crcKernel<Crc64>)
                                              : checksum<Crc32c>(execution, memory, budget, kSource, crcKernel<Crc32c>);
}

Step copyWithCrc(Execution& execution, GuestAccess& memory, Budget& budget) {
  return execution.descriptor.has(kFlagCrc64)
             ? checksum<Crc64>(execution, memory, budget, kSourceAndDestination, copyCrcKernel<Crc64>)
             : checksum<Crc32c>(execution, memory, budget, kSourceAndDestination, copyCrcKernel<Crc32c>);
}

uint8_t checkSeed(const Descriptor& descriptor, const Capabilities&, const QueueLimits&) {
  const std::size_t alignment = descriptor.has(kFlagCrc64) ? sizeof(Crc64::Register) : sizeof(Crc32c::Register);
  // Reserved, and so 0, where the seed does not come from memory.
  return descriptor.at<uint64_t>(kSeedAddressField) % alignment == 0 ? 0 : kStatusAlignment;
}

uint8_t checkCopy(const Descriptor& descriptor, const Capabilities& capabilities, const QueueLimits& limits) {
  const uint64_t size = descriptor.size();
  if (const uint8_t seed = checkSeed(descriptor, capabilities, limits); seed != 0) return seed;
  return overlap(descriptor.address1(), size, descriptor.address2(), size) ? kStatusOverlap : 0;
}

}  // namespace

const Operation kCrcGeneration = {.execute = crcGeneration, .check = checkSeed, .flagsWithState = kFlagCrc64};
const Operation kCopyWithCrc = {.execute = copyWithCrc, .check = checkCopy, .flagsWithState = kFlagCrc64};

}  // namespace mdev::dsa

// CRC generation, and copy with CRC generation. DSA specification 8.3.12 and 8.3.13.
#include <cstring>

#include "dsa/crc32c.h"
#include "dsa/flags.h"
#include "dsa/operations/operation.h"
#include "dsa/operations/stream.h"
#include "dsa/status.h"

namespace mdev::dsa {
namespace {

constexpr StreamOperand kSource[] = {{16, false, FaultOperand::source1}};
constexpr StreamOperand kSourceAndDestination[] = {{16, false, FaultOperand::source1},
                                                   {24, true, FaultOperand::destination1}};
constexpr unsigned kSeedSlot = 2;

// The register is kept reflected; seed and result are, too, unless the bypass flag says that they are raw.
uint32_t toRegister(const Descriptor& descriptor, uint32_t seed) {
  return descriptor.has(kFlagBypassCrcInversionAndReflection) ? reverseBits(seed) : ~seed;
}
uint32_t fromRegister(const Descriptor& descriptor, uint32_t reg) {
  return descriptor.has(kFlagBypassCrcInversionAndReflection) ? reverseBits(reg) : ~reg;
}
DataBits dataBits(const Descriptor& descriptor) {
  return descriptor.has(kFlagBypassDataReflection) ? DataBits::straight : DataBits::reflected;
}

uint64_t crcKernel(Execution& execution, std::byte* const* pointers, uint64_t length) {
  execution.crcBefore = execution.crc;
  execution.crcFrom = execution.done;
  execution.crc = crc32c(execution.crc, pointers[0], length, dataBits(execution.descriptor));
  return length;
}

uint64_t copyCrcKernel(Execution& execution, std::byte* const* pointers, uint64_t length) {
  execution.crcBefore = execution.crc;
  execution.crcFrom = execution.done;
  execution.crc = crc32cCopy(execution.crc, pointers[1], pointers[0], length, dataBits(execution.descriptor));
  return length;
}

/// Takes the seed from the descriptor or from guest memory. `yield` means that it is there.
Step takeSeed(Execution& execution, GuestAccess& memory, Budget& budget) {
  const Descriptor& descriptor = execution.descriptor;
  uint32_t seed = descriptor.at<uint32_t>(40);
  if (descriptor.has(kFlagReadCrcSeed)) {
    // Aligned, so in one piece.
    const uint64_t address = descriptor.at<uint64_t>(48);
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
  execution.crc = execution.crcBefore = toRegister(descriptor, seed);
  execution.seeded = true;
  return Step::yield;
}

Step checksum(Execution& execution, GuestAccess& memory, Budget& budget, std::span<const StreamOperand> operands,
              Kernel kernel) {
  if (!execution.seeded) {
    if (const Step step = takeSeed(execution, memory, budget); step != Step::yield) return step;
  }
  const Step step = stream(execution, memory, budget, operands, kernel);
  if (step != Step::finished) return step;
  // After a fault, the checksum of what was done is the seed to go on with: what the kernel saw last may not count.
  const bool voided = isFault(execution.completion.status) && execution.done == execution.crcFrom;
  execution.completion.put(kCompletionCrc,
                           fromRegister(execution.descriptor, voided ? execution.crcBefore : execution.crc));
  return step;
}

}  // namespace

Step crcGeneration(Execution& execution, GuestAccess& memory, Budget& budget) {
  return checksum(execution, memory, budget, kSource, crcKernel);
}

Step copyWithCrc(Execution& execution, GuestAccess& memory, Budget& budget) {
  return checksum(execution, memory, budget, kSourceAndDestination, copyCrcKernel);
}

}  // namespace mdev::dsa

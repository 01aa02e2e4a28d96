// Check, insert, strip and update the data integrity field of blocks, and generate them apart from their blocks (DIX).
// DSA specification 8.3.14 to 8.3.18, appendix B.
#include <array>
#include <cstring>

#include "dsa/crc/crc.h"
#include "dsa/operations/operation.h"
#include "dsa/operations/staged.h"
#include "dsa/status.h"

namespace mdev::dsa {
namespace {

constexpr Operand kSource = {16, false, FaultOperand::source1};
constexpr Operand kDestination = {24, true, FaultOperand::destination1};
constexpr unsigned kDestinationSlot = 1;

/// Behind each block: guard (2 bytes), application tag (2) and reference tag (4), each with its highest byte first.
constexpr uint32_t kField = 8;

constexpr std::size_t kSourceFlagsField = 40;
constexpr std::size_t kDestinationFlagsField = 41;
constexpr std::size_t kDifFlagsField = 42;
constexpr std::size_t kSourceTagsField = 48;
constexpr std::size_t kDestinationTagsField = 56;

// DIF flags.
constexpr uint8_t kBlockSize = 0b11;
constexpr uint8_t kInvertSeed = 1 << 2;
constexpr uint8_t kInvertResult = 1 << 3;
// Source flags.
constexpr uint8_t kAllOnesIsError = 1 << 0;
constexpr uint8_t kDetectAllOnes = 1 << 1;
constexpr uint8_t kDetectApplicationOnes = 1 << 2;
constexpr uint8_t kDetectTagOnes = 1 << 3;
constexpr uint8_t kIgnoreGuard = 1 << 5;
constexpr uint8_t kIgnoreReference = 1 << 6;
// Destination flags.
constexpr uint8_t kPassApplication = 1 << 3;
constexpr uint8_t kPassGuard = 1 << 5;
constexpr uint8_t kPassReference = 1 << 6;
// Both.
constexpr uint8_t kCountApplication = 1 << 4;
constexpr uint8_t kFixedReference = 1 << 7;

// What a check has found.
constexpr uint8_t kGuardDiffers = 1;
constexpr uint8_t kApplicationDiffers = 2;
constexpr uint8_t kReferenceDiffers = 4;
constexpr uint8_t kAllOnes = 8;

/// Tags of one side, with the values of one of its blocks.
struct Tags {
  uint32_t reference;
  /// Bits of the application tag that are not checked, and are written as 0.
  uint16_t mask;
  uint16_t application;

  /// Of block `block`, as the descriptor's bytes from `field` on and the side's flags have it.
  static Tags of(const Descriptor& descriptor, std::size_t field, uint8_t flags, uint64_t block) {
    Tags tags{descriptor.at<uint32_t>(field), descriptor.at<uint16_t>(field + 4), descriptor.at<uint16_t>(field + 6)};
    if ((flags & kCountApplication) != 0) tags.application = static_cast<uint16_t>(tags.application + block);
    if ((flags & kFixedReference) == 0) tags.reference += static_cast<uint32_t>(block);
    return tags;
  }
};

/// An integrity field.
struct Field {
  uint16_t guard;
  uint16_t application;
  uint32_t reference;

  static Field load(const std::byte* from) {
    std::array<uint8_t, kField> bytes;
    std::memcpy(bytes.data(), from, bytes.size());
    return {static_cast<uint16_t>(bytes[0] << 8 | bytes[1]), static_cast<uint16_t>(bytes[2] << 8 | bytes[3]),
            uint32_t{bytes[4]} << 24 | uint32_t{bytes[5]} << 16 | uint32_t{bytes[6]} << 8 | bytes[7]};
  }
  void store(std::byte* to) const {
    const uint64_t whole = uint64_t{guard} << 48 | uint64_t{application} << 32 | reference;
    for (uint32_t i = 0; i < kField; ++i) to[i] = static_cast<std::byte>(whole >> (56 - 8 * i));
  }
};

uint32_t blockSize(const Descriptor& descriptor) {
  constexpr std::array<uint16_t, 4> kSizes = {512, 520, 4096, 4104};
  return kSizes[descriptor.at<uint8_t>(kDifFlagsField) & kBlockSize];
}

uint16_t guardOf(const Descriptor& descriptor, const std::byte* block, uint32_t size) {
  const auto flags = descriptor.at<uint8_t>(kDifFlagsField);
  // All ones are all ones in either order.
  const uint16_t seed = (flags & kInvertSeed) != 0 ? 0xffff : 0;
  const uint16_t guard = reverseBits(crc<Crc16T10>(seed, block, size, DataBits::straight));
  return static_cast<uint16_t>((flags & kInvertResult) != 0 ? ~guard : guard);
}

/// Compares a block's integrity field with what it should be; 0 or what differs.
uint8_t verify(const Descriptor& descriptor, uint64_t block, const std::byte* data, uint32_t size) {
  const auto flags = descriptor.at<uint8_t>(kSourceFlagsField);
  const Field field = Field::load(data + size);
  const bool applicationOnes = field.application == 0xffff;
  const bool tagOnes = applicationOnes && field.reference == 0xffffffff;
  if ((flags & kDetectAllOnes) != 0 && tagOnes && field.guard == 0xffff) {
    return (flags & kAllOnesIsError) != 0 ? kAllOnes : 0;
  }
  if ((flags & kDetectApplicationOnes) != 0 && applicationOnes) return 0;
  if ((flags & kDetectTagOnes) != 0 && tagOnes) return 0;
  const Tags tags = Tags::of(descriptor, kSourceTagsField, flags, block);
  uint8_t found = 0;
  if ((flags & kIgnoreGuard) == 0 && field.guard != guardOf(descriptor, data, size)) found |= kGuardDiffers;
  // The field is compared as it is, the expectation without what the mask hides.
  if (tags.mask != 0xffff && field.application != (tags.application & ~tags.mask)) found |= kApplicationDiffers;
  if ((flags & kIgnoreReference) == 0 && field.reference != tags.reference) found |= kReferenceDiffers;
  return found;
}

/// The integrity field that a block gets; `passed` are the flags of what it keeps of the one that it has.
void make(const Descriptor& descriptor, uint64_t block, std::byte* data, uint32_t size, uint8_t passed) {
  const auto flags = descriptor.at<uint8_t>(kDestinationFlagsField);
  const Tags tags = Tags::of(descriptor, kDestinationTagsField, flags, block);
  Field field = passed != 0 ? Field::load(data + size) : Field{};
  if ((passed & kPassGuard) == 0) field.guard = guardOf(descriptor, data, size);
  if ((passed & kPassApplication) == 0) field.application = tags.application & static_cast<uint16_t>(~tags.mask);
  if ((passed & kPassReference) == 0) field.reference = tags.reference;
  field.store(data + size);
}

/// What an operation does with a block.
struct Plan {
  /// The source has integrity fields, which are checked.
  bool checks;
  /// The destination has integrity fields, which are made.
  bool makes;
  bool hasDestination;
  /// The destination has the blocks, not only their integrity fields.
  bool keepsData = true;
  /// Flags of what may be kept of the source's fields.
  uint8_t passable = 0;

  uint32_t sourceBlock(const Descriptor& descriptor) const { return blockSize(descriptor) + (checks ? kField : 0); }
  uint32_t destinationBlock(const Descriptor& descriptor) const {
    return (keepsData ? blockSize(descriptor) : 0) + (makes ? kField : 0);
  }
};

constexpr Plan kCheckPlan = {.checks = true, .makes = false, .hasDestination = false};
constexpr Plan kInsertPlan = {.checks = false, .makes = true, .hasDestination = true};
constexpr Plan kDixPlan = {.checks = false, .makes = true, .hasDestination = true, .keepsData = false};
constexpr Plan kStripPlan = {.checks = true, .makes = false, .hasDestination = true};
constexpr Plan kUpdatePlan = {
    .checks = true, .makes = true, .hasDestination = true, .passable = kPassApplication | kPassGuard | kPassReference};

template <const Plan& plan>
uint8_t checkDif(const Descriptor& descriptor, const Capabilities&, const QueueLimits&) {
  const uint64_t size = descriptor.size();
  const uint32_t sourceBlock = plan.sourceBlock(descriptor);
  if (size % sourceBlock != 0) return kStatusTransferSize;
  if (!plan.hasDestination) return 0;
  if (!plan.keepsData && descriptor.address2() % kField != 0) return kStatusAlignment;
  const uint64_t written = size / sourceBlock * plan.destinationBlock(descriptor);
  return overlap(descriptor.address1(), size, descriptor.address2(), written) ? kStatusOverlap : 0;
}

/// The tags in the record are those of the block that comes next, as a descriptor that goes on would have them: the
/// mask is not applied.
void reportTags(Execution& execution, std::size_t place, std::size_t field, std::size_t flagsField, uint64_t block) {
  const Descriptor& descriptor = execution.descriptor;
  const Tags tags = Tags::of(descriptor, field, descriptor.at<uint8_t>(flagsField), block);
  execution.completion.put(place, tags.reference);
  execution.completion.put(place + 4, tags.mask);
  execution.completion.put(place + 6, tags.application);
}

template <const Plan& plan>
Step finish(Execution& execution) {
  const uint64_t block = execution.done / plan.sourceBlock(execution.descriptor);
  if (plan.checks) {
    reportTags(execution, kCompletionSourceTags, kSourceTagsField, kSourceFlagsField, block);
  }
  if (plan.makes) {
    reportTags(execution, kCompletionDestinationTags, kDestinationTagsField, kDestinationFlagsField, block);
  }
  return Step::finished;
}

template <const Plan& plan>
Step eachBlock(Execution& execution, GuestAccess& memory, Budget& budget) {
  const Descriptor& descriptor = execution.descriptor;
  Staging& staging = memory.staging();
  const uint32_t size = blockSize(descriptor);
  const uint32_t sourceBlock = plan.sourceBlock(descriptor);
  const uint32_t destinationBlock = plan.destinationBlock(descriptor);
  const uint64_t blocks = descriptor.size() / sourceBlock;
  uint64_t block = execution.done / sourceBlock;
  Cursor from(descriptor, kSource, 0, descriptor.size(),
              execution.done + (staging.draining ? sourceBlock : staging.filled));
  Cursor to(descriptor, kDestination, kDestinationSlot, blocks * destinationBlock,
            block * destinationBlock + staging.drained);
  for (;; ++block) {
    if (block >= blocks) {
      execution.completion.status = kStatusSuccess;
      return finish<plan>(execution);
    }
    if (!staging.draining) {
      if (budget.spent()) return Step::yield;
      const AccessResult result = gather(memory, from, sourceBlock);
      if (result == AccessResult::parked) return Step::parked;
      if (result == AccessResult::fault) {
        fault(execution, from);
        return finish<plan>(execution);
      }
      budget.take(sourceBlock);
      std::byte* const data = staging.data.data();
      if (const uint8_t found = plan.checks ? verify(descriptor, block, data, size) : 0; found != 0) {
        execution.completion.status = kStatusDif;
        execution.completion.result = found;
        execution.completion.completed = static_cast<uint32_t>(execution.done);
        return finish<plan>(execution);
      }
      if (plan.makes) {
        make(descriptor, block, data, size, plan.passable & descriptor.at<uint8_t>(kDestinationFlagsField));
      }
      if (!plan.keepsData) std::memmove(data, data + size, kField);
      if (plan.hasDestination) staging.drain(destinationBlock);
    }
    if (plan.hasDestination) {
      const AccessResult result = scatter(execution, memory, to);
      if (result == AccessResult::parked) return Step::parked;
      if (result == AccessResult::fault) {
        fault(execution, to);
        return finish<plan>(execution);
      }
    }
    staging.clear();
    execution.done += sourceBlock;
  }
}

template <const Plan& plan>
bool plausibleDif(const Execution& execution, const Staging& staging) {
  const Descriptor& descriptor = execution.descriptor;
  if (!stagingPlausible(execution, staging)) return false;
  if (execution.done > descriptor.size() || execution.done % plan.sourceBlock(descriptor) != 0) return false;
  if (execution.done == descriptor.size()) return staging.filled == 0 && !staging.draining;
  if (staging.draining) return plan.hasDestination && staging.filled == plan.destinationBlock(descriptor);
  return staging.filled < plan.sourceBlock(descriptor);
}

template <const Plan& plan>
constexpr Operation kOperationOf = {
    .execute = eachBlock<plan>, .check = checkDif<plan>, .plausible = plausibleDif<plan>, .staged = true};

}  // namespace

const Operation kDifCheck = kOperationOf<kCheckPlan>;
const Operation kDifInsert = kOperationOf<kInsertPlan>;
const Operation kDifStrip = kOperationOf<kStripPlan>;
const Operation kDifUpdate = kOperationOf<kUpdatePlan>;
const Operation kDixGenerate = kOperationOf<kDixPlan>;

}  // namespace mdev::dsa

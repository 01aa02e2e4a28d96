#include "engine/software_error.h"

#include <algorithm>
#include <cstring>

namespace mdev {
namespace {

// Word 0.
constexpr uint64_t kValid = 1u << 0;
constexpr uint64_t kDescriptorValid = 1u << 2;
constexpr uint64_t kQueueValid = 1u << 3;
constexpr uint64_t kInBatch = 1u << 4;
constexpr uint64_t kFaultOnWrite = 1u << 5;
constexpr uint64_t kPrivileged = 1u << 6;
constexpr uint64_t kInformationValid = 1u << 7;
constexpr unsigned kCodeShift = 8;
constexpr unsigned kQueueShift = 16;
/// Reserved in SWERROR.
constexpr unsigned kBatchShift = 24;
constexpr unsigned kOpcodeShift = 32;
constexpr unsigned kPasidShift = 40;
constexpr uint32_t kPasidMask = 0xfffff;

// Word 1.
constexpr unsigned kInformationShift = 32;

// Error information of entries that leave something to software, from bit 32 of word 1 on.
constexpr uint32_t kInterruptNeeded = 1u << 16;
constexpr uint32_t kRecordNeeded = 1u << 18;
constexpr uint32_t kFirstOfBatch = 1u << 19;

/// Where an entry has the completion record, bytes.
constexpr std::size_t kRecord = 32;

}  // namespace

SoftwareErrorWords softwareErrorWords(const SoftwareError& error) {
  uint64_t word = kValid | uint64_t{error.code} << kCodeShift;
  uint64_t place = uint64_t{error.information.value_or(0)} << kInformationShift;
  if (error.queue) word |= kQueueValid | uint64_t{*error.queue} << kQueueShift;
  if (error.write) word |= kFaultOnWrite;
  if (error.information) word |= kInformationValid;
  if (error.descriptor) {
    word |= kDescriptorValid | uint64_t{error.descriptor->opcode} << kOpcodeShift |
            uint64_t{error.descriptor->pasid & kPasidMask} << kPasidShift;
    if (error.descriptor->privileged) word |= kPrivileged;
    if (error.descriptor->batchIndex) word |= kInBatch;
    place |= error.descriptor->batchIndex.value_or(0);
  }
  return {word, place, error.faultAddress};
}

dsa::Descriptor eventLogEntry(const SoftwareError& error) {
  SoftwareErrorWords words = softwareErrorWords(error);
  words[0] &= ~kValid;
  words[0] |= uint64_t{error.batch} << kBatchShift;
  if (error.unfinished) {
    const SoftwareError::Unfinished& left = *error.unfinished;
    const uint32_t information = left.interruptHandle | (left.interrupt ? kInterruptNeeded : 0) |
                                 (left.record ? kRecordNeeded : 0) | (left.firstOfBatch ? kFirstOfBatch : 0);
    words[0] |= kInformationValid;
    words[1] |= uint64_t{information} << kInformationShift;
  }
  dsa::Descriptor entry;
  entry.bytes.fill(std::byte{0});
  std::memcpy(entry.bytes.data(), words.data(), sizeof words);
  std::memcpy(entry.bytes.data() + kRecord, error.record.data(), sizeof error.record);
  return entry;
}

}  // namespace mdev

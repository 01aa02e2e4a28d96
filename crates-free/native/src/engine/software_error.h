// An error that no completion record tells, and the words that tell it. DSA specification 5.9 and 9.2.15.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "dsa/completion_record.h"
#include "dsa/descriptor.h"

namespace mdev {

/// An error that no completion record tells.
struct SoftwareError {
  /// The descriptor at fault.
  struct Source {
    uint8_t opcode = 0;
    /// 20 bits, when the queue has one.
    uint32_t pasid = 0;
    bool privileged = false;
    /// Its place in a batch.
    std::optional<uint16_t> batchIndex;
  };
  /// What is left to software that finds the error in an event log.
  struct Unfinished {
    uint16_t interruptHandle = 0;
    /// The interrupt was asked for, and is not raised.
    bool interrupt = false;
    /// The record was asked for, and is not written: it is in the entry, and the fault address says where it belongs.
    bool record = false;
    /// Of the batch that `batch` names, no entry came before this one.
    bool firstOfBatch = false;
  };

  uint8_t code = 0;
  std::optional<uint8_t> queue;
  std::optional<Source> descriptor;
  /// The access that faulted was a write.
  bool write = false;
  std::optional<uint32_t> information;
  uint64_t faultAddress = 0;

  // --- Only in an event log ---

  std::optional<Unfinished> unfinished;
  /// Which batch; two that are in progress at the same time have different ones.
  uint8_t batch = 0;
  /// The completion record; zeros when the entry has none.
  dsa::CompletionWords record{};
};

/// Words 0 to 2 of SWERROR.
using SoftwareErrorWords = std::array<uint64_t, 3>;
SoftwareErrorWords softwareErrorWords(const SoftwareError& error);

/// What an entry of an event log begins with: 64 bytes, whatever its size. Behind that it is zero.
dsa::Descriptor eventLogEntry(const SoftwareError& error);

}  // namespace mdev

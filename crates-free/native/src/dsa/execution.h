// The state of one descriptor on its way, and the share of work it may do at a time.
#pragma once

#include <algorithm>
#include <cstdint>

#include "dsa/completion_record.h"
#include "dsa/descriptor.h"
#include "dsa/guest_access.h"

namespace mdev::dsa {

/// Bytes that an engine works before it looks for aborts and other descriptors.
inline constexpr uint64_t kChunk = 64 * 1024;
/// A chunk of many tiny pieces ends after so many.
inline constexpr uint32_t kPiecesPerChunk = 64;

/// What is left of a chunk.
class Budget {
 public:
  uint64_t bytes() const { return bytes_; }
  bool spent() const { return bytes_ == 0 || pieces_ == 0; }
  /// One more piece, of `bytes`.
  void take(uint64_t bytes) {
    bytes_ -= std::min(bytes, bytes_);
    takePiece();
  }
  /// Work beside the data, such as the next descriptor of a batch: no bytes, so that operands of a whole chunk are not
  /// cut in two for its sake.
  void takePiece() {
    if (pieces_ > 0) --pieces_;
  }

 private:
  uint64_t bytes_ = kChunk;
  uint32_t pieces_ = kPiecesPerChunk;
};

/// How a step of an operation ended.
enum class Step : uint8_t {
  yield,     ///< the chunk is used up
  parked,    ///< a message is on its way
  finished,  ///< `completion` is complete
};

/// One descriptor while it is executed; kept between chunks.
struct Execution {
  Descriptor descriptor;
  Completion completion;

  // Progress of operations that walk their operands side by side.
  uint64_t done = 0;
  /// Bytes beyond `done` that are being sent by message.
  uint32_t sending = 0;
  Walk walk = Walk::forward;
  /// A comparison found a difference behind `done` bytes.
  bool differs = false;

  /// What a copy fetches into the caches in place of what lies behind its end: where the next descriptor's source
  /// begins. Only a hint; null for none.
  const std::byte* upcoming = nullptr;

  // Checksums.
  bool seeded = false;
  uint32_t crc = 0;
  /// The checksum's register before the piece that was worked on last, and where that piece began.
  uint32_t crcBefore = 0;
  uint64_t crcFrom = 0;

  /// Nothing of another descriptor is left. Field by field: compilers clear a whole structure by an instruction that
  /// takes longer to start than this.
  void begin(const Descriptor& next) {
    descriptor = next;
    completion = {};
    done = 0;
    sending = 0;
    walk = Walk::forward;
    differs = seeded = false;
    crc = crcBefore = 0;
    crcFrom = 0;
    upcoming = nullptr;
  }
};

}  // namespace mdev::dsa

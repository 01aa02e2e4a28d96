// The state of one descriptor on its way, and the share of work it may do at a time.
#pragma once

#include <algorithm>
#include <cstdint>

#include "dsa/completion_record.h"
#include "dsa/descriptor.h"
#include "dsa/guest_access.h"
#include "dsa/operation_state.h"

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

  /// How far it has come, in the unit that the completion record reports (8.2.2).
  uint64_t done = 0;
  /// Bytes beyond that are being sent by message.
  uint32_t sending = 0;
  OperationState state;

  /// What a copy fetches into the caches in place of what lies behind its end: where the next descriptor's source
  /// begins. Only a hint; null for none.
  const std::byte* upcoming = nullptr;

  /// Nothing of another descriptor is left. Field by field: compilers clear a whole structure by an instruction that
  /// takes longer to start than this.
  void begin(const Descriptor& next) {
    descriptor = next;
    completion = {};
    done = 0;
    sending = 0;
    state.emplace<std::monostate>();
    upcoming = nullptr;
  }
};

/// Whether it is as a descriptor is before its checks.
inline bool untouched(const Execution& execution) {
  return execution.done == 0 && execution.sending == 0 && std::holds_alternative<std::monostate>(execution.state);
}

}  // namespace mdev::dsa

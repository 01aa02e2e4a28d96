// Translation fetch. DSA specification 8.3.11.
#include <algorithm>
#include <bit>

#include "dsa/flags.h"
#include "dsa/operations/cursor.h"
#include "dsa/operations/operation.h"
#include "dsa/status.h"

namespace mdev::dsa {
namespace {

constexpr std::size_t kStrideField = 48;
/// What one request is for, and the least stride.
constexpr uint64_t kPage = 4096;

uint64_t strideOf(const Descriptor& descriptor) {
  return descriptor.has(kFlagUseStride) ? descriptor.at<uint32_t>(kStrideField) : kPage;
}

/// Asks for the translation of one page in each stride. Nothing is kept of them: every access asks anew. What the guest
/// learns is whether there is one.
Step translationFetch(Execution& execution, GuestAccess& memory, Budget& budget) {
  const Descriptor& descriptor = execution.descriptor;
  const uint64_t start = descriptor.address1();
  const uint64_t size = descriptor.size();
  const uint64_t stride = strideOf(descriptor);
  for (;;) {
    if (execution.done >= size) {
      execution.completion.status = kStatusSuccess;
      return Step::finished;
    }
    if (budget.spent()) return Step::yield;
    const uint64_t at = start + execution.done;
    const uint64_t page = at & ~(kPage - 1);
    Translation piece;
    // Any right will do.
    if (at >= start) piece = memory.translate(Walk::forward, page, at - page + size - execution.done, 0);
    if (piece.kind == Translation::Kind::fault) {
      fault(execution, page, FaultOperand::source1, false);
      return Step::finished;
    }
    // Those of the other strides that begin in the piece were found with it.
    const uint64_t behind = piece.length - std::min(piece.length, at - page);
    const uint64_t strides = std::max<uint64_t>((behind + stride - 1) / stride, 1);
    execution.done = std::min(execution.done + strides * stride, size);
    budget.takePiece();
  }
}

uint8_t checkTranslationFetch(const Descriptor& descriptor, const Capabilities&, const QueueLimits&) {
  const uint64_t stride = strideOf(descriptor);
  return stride >= kPage && std::has_single_bit(stride) ? 0 : kStatusAlignment;
}

}  // namespace

const Operation kTranslationFetch = {.execute = translationFetch, .check = checkTranslationFetch};

}  // namespace mdev::dsa

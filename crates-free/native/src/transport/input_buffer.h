// What has arrived on a stream and is not used yet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace mdev {

/// Bytes that are to be taken out of a buffer.
struct BufferGap {
  uint64_t position;
  uint64_t size;
};

/// A buffer between a stream and its reader. Positions count bytes since the stream began. It holds 64 KiB, and grows
/// only for as long as one message needs more.
class InputBuffer {
 public:
  static constexpr std::size_t kInitialSize = 64 * 1024;

  InputBuffer();

  uint64_t begin() const { return base_ + begin_; }
  uint64_t end() const { return base_ + end_; }
  std::size_t size() const { return end_ - begin_; }

  /// The bytes from `position` on; begin() <= position <= end(). Valid until `room`.
  std::span<const std::byte> from(uint64_t position) const {
    const std::size_t start = static_cast<std::size_t>(position - base_);
    return {bytes_.get() + start, end_ - start};
  }
  /// Where to put more, such that `wanted` bytes from begin() on have their place. Moves what is held.
  std::span<std::byte> room(std::size_t wanted);
  /// Where to put more, whatever it is: some place unless `most` bytes or more are held, and never for more than that.
  /// What is moved for that is a fixed multiple of what was appended and consumed, however small the pieces are.
  std::span<std::byte> roomFor(std::size_t most);
  void append(std::size_t size) { end_ += size; }
  void consume(std::size_t size) { begin_ += size; }
  /// Drops everything from `position` on; begin() <= position <= end().
  void truncate(uint64_t position) { end_ = static_cast<std::size_t>(position - base_); }
  /// Takes bytes out and closes the gaps: what is behind them has earlier positions then. `gaps` are in the order of
  /// their positions, and do not overlap.
  void erase(std::span<const BufferGap> gaps);

 private:
  void moveTo(std::size_t capacity);

  std::unique_ptr<std::byte[]> bytes_;
  std::size_t capacity_;
  /// Position of bytes_[0].
  uint64_t base_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace mdev

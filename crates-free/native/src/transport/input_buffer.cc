#include "transport/input_buffer.h"

#include <algorithm>
#include <cstring>

namespace mdev {

InputBuffer::InputBuffer()
    : bytes_(std::make_unique_for_overwrite<std::byte[]>(kInitialSize)), capacity_(kInitialSize) {}

std::span<std::byte> InputBuffer::room(std::size_t wanted) {
  if (wanted > capacity_) {
    moveTo(wanted);
  } else if (capacity_ > kInitialSize && wanted <= kInitialSize && size() <= kInitialSize / 2) {
    moveTo(kInitialSize);  // the large message is over
  } else if (begin_ > 0 && (size() == 0 || begin_ + wanted > capacity_ || capacity_ - end_ < capacity_ / 2)) {
    moveTo(capacity_);
  }
  return {bytes_.get() + end_, capacity_ - end_};
}

std::span<std::byte> InputBuffer::roomFor(std::size_t most) {
  if (size() >= most) return {};
  // Larger than `most`, so that a buffer that is at its end has a long piece in front to give back.
  if (end_ == capacity_) moveTo(begin_ >= capacity_ / 2 ? capacity_ : std::min(2 * capacity_, most + kInitialSize));
  return {bytes_.get() + end_, std::min(capacity_ - end_, most - size())};
}

void InputBuffer::erase(std::span<const BufferGap> gaps) {
  if (gaps.empty()) return;
  std::size_t to = static_cast<std::size_t>(gaps.front().position - base_);
  for (std::size_t gap = 0; gap < gaps.size(); ++gap) {
    const std::size_t from = static_cast<std::size_t>(gaps[gap].position + gaps[gap].size - base_);
    const std::size_t end = gap + 1 < gaps.size() ? static_cast<std::size_t>(gaps[gap + 1].position - base_) : end_;
    std::memmove(bytes_.get() + to, bytes_.get() + from, end - from);
    to += end - from;
  }
  end_ = to;
}

void InputBuffer::moveTo(std::size_t capacity) {
  const std::size_t held = size();
  if (capacity == capacity_) {
    std::memmove(bytes_.get(), bytes_.get() + begin_, held);
  } else {
    auto moved = std::make_unique_for_overwrite<std::byte[]>(capacity);
    std::memcpy(moved.get(), bytes_.get() + begin_, held);
    bytes_ = std::move(moved);
    capacity_ = capacity;
  }
  base_ += begin_;
  begin_ = 0;
  end_ = held;
}

}  // namespace mdev

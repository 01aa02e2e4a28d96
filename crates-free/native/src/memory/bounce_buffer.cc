#include "memory/bounce_buffer.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace mdev {

void BounceBuffer::submit(const std::shared_ptr<BounceBuffer>& buffer, MessageDma* channel,
                          std::shared_ptr<Waker> waker) {
  if (channel == nullptr) {
    buffer->error_ = ENOTCONN;
    buffer->issued = 0;
    return;
  }
  buffer->waker_ = std::move(waker);
  buffer->busy_.store(true, std::memory_order_relaxed);
  channel->submit(buffer);
}

void BounceBuffer::finished(int error) {
  error_ = error;
  // As soon as `busy` is false the engine may use this buffer again.
  const std::shared_ptr<Waker> waker = std::move(waker_);
  busy_.store(false, std::memory_order_release);
  waker->wake();
}

void BounceBuffer::dropFirst(uint32_t bytes) {
  std::memmove(data.data(), data.data() + bytes, count - bytes);
  address += bytes;
  count -= bytes;
}

void BounceBuffer::becomeWrite(uint64_t to, std::span<const std::byte> bytes, int ended) {
  write = true;
  address = to;
  count = static_cast<uint32_t>(bytes.size());
  std::copy(bytes.begin(), bytes.end(), data.begin());
  error_ = ended;
}

}  // namespace mdev

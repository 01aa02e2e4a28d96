#include "dsa/guest_access.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

namespace mdev::dsa {

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

GuestAccess::GuestAccess() {
  for (Slot& slot : slots_) slot.buffer = std::make_shared<BounceBuffer>();
}

void GuestAccess::begin(const DmaSpace& dma, const std::shared_ptr<Waker>& waker, const MessageOwner& owner,
                        uint64_t sequence) {
  attach(dma, waker, owner, sequence);
  forget();
}

void GuestAccess::attach(const DmaSpace& dma, const std::shared_ptr<Waker>& waker, const MessageOwner& owner,
                         uint64_t sequence) {
  dma_ = &dma;
  waker_ = &waker;
  owner_ = &owner;
  sequence_ = sequence;
}

void GuestAccess::submit(Slot& slot) {
  slot.buffer->owner = owner_;
  slot.buffer->sequence = sequence_;
  BounceBuffer::submit(slot.buffer, dma_->messageDma().get(), *waker_);
}

void GuestAccess::retry() {
  for (Slot& slot : slots_) {
    if (slot.buffer->error() != ECANCELED) continue;
    if (slot.content == Content::reading) slot.content = Content::none;
    if (slot.content == Content::writing) sendAgain(slot);
  }
}

/// The memory may be mapped now that was reached by message then, and the other way round.
void GuestAccess::sendAgain(Slot& slot) {
  BounceBuffer& buffer = *slot.buffer;
  Translation place = dma_->translate(buffer.address, buffer.count, kDmaWrite);
  if (place.kind == Translation::Kind::message) {
    submit(slot);
    return;
  }
  uint32_t done = 0;
  while (place.kind == Translation::Kind::mapped) {
    if (buffer.count == 1) {
      // It may be a record's status, which comes after the record's other bytes.
      std::atomic_ref(*place.pointer).store(buffer.data[0], std::memory_order_release);
    } else {
      std::memcpy(place.pointer, buffer.data.data() + done, place.length);
    }
    if (!dma_->finish(place, place.pointer, place.length, true)) break;
    done += static_cast<uint32_t>(place.length);
    if (done == buffer.count) {
      buffer.acquit();
      return;
    }
    place = dma_->translate(buffer.address + done, buffer.count - done, kDmaWrite);
  }
  buffer.suspended(EFAULT);
}

void GuestAccess::dropBuffers() {
  for (Slot& slot : slots_) {
    slot.buffer.reset();
    slot.content = Content::none;
  }
}

bool GuestAccess::makeBuffers() noexcept try {
  for (Slot& slot : slots_) {
    if (slot.buffer == nullptr) slot.buffer = std::make_shared<BounceBuffer>();
  }
  return true;
} catch (const std::bad_alloc&) {
  return false;
}

void GuestAccess::forget() {
  for (Slot& slot : slots_) slot.content = Content::none;
}

Translation GuestAccess::translate(Walk walk, uint64_t address, uint64_t length, uint32_t rights) {
  return walk == Walk::forward ? dma_->translate(address, length, rights, &found_)
                               : dma_->translateBackward(address, length, rights, &found_);
}

AccessResult GuestAccess::read(unsigned slot, Walk walk, uint64_t address, uint64_t length, Piece& piece) {
  Slot& own = slots_[slot];
  if (busy(own)) return AccessResult::parked;
  BounceBuffer& buffer = *own.buffer;
  if (own.content == Content::reading) {
    own.content = buffer.error() == 0 ? Content::data : Content::none;
    if (buffer.error() != 0) return AccessResult::fault;
  }
  const Translation place = translate(walk, address, length, kDmaRead);
  if (place.kind == Translation::Kind::fault) return AccessResult::fault;
  piece.message = place.kind == Translation::Kind::message;
  if (!piece.message) {
    piece.pointer = place.pointer;
    piece.length = place.length;
    piece.iova = place.iova;
    piece.file = place.file;
    return AccessResult::ready;
  }
  const uint64_t usable = std::min<uint64_t>(place.length, kMessageDmaMax);
  if (own.content == Content::data) {
    // What was fetched may reach further than what was used of it so far.
    const uint64_t into = address - buffer.address;
    if (walk == Walk::forward && into < buffer.count) {
      piece.pointer = buffer.data.data() + into;
      piece.length = std::min(usable, buffer.count - into);
      return AccessResult::ready;
    }
    if (walk == Walk::backward && into - 1 < buffer.count) {
      piece.length = std::min(usable, into);
      piece.pointer = buffer.data.data() + (into - piece.length);
      return AccessResult::ready;
    }
  }
  buffer.write = false;
  buffer.address = walk == Walk::forward ? address : address - usable;
  buffer.count = static_cast<uint32_t>(usable);
  own.content = Content::reading;
  submit(own);
  return AccessResult::parked;
}

AccessResult GuestAccess::write(unsigned slot, Walk walk, uint64_t address, uint64_t length, Piece& piece) {
  Slot& own = slots_[slot];
  if (busy(own)) return AccessResult::parked;
  const Translation place = translate(walk, address, length, kDmaWrite);
  if (place.kind == Translation::Kind::fault) return AccessResult::fault;
  piece.message = place.kind == Translation::Kind::message;
  if (piece.message) {
    own.content = Content::none;
    piece.pointer = own.buffer->data.data();
    piece.length = std::min<uint64_t>(place.length, kMessageDmaMax);
  } else {
    piece.pointer = place.pointer;
    piece.length = place.length;
    piece.iova = place.iova;
    piece.file = place.file;
  }
  return AccessResult::ready;
}

void GuestAccess::send(unsigned slot, uint64_t address, uint32_t count) {
  Slot& own = slots_[slot];
  own.buffer->write = true;
  own.buffer->address = address;
  own.buffer->count = count;
  own.content = Content::writing;
  submit(own);
}

AccessResult GuestAccess::sent(unsigned slot) const {
  const Slot& own = slots_[slot];
  if (own.content != Content::writing) return AccessResult::ready;
  if (own.buffer->busy()) return AccessResult::parked;
  return own.buffer->error() == 0 ? AccessResult::ready : AccessResult::fault;
}

void GuestAccess::prefetchOperand(uint64_t address) {
  // What the processor's own prefetching needs to take over.
  constexpr uint64_t kLine = 64;
  constexpr uint64_t kLines = 8;
  const Translation piece = dma_->translate(address, kLines * kLine, 0, &found_);
  if (piece.kind != Translation::Kind::mapped) return;
  for (uint64_t at = 0; at < piece.length; at += kLine) __builtin_prefetch(piece.pointer + at);
}

void GuestAccess::prefetchRecord(uint64_t address) {
  const Translation piece = dma_->translate(address, 1, kDmaWrite, &found_);
  if (piece.kind == Translation::Kind::mapped) __builtin_prefetch(piece.pointer, 1);
}

bool GuestAccess::outstanding() const { return std::any_of(slots_.begin(), slots_.end(), busy); }

}  // namespace mdev::dsa

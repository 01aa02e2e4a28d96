#include "dsa/guest_access.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

namespace mdev::dsa {

namespace {

/// Of a write that ended on another device.
int errorOf(SuspendedWrite::Outcome outcome) {
  if (outcome == SuspendedWrite::Outcome::arrived) return 0;
  return outcome == SuspendedWrite::Outcome::cancelled ? ECANCELED : EIO;
}

}  // namespace

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

bool GuestAccess::retry() {
  bool done = true;
  for (Slot& slot : slots_) {
    BounceBuffer& buffer = *slot.buffer;
    const bool goesOn = buffer.error() == 0 && slot.rest > 0;
    if (buffer.error() != ECANCELED && !goesOn) continue;
    if (slot.content == Content::reading) slot.content = Content::none;
    if (slot.content != Content::writing) continue;
    const uint32_t arrived = goesOn ? buffer.count : 0;
    buffer.count += std::exchange(slot.rest, 0);
    buffer.dropFirst(arrived);
    done = sendAgain(slot) && done;
  }
  return done;
}

/// The memory may be mapped now that was reached by message then, and the other way round. False when some of it has
/// to wait for the answer to the rest.
bool GuestAccess::sendAgain(Slot& slot) {
  BounceBuffer& buffer = *slot.buffer;
  while (buffer.count > 0) {
    const Translation place = dma_->translate(buffer.address, buffer.count, kDmaWrite);
    const auto length = static_cast<uint32_t>(place.length);
    if (place.kind == Translation::Kind::message) {
      slot.rest = buffer.count - length;
      buffer.count = length;
      submit(slot);
      return slot.rest == 0;
    }
    if (place.kind == Translation::Kind::fault) {
      buffer.setError(EFAULT);
      return true;
    }
    if (length == 1) {
      // It may be a record's status, which comes after the record's other bytes.
      std::atomic_ref(*place.pointer).store(buffer.data[0], std::memory_order_release);
    } else {
      std::memcpy(place.pointer, buffer.data.data(), length);
    }
    if (!dma_->finish(place, place.pointer, length, true)) {
      buffer.setError(EFAULT);
      return true;
    }
    buffer.dropFirst(length);
  }
  buffer.setError(0);
  return true;
}

SuspendedWrite GuestAccess::suspendedWrite(const Slot& slot) {
  using Outcome = SuspendedWrite::Outcome;
  if (slot.buffer == nullptr) return slot.restored;
  SuspendedWrite left;
  if (slot.content != Content::writing) return left;
  const BounceBuffer& buffer = *slot.buffer;
  const bool failed = buffer.error() != 0 && buffer.error() != ECANCELED;
  const uint32_t arrived = buffer.error() == 0 ? buffer.count : 0;
  const uint32_t end = buffer.count + slot.rest;
  left.outcome = failed ? Outcome::failed : arrived == end ? Outcome::arrived : Outcome::cancelled;
  if (left.outcome != Outcome::cancelled) return left;
  left.address = buffer.address + arrived;
  left.data.assign(buffer.data.begin() + arrived, buffer.data.begin() + end);
  return left;
}

bool GuestAccess::makeBuffers() noexcept try {
  for (Slot& slot : slots_) {
    if (slot.buffer != nullptr) continue;
    slot.buffer = std::make_shared<BounceBuffer>();
    if (slot.restored.outcome == SuspendedWrite::Outcome::none) continue;
    slot.content = Content::writing;
    const SuspendedWrite restored = std::exchange(slot.restored, {});
    slot.buffer->becomeWrite(restored.address, restored.data, errorOf(restored.outcome));
  }
  return true;
} catch (const std::bad_alloc&) {
  return false;
}

void GuestAccess::forget() {
  for (Slot& slot : slots_) slot.content = Content::none;
  staging_.clear();
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
  own.rest = 0;
  submit(own);
}

AccessResult GuestAccess::sent(unsigned slot) const {
  const Slot& own = slots_[slot];
  if (own.buffer == nullptr) {
    using Outcome = SuspendedWrite::Outcome;
    const Outcome outcome = own.restored.outcome;
    return outcome == Outcome::none || outcome == Outcome::arrived ? AccessResult::ready : AccessResult::fault;
  }
  if (own.content != Content::writing) return AccessResult::ready;
  if (own.buffer->busy()) return AccessResult::parked;
  return own.buffer->error() == 0 ? AccessResult::ready : AccessResult::fault;
}

bool GuestAccess::wasCancelled(unsigned slot) const {
  const Slot& own = slots_[slot];
  return own.buffer != nullptr && own.content == Content::writing && !own.buffer->busy() &&
         own.buffer->error() == ECANCELED;
}

const std::byte* GuestAccess::hintOf(uint64_t address) {
  const Translation piece = dma_->translate(address, 1, 0, &found_);
  return piece.kind == Translation::Kind::mapped ? piece.pointer : nullptr;
}

void GuestAccess::prefetchOperand(uint64_t address, uint64_t bytes) {
  constexpr uint64_t kLine = 64;
  const Translation piece = dma_->translate(address, bytes, 0, &found_);
  if (piece.kind != Translation::Kind::mapped) return;
  for (uint64_t at = 0; at < piece.length; at += kLine) __builtin_prefetch(piece.pointer + at);
}

void GuestAccess::prefetchRecord(uint64_t address) {
  const Translation piece = dma_->translate(address, 1, kDmaWrite, &found_);
  if (piece.kind == Translation::Kind::mapped) __builtin_prefetch(piece.pointer, 1);
}

bool GuestAccess::outstanding() const { return std::any_of(slots_.begin(), slots_.end(), busy); }

}  // namespace mdev::dsa

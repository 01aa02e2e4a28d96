#include "memory/dirty_tracker.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

#include "memory/epoch.h"

namespace mdev {

namespace {

/// True if [iova, iova + length) runs over the end of the address space. `length` is not 0.
bool wraps(const DirtyRange& range) { return range.length - 1 > ~uint64_t{0} - range.iova; }

/// The ranges by address, joined where they touch; empty with an errno when they are illegal.
int joined(uint64_t pageSize, std::span<const DirtyRange> ranges, std::vector<IovaRange>& result) {
  for (const DirtyRange& range : ranges) {
    if (range.length == 0 || ((range.iova | range.length) & (pageSize - 1)) != 0) return EINVAL;
    if (wraps(range)) return EOVERFLOW;
    result.push_back({range.iova, range.iova + (range.length - 1)});
  }
  std::sort(result.begin(), result.end());
  std::size_t kept = 0;
  for (std::size_t index = 1; index < result.size(); ++index) {
    if (result[index].first <= result[kept].last) return EINVAL;
    if (result[index].first - 1 == result[kept].last) {
      result[kept].last = result[index].last;
    } else {
      result[++kept] = result[index];
    }
  }
  if (!result.empty()) result.resize(kept + 1);
  return 0;
}

/// Sets bits [from, to] of a bitmap in host byte order words.
void setBits(std::span<std::byte> bitmap, uint64_t from, uint64_t to) {
  for (uint64_t at = from;; at = (at | 63) + 1) {
    const uint64_t end = std::min(to, at | 63);
    uint64_t word = 0;
    std::byte* place = bitmap.data() + at / 64 * sizeof word;
    std::memcpy(&word, place, sizeof word);
    word |= (~uint64_t{0} << at % 64) & (~uint64_t{0} >> (63 - end % 64));
    std::memcpy(place, &word, sizeof word);
    if (end == to) return;
  }
}

}  // namespace

DirtyTracker::~DirtyTracker() = default;

int DirtyTracker::start(uint64_t pageSize, std::span<const DirtyRange> ranges, uint64_t limit,
                        const MapWalk& maps) try {
  if (!std::has_single_bit(pageSize)) return EINVAL;
  if (ranges.size() > kMaxRanges) return E2BIG;
  if (log_ != nullptr) return pageSize == hint_ && std::ranges::equal(ranges, ranges_) ? 0 : EINVAL;
  std::vector<IovaRange> tracked;
  if (const int error = joined(pageSize, ranges, tracked); error != 0) return error;

  // Maps are multiples of 4096: with a larger page two of them could share a bit.
  const uint64_t granularity = ranges.empty() ? DirtyLog::kMinPageSize : std::max(pageSize, DirtyLog::kMinPageSize);
  auto log = std::make_unique<DirtyLog>(granularity);
  bool fits = true;
  const auto cover = [&](uint64_t first, uint64_t last) { return fits = fits && log->cover(first, last, limit); };
  for (const IovaRange& range : tracked) cover(range.first, range.last);
  if (ranges.empty()) maps(cover);
  if (!fits) return ENOSPC;

  ranges_.assign(ranges.begin(), ranges.end());
  tracked_ = std::move(tracked);
  hint_ = pageSize;
  log_ = std::move(log);
  published_.store(log_.get(), std::memory_order_release);
  // Whoever did not see it has written before.
  epochs_.synchronize();
  return 0;
} catch (const std::bad_alloc&) {
  return ENOMEM;
}

void DirtyTracker::stop() {
  if (log_ == nullptr) return;
  published_.store(nullptr, std::memory_order_release);
  epochs_.synchronize();
  log_.reset();
  ranges_.clear();
  tracked_.clear();
}

int DirtyTracker::check(uint64_t iova, uint64_t length, uint64_t pageSize) const {
  if (log_ == nullptr || length == 0 || !std::has_single_bit(pageSize) || pageSize > length) return EINVAL;
  return wraps({iova, length}) ? EOVERFLOW : 0;
}

bool DirtyTracker::tracks(uint64_t first, uint64_t last) const {
  if (log_ == nullptr) return false;
  if (ranges_.empty()) return true;
  return std::any_of(tracked_.begin(), tracked_.end(),
                     [&](const IovaRange& range) { return range.first <= first && last <= range.last; });
}

void DirtyTracker::report(uint64_t iova, uint64_t length, uint64_t pageSize, std::span<std::byte> bitmap) const {
  const uint64_t last = iova + (length - 1);
  const uint64_t within = log_->pageSize() - 1;
  // Is anything tracked that shares a page with the range, but lies outside of it?
  const auto shared = [&](uint64_t from, uint64_t to) {
    return ranges_.empty() || std::any_of(tracked_.begin(), tracked_.end(), [&](const IovaRange& range) {
             return range.first <= to && from <= range.last;
           });
  };
  const bool keepFirst = (iova & within) != 0 && shared(iova & ~within, iova - 1);
  const bool keepLast = (last & within) != within && shared(last + 1, last | within);
  const auto shift = static_cast<unsigned>(std::countr_zero(pageSize));
  log_->take(iova, last, keepFirst, keepLast, [&](uint64_t from, uint64_t to) {
    setBits(bitmap, (std::max(from, iova) - iova) >> shift, (std::min(to, last) - iova) >> shift);
  });
}

int DirtyTracker::mapping(uint64_t first, uint64_t last, uint64_t limit) {
  return !tracksAll() || log_->cover(first, last, limit) ? 0 : ENOSPC;
}

void DirtyTracker::unmapped(uint64_t first, uint64_t last, const DirtyLog::Keep& mapped) const {
  if (!tracksAll()) return;
  log_->take(first, last, false, false, [](uint64_t, uint64_t) {});
  log_->uncover(first, last, mapped);
}

}  // namespace mdev

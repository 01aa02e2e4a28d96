// Copies that leave the caches to others.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mdev::dsa {

/// Bytes from which it pays: below, a copy ends before its last stores have begun to arrive.
inline constexpr uint64_t kWorthPassingCaches = 32 * 1024;
/// How far ahead of the copy the source is fetched, bytes: what memory takes to answer, at the rate at which it
/// delivers.
inline constexpr uint64_t kCopyAhead = 8 * 1024;

/// As memcpy; the destination is not brought into the caches, and leaves them. Its bytes are there, for every
/// processor, before anything that is stored after this. memcpy itself on processors other than x86-64.
///
/// While the last of them are copied, the first `kCopyAhead` bytes of `next` are fetched: what is copied after this. No
/// more than a hint, which need not be an address of anything.
void copyPastCaches(std::byte* to, const std::byte* from, uint64_t length, const std::byte* next);

}  // namespace mdev::dsa

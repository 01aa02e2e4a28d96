// What the addon needs of eventfd(2).
#pragma once

#include <cstdint>
#include <optional>

namespace mdev {

/// True when `fd` is an eventfd. Any other kind of file could block a writer, or be damaged by one.
bool isEventfd(int fd);

/// Makes reads and writes of `fd` return instead of waiting. False when `fd` is not open.
bool setNonBlocking(int fd);

/// Adds 1 to an eventfd of our own. A counter that is full is left alone: whoever reads it is woken already.
void signalEventfd(int fd);

/// Adds 1 to an eventfd that somebody else holds too, and does not wait whatever he does: O_NONBLOCK belongs to the
/// open file, so that a peer can clear it again, fill the counter, and have a write(2) wait for him for ever. Any
/// thread.
void signalForeignEventfd(int fd);

/// The counter of an eventfd, which becomes 0; nothing when it was 0. Does not wait, whatever somebody else who holds
/// it does to its flags (before Linux 5.8: unless he clears O_NONBLOCK at that very moment).
std::optional<uint64_t> takeForeignEventfd(int fd);

}  // namespace mdev

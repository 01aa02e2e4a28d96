// What the addon needs of eventfd(2).
#pragma once

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

}  // namespace mdev

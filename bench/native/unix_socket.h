// Blocking UNIX stream sockets.
#pragma once

#include <stddef.h>

/// Listens at `path`, which must be free, and prints "ready" on standard output.
int unix_listen(const char* path);

/// Waits for the next client.
int unix_accept(int listener);

/// Connects; replies that take longer than ten seconds are an error.
int unix_connect(const char* path);

/// Sends all of `bytes`.
void send_all(int socket, const void* bytes, size_t size);

/// Sends all of `bytes` in a sendmsg of its own that carries `count` descriptors, at most 16.
void send_with_fds(int socket, const void* bytes, size_t size, const int* fds, size_t count);

/// Receives exactly `size` bytes; ends the program when the peer is gone.
void receive_all(int socket, void* bytes, size_t size);

// The part of a vfio-user client that the benchmark needs. Every failure ends the program with one line.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "wire.h"

struct session {
  int socket;
  uint16_t next_id;
};

/// Connects, negotiates the version and, when the device has a configuration space, enables memory decode and bus
/// mastering.
struct session session_open(const char* path);

uint64_t region_size(struct session* session, uint32_t region);
void region_read(struct session* session, uint32_t region, uint64_t offset, void* data, uint32_t count);
uint32_t region_read32(struct session* session, uint32_t region, uint64_t offset);
/// Waits for the reply.
void region_write(struct session* session, uint32_t region, uint64_t offset, const void* data, uint32_t count);
void region_write32(struct session* session, uint32_t region, uint64_t offset, uint32_t value);

/// Maps for reading and writing; `fd` -1 means memory without a descriptor.
void dma_map(struct session* session, uint64_t address, uint64_t size, int fd, uint64_t offset);
void dma_unmap(struct session* session, uint64_t address, uint64_t size);

/// Enables MSI-X in the configuration space and gives vectors 0 to count - 1 their eventfds.
void enable_msix(struct session* session, const int* eventfds, uint32_t count);

/// Ends the program unless `reply` answers `command` with `payload` bytes and no error.
void require_reply(const struct header* reply, uint16_t command, size_t payload);

// Work for one queue of a DSA device: buffers in guest memory, the descriptors that work on them, and their way through
// the portal.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "dsa.h"
#include "measure.h"
#include "session.h"

enum operation { kOpMove, kOpCompare, kOpCrc, kOpFill, kOperations };

/// For series and messages.
extern const char* const kOperationNames[kOperations];

extern const uint64_t kFillPattern;

struct engine_queue {
  const struct options* options;
  struct session session;
  int interrupt;  ///< the eventfd of the queue's vector
  // One memory file, mapped here and by the server.
  char* memory;
  struct completion* records;        ///< one per slot
  struct completion* batch_records;  ///< one per group
  struct descriptor* lists;          ///< of batches: one descriptor per operation and slot
  char* sources;                     ///< `size` bytes per slot
  char* destinations;
  size_t message_size;          ///< bytes of the message, or eight messages, of one descriptor
  char* messages[kOperations];  ///< of all slots, or of all groups when batches are submitted; made before anything is
                                ///< timed
};

/// Connects, maps the memory, enables the queue and makes the messages.
void engine_queue_open(struct engine_queue* queue, const struct options* options);

/// Runs an operation on `descriptors` slots, in turn, and keeps the queue full until the last of them are submitted.
/// Never spins: sleeps until the interrupt of a group. Ends the program when a descriptor fails.
void engine_queue_run(struct engine_queue* queue, enum operation operation, size_t descriptors);

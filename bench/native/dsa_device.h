// Brings a DSA device up to where descriptors can be submitted.
#pragma once

#include <stdint.h>

#include "session.h"

/// Resets the device, makes queue 0 a dedicated queue of all entries in group 0 with engine 0 (unless its configuration
/// is fixed), enables device and queue. Returns the size of the queue.
uint32_t dsa_enable_queue(struct session* session);

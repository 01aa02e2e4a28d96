// A series of timings and its summary.
#pragma once

#include <stddef.h>
#include <stdint.h>

/// Nanoseconds of the monotonic clock.
uint64_t now_ns(void);

/// Timings of one kind of operation. Every sample covers `operations` of them.
struct samples {
  const char* name;
  size_t operations;
  size_t capacity;
  size_t count;
  uint64_t* ns;
};

/// Allocates room for `capacity` samples before anything is timed; ends the program when there is none.
struct samples samples_create(const char* name, size_t capacity, size_t operations);

void samples_add(struct samples* samples, uint64_t ns);

/// Prints `{"series":{"NAME":{"p50":…,"min":…,"samples":…},…}}` on one line: nanoseconds per operation. Sorts the
/// samples.
void samples_print(struct samples* series, size_t count);

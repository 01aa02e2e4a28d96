#include "samples.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "fail.h"

uint64_t now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

struct samples samples_create(const char* name, size_t capacity, size_t operations) {
  REQUIRE(capacity > 0 && operations > 0, "%s: no samples asked for", name);
  struct samples samples = {.name = name, .operations = operations, .capacity = capacity};
  samples.ns = calloc(capacity, sizeof *samples.ns);
  REQUIRE(samples.ns != NULL, "%s: no memory for %zu samples", name, capacity);
  // calloc's pages appear on first touch: that must not happen inside a timing.
  for (size_t i = 0; i < capacity; i++) ((volatile uint64_t*)samples.ns)[i] = 0;
  return samples;
}

void samples_add(struct samples* samples, uint64_t ns) {
  if (samples->count < samples->capacity) samples->ns[samples->count++] = ns;
}

static int ascending(const void* left, const void* right) {
  uint64_t a = *(const uint64_t*)left, b = *(const uint64_t*)right;
  return (a > b) - (a < b);
}

void samples_print(struct samples* series, size_t count) {
  printf("{\"series\":{");
  for (size_t i = 0; i < count; i++) {
    struct samples* one = &series[i];
    REQUIRE(one->count > 0, "%s: nothing was timed", one->name);
    qsort(one->ns, one->count, sizeof *one->ns, ascending);
    double operations = (double)one->operations;
    double p50 = ((double)one->ns[(one->count - 1) / 2] + (double)one->ns[one->count / 2]) / 2;
    printf("%s\"%s\":{\"p50\":%.2f,\"min\":%.2f,\"samples\":%zu}", i == 0 ? "" : ",", one->name, p50 / operations,
           (double)one->ns[0] / operations, one->count);
  }
  printf("}}\n");
}

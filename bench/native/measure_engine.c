// Times an engine by its completion records. Everything shares one core, so a sample's time is all the work that
// submission, execution and completion cost. The floor copies the same buffers of the same memory file in the same
// order, between the engine's samples: same pages, same working set, same caches.

#include <string.h>

#include "engine_queue.h"
#include "fail.h"
#include "measure.h"
#include "samples.h"

static void run_memcpy(const struct engine_queue* queue, size_t descriptors) {
  size_t size = queue->options->size, slots = queue->options->slots;
  for (size_t i = 0; i < descriptors; i++) {
    size_t at = i % slots * size;
    memcpy(queue->destinations + at, queue->sources + at, size);
    __asm__ volatile("" ::: "memory");
  }
}

/// CRC-32C bit by bit, seed 0.
static uint32_t crc32c(const char* data, size_t size) {
  uint32_t crc = 0xffffffff;
  for (size_t i = 0; i < size; i++) {
    crc ^= (uint8_t)data[i];
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return ~crc;
}

/// Does the engine do what will be timed? Looks at the buffers of the first slots.
static void verify(struct engine_queue* queue) {
  size_t size = queue->options->size, slots = queue->options->depth;
  engine_queue_run(queue, kOpFill, slots);
  for (size_t at = 0; at + sizeof kFillPattern <= slots * size; at += sizeof kFillPattern) {
    REQUIRE(memcmp(queue->destinations + at, &kFillPattern, sizeof kFillPattern) == 0,
            "fill left a wrong byte behind %zu", at);
  }
  engine_queue_run(queue, kOpMove, slots);
  REQUIRE(memcmp(queue->destinations, queue->sources, slots * size) == 0, "move left wrong bytes");
  engine_queue_run(queue, kOpCompare, slots);
  engine_queue_run(queue, kOpCrc, slots);
  for (size_t slot = 0; slot < slots; slot += queue->options->group) {
    uint32_t expected = crc32c(queue->sources + slot * size, size);
    REQUIRE(queue->records[slot].crc == expected, "crc of slot %zu is 0x%08x, expected 0x%08x", slot,
            queue->records[slot].crc, expected);
  }
}

void measure_engine(const struct options* options) {
  size_t slots = options->slots, descriptors = options->descriptors;
  REQUIRE(options->group > 0 && options->depth > 0 && options->depth % options->group == 0,
          "--depth must be a multiple of --group");
  REQUIRE(slots >= options->depth && slots % options->group == 0,
          "--slots must be a multiple of --group, at least --depth");
  REQUIRE(descriptors > 0 && descriptors % slots == 0, "--descriptors must be a multiple of --slots");
  REQUIRE(options->size > 0 && options->size % sizeof kFillPattern == 0, "--size must be a multiple of 8");
  struct engine_queue queue = {0};
  engine_queue_open(&queue, options);
  verify(&queue);

  enum { kMemcpy = kOperations, kSeries };
  struct samples series[kSeries];
  for (size_t s = 0; s < kSeries; s++) {
    series[s] = samples_create(s == kMemcpy ? "memcpy" : kOperationNames[s], options->samples, descriptors);
  }
  // Moves come first: they make the buffers equal again for compare, and fill comes last.
  for (size_t i = 0; i < options->samples; i++) {
    for (size_t s = 0; s < kSeries; s++) {
      // What is timed finds the caches as it leaves them itself, not as what was timed before it did.
      for (int pass = 0; pass < 2; pass++) {
        uint64_t start = now_ns();
        if (s == kMemcpy) {
          run_memcpy(&queue, descriptors);
        } else {
          engine_queue_run(&queue, (enum operation)s, descriptors);
        }
        uint64_t ns = now_ns() - start;
        if (pass > 0) samples_add(&series[s], ns);
      }
    }
  }
  samples_print(series, kSeries);
}

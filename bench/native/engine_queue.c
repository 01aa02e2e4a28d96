#include "engine_queue.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dsa_device.h"
#include "fail.h"
#include "unix_socket.h"
#include "wire.h"

/// Without CMDCAP's handles, an interrupt handle is an MSI-X index; vector 0 belongs to the device, 1 to queue 0.
enum { kQueueVector = 1, kVectors = 2 };
enum { kInterruptSeconds = 5, kPortalSlot = 64, kPortalSlots = 64 };

const char* const kOperationNames[kOperations] = {"move", "compare", "crc", "fill"};
const uint64_t kFillPattern = 0x0123456789abcdef;

static const enum opcode kOpcodes[kOperations] = {kMove, kCompare, kCrc, kFill};
static const uint64_t kBase = 0x100000000;

static size_t page_round(size_t size) { return (size + 4095) & ~(size_t)4095; }

static uint64_t address_of(const struct engine_queue* queue, const void* pointer) {
  return kBase + (uint64_t)((const char*)pointer - queue->memory);
}

static void map_memory(struct engine_queue* queue) {
  size_t slots = queue->options->slots, size = queue->options->size, groups = slots / queue->options->group;
  size_t batch_records = page_round(slots * sizeof(struct completion));
  size_t lists = batch_records + page_round(groups * sizeof(struct completion));
  size_t sources = lists + page_round(kOperations * slots * sizeof(struct descriptor));
  size_t total = page_round(sources + 2 * slots * size);
  int fd = memfd_create("bench-engine", MFD_CLOEXEC);
  REQUIRE(fd >= 0, "memfd_create: %s", strerror(errno));
  REQUIRE(ftruncate(fd, (off_t)total) == 0, "ftruncate: %s", strerror(errno));
  queue->memory = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
  REQUIRE(queue->memory != MAP_FAILED, "mmap of %zu bytes: %s", total, strerror(errno));
  queue->records = (struct completion*)queue->memory;
  queue->batch_records = (struct completion*)(queue->memory + batch_records);
  queue->lists = (struct descriptor*)(queue->memory + lists);
  queue->sources = queue->memory + sources;
  queue->destinations = queue->sources + slots * size;
  uint64_t state = 1;
  for (size_t at = 0; at + sizeof state <= slots * size; at += sizeof state) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    memcpy(queue->sources + at, &state, sizeof state);
  }
  dma_map(&queue->session, kBase, total, fd, 0);
  close(fd);
}

static bool last_of_group(const struct engine_queue* queue, size_t slot) {
  return slot % queue->options->group == queue->options->group - 1;
}

static struct descriptor descriptor_of(const struct engine_queue* queue, enum operation operation, size_t slot) {
  size_t size = queue->options->size;
  bool interrupt = !queue->options->batch && last_of_group(queue, slot);
  bool cached = queue->options->cached && (operation == kOpMove || operation == kOpFill);
  uint32_t flags =
      kFlagAddressValid | kFlagRecord | (interrupt ? kFlagInterrupt : 0) | (cached ? kFlagCacheControl : 0);
  return (struct descriptor){
      .flags_opcode = flags | (uint32_t)kOpcodes[operation] << 24,
      .completion = address_of(queue, &queue->records[slot]),
      .source = operation == kOpFill ? kFillPattern : address_of(queue, queue->sources + slot * size),
      .destination = operation == kOpCrc ? 0 : address_of(queue, queue->destinations + slot * size),
      .size = (uint32_t)size,
      .handle = interrupt ? kQueueVector : 0,
  };
}

static struct descriptor batch_of(const struct engine_queue* queue, const struct descriptor* list, size_t group) {
  return (struct descriptor){
      .flags_opcode = kFlagAddressValid | kFlagRecord | kFlagInterrupt | (uint32_t)kBatch << 24,
      .completion = address_of(queue, &queue->batch_records[group]),
      .source = address_of(queue, list),
      .size = (uint32_t)queue->options->group,
      .handle = kQueueVector,
  };
}

/// Writes the posted write, or eight, that submit a descriptor. Drivers step through the slots of the first page of the
/// queue's portals.
static void encode(const struct engine_queue* queue, const struct descriptor* descriptor, size_t index, char* at) {
  size_t part = queue->options->slot_writes ? 8 : kPortalSlot;
  for (size_t done = 0; done < kPortalSlot; done += part) {
    struct read_message head = {
        .header = {.command = kRegionWrite, .size = (uint32_t)(sizeof head + part), .flags = kNoReply},
        .access = {.offset = index % kPortalSlots * kPortalSlot + done, .region = kPortals, .count = (uint32_t)part},
    };
    memcpy(at, &head, sizeof head);
    memcpy(at + sizeof head, (const char*)descriptor + done, part);
    at += sizeof head + part;
  }
}

static void make_messages(struct engine_queue* queue) {
  const struct options* options = queue->options;
  size_t part = options->slot_writes ? 8 : kPortalSlot, slots = options->slots;
  queue->message_size = kPortalSlot / part * (sizeof(struct read_message) + part);
  for (size_t operation = 0; operation < kOperations; operation++) {
    char* messages = malloc(slots * queue->message_size);
    REQUIRE(messages != NULL, "no memory for %zu messages", slots);
    struct descriptor* list = queue->lists + operation * slots;
    for (size_t slot = 0; slot < slots; slot++) {
      list[slot] = descriptor_of(queue, (enum operation)operation, slot);
      if (!options->batch) encode(queue, &list[slot], slot, messages + slot * queue->message_size);
    }
    for (size_t group = 0; options->batch && group < slots / options->group; group++) {
      struct descriptor batch = batch_of(queue, list + group * options->group, group);
      encode(queue, &batch, group, messages + group * queue->message_size);
    }
    queue->messages[operation] = messages;
  }
}

void engine_queue_open(struct engine_queue* queue, const struct options* options) {
  queue->options = options;
  queue->session = session_open(options->socket);
  int eventfds[kVectors];
  for (int i = 0; i < kVectors; i++) {
    eventfds[i] = eventfd(0, EFD_CLOEXEC);
    REQUIRE(eventfds[i] >= 0, "eventfd: %s", strerror(errno));
  }
  queue->interrupt = eventfds[kQueueVector];
  enable_msix(&queue->session, eventfds, kVectors);
  map_memory(queue);
  uint32_t entries = dsa_enable_queue(&queue->session);
  size_t needed = options->batch ? options->depth / options->group : options->depth;
  REQUIRE(entries >= needed, "the queue has %u entries, %zu are needed", entries, needed);
  make_messages(queue);
}

static void submit(struct engine_queue* queue, enum operation operation, size_t first_slot) {
  size_t group = queue->options->group;
  for (size_t slot = first_slot; slot < first_slot + group; slot++) {
    atomic_store_explicit((_Atomic uint8_t*)&queue->records[slot].status, 0, memory_order_relaxed);
  }
  size_t messages = queue->options->batch ? 1 : group;
  size_t first = queue->options->batch ? first_slot / group : first_slot;
  atomic_store_explicit((_Atomic uint8_t*)&queue->batch_records[first_slot / group].status, 0, memory_order_relaxed);
  send_all(queue->session.socket, queue->messages[operation] + first * queue->message_size,
           messages * queue->message_size);
}

static uint8_t status_of(const struct completion* record) {
  return atomic_load_explicit((const _Atomic uint8_t*)&record->status, memory_order_acquire);
}

static void await_group(struct engine_queue* queue, enum operation operation, size_t first_slot) {
  const char* name = kOperationNames[operation];
  size_t group = queue->options->group, last_slot = first_slot + group - 1;
  const struct completion* last =
      queue->options->batch ? &queue->batch_records[first_slot / group] : &queue->records[last_slot];
  // One engine works in order, so the record that comes with the interrupt is the last of its group.
  while (status_of(last) == 0) {
    struct pollfd waiting = {.fd = queue->interrupt, .events = POLLIN};
    int ready = poll(&waiting, 1, kInterruptSeconds * 1000);
    if (ready < 0 && errno == EINTR) continue;
    REQUIRE(ready == 1, "%s: no completion interrupt for %d seconds", name, kInterruptSeconds);
    uint64_t count;
    ssize_t got = read(queue->interrupt, &count, sizeof count);
    REQUIRE(got == sizeof count || errno == EAGAIN, "eventfd: %s", strerror(errno));
  }
  REQUIRE(status_of(last) == kStatusSuccess, "%s: status 0x%02x ends the group", name, status_of(last));
  for (size_t slot = first_slot; slot <= last_slot; slot++) {
    const struct completion* record = &queue->records[slot];
    REQUIRE(status_of(record) == kStatusSuccess, "%s: descriptor %zu ended with status 0x%02x", name, slot,
            status_of(record));
    REQUIRE(operation != kOpCompare || record->result == 0, "compare: descriptor %zu found a difference at %u", slot,
            record->bytes_completed);
  }
}

void engine_queue_run(struct engine_queue* queue, enum operation operation, size_t descriptors) {
  size_t group = queue->options->group, depth = queue->options->depth, slots = queue->options->slots;
  size_t submitted = 0, completed = 0;
  while (completed < descriptors) {
    while (submitted < descriptors && submitted < completed + depth) {
      submit(queue, operation, submitted % slots);
      submitted += group;
    }
    await_group(queue, operation, completed % slots);
    completed += group;
  }
}

#include <stdlib.h>
#include <string.h>

#include "fail.h"
#include "measure.h"
#include "samples.h"
#include "session.h"
#include "unix_socket.h"
#include "wire.h"

enum { kWarmupSamples = 20 };

/// Ends a sample: when the answer is here, every write before it was taken.
static void synchronise(const struct options* options, struct session* session, const char* last_write,
                        uint32_t expected) {
  if (options->floor) {
    char message[kWrite4Request];
    char reply[kRead4Reply];
    memcpy(message, last_write, sizeof message);
    struct header header;
    memcpy(&header, message, sizeof header);
    header.flags = 0;
    memcpy(message, &header, sizeof header);
    send_all(session->socket, message, sizeof message);
    receive_all(session->socket, reply, sizeof reply);
    return;
  }
  uint32_t value = region_read32(session, options->region, options->offset);
  REQUIRE(value == expected, "the register reads 0x%x after 0x%x was posted", value, expected);
}

void measure_posted(const struct options* options) {
  REQUIRE(options->writes > 0 && options->sends > 0, "--writes and --sends must not be 0");
  struct session session = {.next_id = 1};
  if (options->floor) {
    session.socket = unix_connect(options->socket);
  } else {
    session = session_open(options->socket);
  }
  size_t size = options->writes * kWrite4Request;
  char* burst = malloc(size);
  REQUIRE(burst != NULL, "no memory for %zu writes", options->writes);
  for (size_t i = 0; i < options->writes; i++) {
    struct write4_message message = {
        .header = {.id = (uint16_t)i, .command = kRegionWrite, .size = kWrite4Request, .flags = kNoReply},
        .access = {.offset = options->offset, .region = options->region, .count = 4},
        .data = (uint32_t)i,
    };
    memcpy(burst + i * kWrite4Request, &message, kWrite4Request);
  }
  char* last_write = burst + size - kWrite4Request;
  struct samples samples = samples_create("write", options->samples, options->sends * options->writes);
  uint32_t value = 1;
  for (size_t i = 0; i < options->samples + kWarmupSamples; i++) {
    uint64_t start = now_ns();
    for (size_t s = 0; s < options->sends; s++) {
      value++;
      memcpy(last_write + __builtin_offsetof(struct write4_message, data), &value, sizeof value);
      send_all(session.socket, burst, size);
    }
    synchronise(options, &session, last_write, value);
    uint64_t ns = now_ns() - start;
    if (i >= kWarmupSamples) samples_add(&samples, ns);
  }
  samples_print(&samples, 1);
  free(burst);
}

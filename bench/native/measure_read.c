#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "fail.h"
#include "measure.h"
#include "samples.h"
#include "session.h"
#include "unix_socket.h"
#include "wire.h"

enum { kWarmup = 2000 };

struct read_reply {
  struct header header;
  struct region_access access;
  uint32_t value;
};

static void round_trip(int socket, const struct read_message* request, struct read_reply* reply) {
  // One send and one recv; a reply in pieces is legal, rare, and no reason to fail.
  ssize_t sent = send(socket, request, kRead4Request, MSG_NOSIGNAL);
  REQUIRE(sent == kRead4Request, "send: %s", strerror(errno));
  ssize_t got = recv(socket, reply, kRead4Reply, 0);
  if (got != kRead4Reply) {
    REQUIRE(got > 0, "recv: %s", got == 0 ? "the server closed the connection" : strerror(errno));
    receive_all(socket, (char*)reply + got, (size_t)(kRead4Reply - got));
  }
}

void measure_read(const struct options* options) {
  struct session session = {.next_id = 1};
  if (options->floor) {
    session.socket = unix_connect(options->socket);
  } else {
    session = session_open(options->socket);
  }
  struct read_message request = {
      .header = {.command = kRegionRead, .size = kRead4Request},
      .access = {.offset = options->offset, .region = options->region, .count = 4},
  };
  struct read_reply reply;
  struct samples samples = samples_create("read", options->samples, 1);
  uint32_t first = 0;
  for (size_t i = 0; i < options->samples + kWarmup; i++) {
    request.header.id = session.next_id++;
    uint64_t start = now_ns();
    round_trip(session.socket, &request, &reply);
    uint64_t ns = now_ns() - start;
    if (i >= kWarmup) samples_add(&samples, ns);
    if (options->floor) continue;
    require_reply(&reply.header, kRegionRead, kRead4Reply - sizeof reply.header);
    REQUIRE(reply.header.id == request.header.id, "request %u was answered as %u", request.header.id, reply.header.id);
    if (i == 0) first = reply.value;
    // A hooked register proves with every value that its hook ran once for this read, and a plain one that none did.
    uint32_t expected = first + (options->counts ? (uint32_t)i : 0);
    REQUIRE(reply.value == expected, "read %zu gave %u, expected %u", i, reply.value, expected);
  }
  samples_print(&samples, 1);
}

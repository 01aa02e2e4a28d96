#include "session.h"

#include <stdio.h>
#include <string.h>

#include "fail.h"
#include "unix_socket.h"

enum {
  kCommandOffset = 0x04,
  kCommandMemoryAndMaster = 0x06,
  kStatusOffset = 0x06,
  kStatusCapabilities = 0x10,
  kCapabilityPointer = 0x34,
  kMsixCapability = 0x11,
  kMsixEnable = 0x8000,
  kMaxPayload = 256,
};

void require_reply(const struct header* reply, uint16_t command, size_t payload) {
  REQUIRE((reply->flags & kTypeMask) == kReply && reply->command == command,
          "command %u was answered by command %u, flags 0x%x", command, reply->command, reply->flags);
  REQUIRE((reply->flags & kError) == 0, "command %u failed: %s", command, strerror((int)reply->error));
  REQUIRE(reply->size == sizeof *reply + payload, "the reply to command %u is %u bytes, expected %zu", command,
          reply->size, sizeof *reply + payload);
}

/// Sends one command and receives the whole reply; returns the size of its payload.
static size_t call(struct session* session, uint16_t command, const void* payload, size_t size, const int* fds,
                   size_t fd_count, void* reply, size_t reply_capacity) {
  char message[sizeof(struct header) + kMaxPayload];
  REQUIRE(size <= kMaxPayload, "payload of %zu bytes", size);
  struct header header = {.id = session->next_id++, .command = command, .size = (uint32_t)(sizeof header + size)};
  memcpy(message, &header, sizeof header);
  memcpy(message + sizeof header, payload, size);
  if (fd_count > 0) {
    send_with_fds(session->socket, message, sizeof header + size, fds, fd_count);
  } else {
    send_all(session->socket, message, sizeof header + size);
  }
  struct header answer;
  receive_all(session->socket, &answer, sizeof answer);
  REQUIRE(answer.size >= sizeof answer && answer.size - sizeof answer <= reply_capacity,
          "the reply to command %u is %u bytes, at most %zu fit", command, answer.size, sizeof answer + reply_capacity);
  size_t received = answer.size - sizeof answer;
  if (received > 0) receive_all(session->socket, reply, received);
  require_reply(&answer, command, received);
  REQUIRE(answer.id == header.id, "request %u was answered as %u", header.id, answer.id);
  return received;
}

static void negotiate(struct session* session) {
  static const char kCapabilities[] = "{\"capabilities\":{\"max_msg_fds\":8,\"max_data_xfer_size\":1048576}}";
  char payload[4 + sizeof kCapabilities] = {0};  // major 0, minor 0
  memcpy(payload + 4, kCapabilities, sizeof kCapabilities);
  char reply[1024];
  size_t received = call(session, kVersion, payload, sizeof payload, NULL, 0, reply, sizeof reply);
  REQUIRE(received >= 4, "the VERSION reply has %zu bytes", received);
}

struct session session_open(const char* path) {
  struct session session = {.socket = unix_connect(path), .next_id = 1};
  negotiate(&session);
  if (region_size(&session, kConfigRegion) >= 64) {
    uint16_t command = kCommandMemoryAndMaster;
    region_write(&session, kConfigRegion, kCommandOffset, &command, sizeof command);
  }
  return session;
}

uint64_t region_size(struct session* session, uint32_t region) {
  struct region_info info = {.argsz = sizeof info, .index = region};
  size_t received = call(session, kGetRegionInfo, &info, sizeof info, NULL, 0, &info, sizeof info);
  REQUIRE(received == sizeof info, "GET_REGION_INFO answered %zu bytes", received);
  return info.size;
}

void region_read(struct session* session, uint32_t region, uint64_t offset, void* data, uint32_t count) {
  struct region_access access = {.offset = offset, .region = region, .count = count};
  char reply[sizeof access + kMaxPayload];
  size_t received = call(session, kRegionRead, &access, sizeof access, NULL, 0, reply, sizeof reply);
  REQUIRE(received == sizeof access + count, "REGION_READ of %u bytes answered %zu", count, received);
  memcpy(data, reply + sizeof access, count);
}

uint32_t region_read32(struct session* session, uint32_t region, uint64_t offset) {
  uint32_t value;
  region_read(session, region, offset, &value, sizeof value);
  return value;
}

void region_write(struct session* session, uint32_t region, uint64_t offset, const void* data, uint32_t count) {
  char payload[kMaxPayload];
  struct region_access access = {.offset = offset, .region = region, .count = count};
  REQUIRE(sizeof access + count <= sizeof payload, "REGION_WRITE of %u bytes", count);
  memcpy(payload, &access, sizeof access);
  memcpy(payload + sizeof access, data, count);
  call(session, kRegionWrite, payload, sizeof access + count, NULL, 0, &access, sizeof access);
}

void region_write32(struct session* session, uint32_t region, uint64_t offset, uint32_t value) {
  region_write(session, region, offset, &value, sizeof value);
}

void dma_map(struct session* session, uint64_t address, uint64_t size, int fd, uint64_t offset) {
  struct dma_map map = {.argsz = sizeof map,
                        .flags = kDmaRead | kDmaWrite,
                        .offset = fd < 0 ? 0 : offset,
                        .address = address,
                        .size = size};
  char reply[sizeof map];
  call(session, kDmaMap, &map, sizeof map, &fd, fd < 0 ? 0 : 1, reply, sizeof reply);
}

void dma_unmap(struct session* session, uint64_t address, uint64_t size) {
  struct dma_unmap unmap = {.argsz = sizeof unmap, .address = address, .size = size};
  char reply[sizeof unmap];
  call(session, kDmaUnmap, &unmap, sizeof unmap, NULL, 0, reply, sizeof reply);
}

/// Offset of the MSI-X capability in the configuration space.
static uint8_t find_msix(struct session* session) {
  uint8_t config[256];
  region_read(session, kConfigRegion, 0, config, 128);
  region_read(session, kConfigRegion, 128, config + 128, 128);
  REQUIRE(config[kStatusOffset] & kStatusCapabilities, "the device has no capability list");
  uint8_t at = config[kCapabilityPointer] & 0xfc;
  for (int i = 0; i < 48 && at >= 0x40; i++) {
    if (config[at] == kMsixCapability) return at;
    at = config[at + 1] & 0xfc;
  }
  FAIL("the device has no MSI-X capability");
}

void enable_msix(struct session* session, const int* eventfds, uint32_t count) {
  uint8_t capability = find_msix(session);
  uint16_t control;
  region_read(session, kConfigRegion, capability + 2u, &control, sizeof control);
  control |= kMsixEnable;
  region_write(session, kConfigRegion, capability + 2u, &control, sizeof control);
  struct set_irqs irqs = {
      .argsz = sizeof irqs, .flags = kIrqDataEventfd | kIrqTrigger, .index = kMsixIndex, .start = 0, .count = count};
  char reply[sizeof irqs];
  call(session, kSetIrqs, &irqs, sizeof irqs, eventfds, count, reply, sizeof reply);
}

// The vfio-user messages that the benchmark uses, as they are on the wire (host byte order).
#pragma once

#include <stdint.h>

enum {
  kVersion = 1,
  kDmaMap = 2,
  kDmaUnmap = 3,
  kGetRegionInfo = 5,
  kSetIrqs = 8,
  kRegionRead = 9,
  kRegionWrite = 10,
};

enum { kTypeMask = 0xf, kReply = 1, kNoReply = 0x10, kError = 0x20 };

enum { kConfigRegion = 7 };

struct header {
  uint16_t id;
  uint16_t command;
  uint32_t size;
  uint32_t flags;
  uint32_t error;
};

/// Payload of REGION_READ and REGION_WRITE; the data follows.
struct region_access {
  uint64_t offset;
  uint32_t region;
  uint32_t count;
};

struct region_info {
  uint32_t argsz;
  uint32_t flags;
  uint32_t index;
  uint32_t cap_offset;
  uint64_t size;
  uint64_t offset;
};

enum { kDmaRead = 1, kDmaWrite = 2 };

struct dma_map {
  uint32_t argsz;
  uint32_t flags;
  uint64_t offset;
  uint64_t address;
  uint64_t size;
};

struct dma_unmap {
  uint32_t argsz;
  uint32_t flags;
  uint64_t address;
  uint64_t size;
};

enum { kIrqDataEventfd = 1 << 2, kIrqTrigger = 1 << 5, kMsixIndex = 2 };

struct set_irqs {
  uint32_t argsz;
  uint32_t flags;
  uint32_t index;
  uint32_t start;
  uint32_t count;
};

/// REGION_READ of up to 8 bytes: 32 bytes out, 32 + n bytes in.
struct read_message {
  struct header header;
  struct region_access access;
};

/// REGION_WRITE of 4 bytes: 36 bytes.
struct write4_message {
  struct header header;
  struct region_access access;
  uint32_t data;
};

/// The sizes that the floors must match.
enum { kRead4Request = 32, kRead4Reply = 36, kWrite4Request = 36 };

_Static_assert(sizeof(struct read_message) == kRead4Request, "REGION_READ is 32 bytes");
_Static_assert(__builtin_offsetof(struct write4_message, data) + 4 == kWrite4Request, "REGION_WRITE of 4 is 36 bytes");
_Static_assert(sizeof(struct dma_map) == 32 && sizeof(struct dma_unmap) == 24, "DMA_MAP is 32 bytes, DMA_UNMAP 24");
_Static_assert(sizeof(struct set_irqs) == 20 && sizeof(struct region_info) == 32, "SET_IRQS is 20, REGION_INFO 32");

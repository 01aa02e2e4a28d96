// What the client can time. Each prints one line of JSON (samples.h).
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct options {
  const char* socket;
  bool floor;          ///< the peer is a floor: no handshake, no look at the reply
  uint32_t region;     ///< VFIO index of the region
  uint64_t offset;     ///< of the register
  bool counts;         ///< the register counts its reads
  size_t samples;      ///< how many timings
  size_t sends;        ///< posted: sends per sample
  size_t writes;       ///< posted: writes per send
  bool without_fd;     ///< dma: guest memory without a descriptor
  size_t maps;         ///< dma: how many there are, at most, while they are timed
  size_t size;         ///< engine: bytes per descriptor
  size_t depth;        ///< engine: descriptors in flight
  size_t group;        ///< engine: descriptors per send and per completion interrupt
  size_t slots;        ///< engine: pairs of buffers, used in turn: the working set is 2 * slots * size
  bool batch;          ///< engine: a group is one batch descriptor
  size_t descriptors;  ///< engine: descriptors per sample
  bool slot_writes;    ///< engine: eight 8-byte writes per descriptor, as a guest without 64-byte stores produces
  bool cached;         ///< engine: what is written is to stay in the caches (cache control 1)
};

/// Round trips of a 4-byte REGION_READ. Series: read.
void measure_read(const struct options* options);

/// Posted 4-byte REGION_WRITEs, `writes` per send; a sample ends with one synchronous read. Series: write.
void measure_posted(const struct options* options);

/// DMA_MAP and DMA_UNMAP of 64 KiB ranges of one memory file, among `maps` of them. Series: map, unmap.
void measure_dma(const struct options* options);

/// Descriptors through a portal of a DSA device, beside memcpy of the same buffers. Series: memcpy, move, compare, crc,
/// fill.
void measure_engine(const struct options* options);

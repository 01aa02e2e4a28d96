#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fail.h"
#include "measure.h"
#include "samples.h"
#include "session.h"

/// Ranges that are mapped and unmapped together: about what QEMU moves when firmware moves its windows.
enum { kGroup = 16, kRangeSize = 64 * 1024 };

static const uint64_t kBase = 0x100000000;

static void map_range(struct session* session, uint64_t range, int fd) {
  dma_map(session, kBase + range * kRangeSize, kRangeSize, fd, range * kRangeSize);
}

void measure_dma(const struct options* options) {
  struct session session = session_open(options->socket);
  int fd = -1;
  if (!options->without_fd) {
    fd = memfd_create("bench-dma", MFD_CLOEXEC);
    REQUIRE(fd >= 0, "memfd_create: %s", strerror(errno));
    REQUIRE(ftruncate(fd, (off_t)(options->maps * kRangeSize)) == 0, "ftruncate: %s", strerror(errno));
  }
  struct samples series[] = {
      samples_create("map", options->samples, 1),
      samples_create("unmap", options->samples, 1),
  };
  REQUIRE(options->maps >= kGroup, "at least %d maps are needed", kGroup);
  // The group's ranges lie apart from each other, between those that stay.
  uint64_t stride = options->maps / kGroup;
  for (uint64_t range = 0; range < options->maps; range++) {
    if (range % stride != 0 || range / stride >= kGroup) map_range(&session, range, fd);
  }
  for (size_t done = 0; done < options->samples + kGroup; done += kGroup) {
    for (uint64_t i = 0; i < kGroup; i++) {
      uint64_t start = now_ns();
      map_range(&session, i * stride, fd);
      uint64_t ns = now_ns() - start;
      if (done > 0) samples_add(&series[0], ns);
    }
    for (uint64_t i = 0; i < kGroup; i++) {
      uint64_t start = now_ns();
      dma_unmap(&session, kBase + i * stride * kRangeSize, kRangeSize);
      uint64_t ns = now_ns() - start;
      if (done > 0) samples_add(&series[1], ns);
    }
  }
  samples_print(series, 2);
  if (fd >= 0) close(fd);
}

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fail.h"
#include "measure.h"
#include "samples.h"
#include "session.h"

/// Ranges that are mapped at the same time: about what QEMU holds while firmware moves its windows.
enum { kRanges = 32, kRangeSize = 64 * 1024 };

static const uint64_t kBase = 0x100000000;

void measure_dma(const struct options* options) {
  struct session session = session_open(options->socket);
  int fd = -1;
  if (!options->without_fd) {
    fd = memfd_create("bench-dma", MFD_CLOEXEC);
    REQUIRE(fd >= 0, "memfd_create: %s", strerror(errno));
    REQUIRE(ftruncate(fd, (off_t)kRanges * kRangeSize) == 0, "ftruncate: %s", strerror(errno));
  }
  struct samples series[] = {
      samples_create("map", options->samples, 1),
      samples_create("unmap", options->samples, 1),
  };
  for (size_t done = 0; done < options->samples + kRanges; done += kRanges) {
    for (uint64_t i = 0; i < kRanges; i++) {
      uint64_t start = now_ns();
      dma_map(&session, kBase + i * kRangeSize, kRangeSize, fd, i * kRangeSize);
      uint64_t ns = now_ns() - start;
      if (done > 0) samples_add(&series[0], ns);
    }
    for (uint64_t i = 0; i < kRanges; i++) {
      uint64_t start = now_ns();
      dma_unmap(&session, kBase + i * kRangeSize, kRangeSize);
      uint64_t ns = now_ns() - start;
      if (done > 0) samples_add(&series[1], ns);
    }
  }
  samples_print(series, 2);
  if (fd >= 0) close(fd);
}

// The measuring client: client read|posted|dma|engine --socket PATH [options]. Times one thing and prints one line of
// JSON.

#include <errno.h>
#include <getopt.h>
#include <string.h>

#include "fail.h"
#include "measure.h"

enum option_id {
  kSocket = 1,
  kFloor,
  kRegion,
  kOffset,
  kCounts,
  kSamples,
  kSends,
  kWrites,
  kWithoutFd,
  kSize,
  kDepth,
  kGroup,
  kSlots,
  kBatch,
  kDescriptors,
  kSlotWrites,
  kCached,
  kMaps,
};

static const struct option kOptions[] = {
    {"socket", required_argument, NULL, kSocket},
    {"floor", no_argument, NULL, kFloor},
    {"region", required_argument, NULL, kRegion},
    {"offset", required_argument, NULL, kOffset},
    {"counts", no_argument, NULL, kCounts},
    {"samples", required_argument, NULL, kSamples},
    {"sends", required_argument, NULL, kSends},
    {"writes", required_argument, NULL, kWrites},
    {"without-fd", no_argument, NULL, kWithoutFd},
    {"size", required_argument, NULL, kSize},
    {"depth", required_argument, NULL, kDepth},
    {"group", required_argument, NULL, kGroup},
    {"slots", required_argument, NULL, kSlots},
    {"batch", no_argument, NULL, kBatch},
    {"descriptors", required_argument, NULL, kDescriptors},
    {"slot-writes", no_argument, NULL, kSlotWrites},
    {"cached", no_argument, NULL, kCached},
    {"maps", required_argument, NULL, kMaps},
    {0},
};

static uint64_t number(const char* text) {
  char* end;
  errno = 0;
  uint64_t value = strtoull(text, &end, 0);
  REQUIRE(errno == 0 && end != text && *end == '\0' && *text != '-', "not a number: %s", text);
  return value;
}

static void apply(struct options* options, enum option_id id, const char* text) {
  switch (id) {
    case kSocket:
      options->socket = text;
      break;
    case kFloor:
      options->floor = true;
      break;
    case kRegion:
      options->region = (uint32_t)number(text);
      break;
    case kOffset:
      options->offset = number(text);
      break;
    case kCounts:
      options->counts = true;
      break;
    case kSamples:
      options->samples = number(text);
      break;
    case kSends:
      options->sends = number(text);
      break;
    case kWrites:
      options->writes = number(text);
      break;
    case kWithoutFd:
      options->without_fd = true;
      break;
    case kSize:
      options->size = number(text);
      break;
    case kDepth:
      options->depth = number(text);
      break;
    case kGroup:
      options->group = number(text);
      break;
    case kSlots:
      options->slots = number(text);
      break;
    case kBatch:
      options->batch = true;
      break;
    case kDescriptors:
      options->descriptors = number(text);
      break;
    case kSlotWrites:
      options->slot_writes = true;
      break;
    case kCached:
      options->cached = true;
      break;
    case kMaps:
      options->maps = number(text);
      break;
  }
}

static const struct {
  const char* name;
  void (*measure)(const struct options* options);
} kMeasures[] = {{"read", measure_read}, {"posted", measure_posted}, {"dma", measure_dma}, {"engine", measure_engine}};

int main(int argc, char** argv) {
  struct options options = {.samples = 1000,
                            .sends = 1,
                            .writes = 32,
                            .size = 65536,
                            .depth = 16,
                            .group = 8,
                            .slots = 16,
                            .maps = 32,
                            .descriptors = 64};
  int id;
  while ((id = getopt_long(argc, argv, "", kOptions, NULL)) != -1) {
    if (id == '?') return 2;
    apply(&options, (enum option_id)id, optarg);
  }
  REQUIRE(options.socket != NULL, "--socket is missing");
  REQUIRE(optind == argc - 1, "usage: client read|posted|dma|engine --socket PATH [options]");
  for (size_t i = 0; i < sizeof kMeasures / sizeof kMeasures[0]; i++) {
    if (strcmp(argv[optind], kMeasures[i].name) == 0) {
      kMeasures[i].measure(&options);
      return 0;
    }
  }
  FAIL("unknown measure: %s", argv[optind]);
}

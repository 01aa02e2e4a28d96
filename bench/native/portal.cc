// portal [--size BYTES] [--slots N] [--depth N] [--group N] [--descriptors N] [--samples N] [--slot-writes] [--cached]
//        [--batch]:
// times an engine's moves, each submitted by a write to the portal inside this process, or each group by one write that
// names a list of it. What is left is portal, engine and record: no socket, no decoder, no event loop. The work is that
// of `client engine` (engine_queue.c): same buffers, same order, as many in flight, an interrupt for each group. Prints
// one line of JSON, as the client does (samples.h).
#include <getopt.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "dsa/completion_record.h"
#include "dsa/flags.h"
#include "dsa/opcode.h"
#include "dsa/operation_facts.h"
#include "dsa/status.h"
#include "engine/engine.h"
#include "engine/group.h"
#include "engine/queue_device.h"

extern "C" {
#include "fail.h"
#include "samples.h"
}

namespace {

constexpr uint64_t kBase = uint64_t{1} << 32;
constexpr uint32_t kVectors = 2;
constexpr uint16_t kQueueVector = 1;
constexpr int kInterruptMs = 5000;

struct Options {
  std::size_t size = 65536, slots = 1024, depth = 128, group = 64, descriptors = 1024, samples = 8;
  bool slotWrites = false, cached = false, batch = false;
};

Options parse(int argc, char** argv) {
  Options options;
  const std::array<std::size_t*, 6> places{&options.size,  &options.slots,       &options.depth,
                                           &options.group, &options.descriptors, &options.samples};
  constexpr int kSlotWrites = places.size(), kCached = kSlotWrites + 1, kBatch = kCached + 1;
  const option known[] = {{"size", required_argument, nullptr, 0},
                          {"slots", required_argument, nullptr, 1},
                          {"depth", required_argument, nullptr, 2},
                          {"group", required_argument, nullptr, 3},
                          {"descriptors", required_argument, nullptr, 4},
                          {"samples", required_argument, nullptr, 5},
                          {"slot-writes", no_argument, nullptr, kSlotWrites},
                          {"cached", no_argument, nullptr, kCached},
                          {"batch", no_argument, nullptr, kBatch},
                          {}};
  for (int id = 0; (id = ::getopt_long(argc, argv, "", known, nullptr)) != -1;) {
    REQUIRE(id != '?', "see the top of portal.cc");
    if (id == kSlotWrites) {
      options.slotWrites = true;
    } else if (id == kCached) {
      options.cached = true;
    } else if (id == kBatch) {
      options.batch = true;
    } else {
      *places[static_cast<std::size_t>(id)] = std::strtoull(optarg, nullptr, 10);
      REQUIRE(*places[static_cast<std::size_t>(id)] > 0, "not a number above 0: %s", optarg);
    }
  }
  REQUIRE(options.depth % options.group == 0 && options.slots % options.group == 0 && options.slots >= options.depth &&
              options.descriptors % options.slots == 0,
          "numbers that do not fit each other");
  return options;
}

std::size_t pages(std::size_t size) { return (size + 4095) & ~std::size_t{4095}; }

class Queue {
 public:
  explicit Queue(const Options& options) : options_(options) {
    const std::size_t sources = pages(options.slots * mdev::dsa::kCompletionRecordSize);
    const std::size_t lists = pages(sources + 2 * options.slots * options.size);
    const std::size_t total = lists + pages(options.slots * mdev::dsa::kDescriptorSize);
    mdev::FileDescriptor file(::memfd_create("bench-portal", MFD_CLOEXEC));
    REQUIRE(file && ::ftruncate(file.get(), static_cast<off_t>(total)) == 0, "memfd: %s", strerror(errno));
    void* const memory = ::mmap(nullptr, total, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file.get(), 0);
    REQUIRE(memory != MAP_FAILED, "mmap of %zu bytes: %s", total, strerror(errno));
    records_ = static_cast<std::byte*>(memory);
    sources_ = records_ + sources;
    destinations_ = sources_ + options.slots * options.size;
    uint64_t state = 1;
    for (std::size_t at = 0; at + sizeof state <= options.slots * options.size; at += sizeof state) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      std::memcpy(sources_ + at, &state, sizeof state);
    }
    const auto dma = std::make_shared<mdev::DmaSpace>();
    REQUIRE(dma->map(kBase, total, mdev::kDmaRead | mdev::kDmaWrite, std::move(file), 0) == 0, "map refused");
    dma->setBusMaster(true);
    makeDevice(dma);
    for (std::size_t slot = 0; slot < options.slots; ++slot) {
      descriptors_.push_back(descriptorOf(slot));
      std::memcpy(records_ + lists + slot * mdev::dsa::kDescriptorSize, descriptors_.back().bytes.data(),
                  mdev::dsa::kDescriptorSize);
    }
    lists_ = records_ + lists;
  }

  void run(std::size_t count) {
    std::size_t submitted = 0;
    for (std::size_t completed = 0; completed < count; completed += options_.group) {
      for (; submitted < count && submitted < completed + options_.depth; submitted += options_.group) {
        submit(submitted % options_.slots);
      }
      await(completed % options_.slots);
    }
  }
  void copy(std::size_t count) const {
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t at = i % options_.slots * options_.size;
      std::memcpy(destinations_ + at, sources_ + at, options_.size);
      asm volatile("" ::: "memory");
    }
  }
  void verify() {
    run(options_.slots);
    REQUIRE(std::memcmp(destinations_, sources_, options_.slots * options_.size) == 0, "move left wrong bytes");
    std::memset(destinations_, 0, options_.slots * options_.size);
  }

 private:
  void makeDevice(const std::shared_ptr<mdev::DmaSpace>& dma) {
    const auto irqs = std::make_shared<mdev::IrqTable>(kVectors);
    std::vector<mdev::ForeignFd> fds;
    for (uint32_t vector = 0; vector < kVectors; ++vector) {
      interrupt_ = mdev::FileDescriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
      fds.emplace_back(mdev::FileDescriptor(::dup(interrupt_.get())));
    }
    REQUIRE(irqs->assign(0, std::move(fds)) == 0, "eventfds refused");
    const mdev::RegisterOffsets registers{.softwareError = 0xc0,
                                          .interruptCause = 0x98,
                                          .generalControl = 0x88,
                                          .workQueueStatus = {0x818, 32},
                                          .msixPermissions = {0x400, 8}};
    device_ = std::make_unique<mdev::QueueDevice>(mdev::QueueDeviceOptions{
        std::make_shared<mdev::RegisterMemory>(0x2000), dma, std::make_shared<std::atomic<uint64_t>>(0), irqs, 1,
        kVectors, registers, mdev::dsa::Capabilities{.overlappingMove = true}});
    group_->setEngines({engine_});
    mdev::QueueConfig config;
    config.size = static_cast<uint32_t>(options_.depth);
    config.limits.operations = mdev::dsa::supportedOperations();
    config.limits.maxTransfer = uint64_t{1} << 31;
    config.limits.maxBatch = 1024;
    device_->enable(0, config, group_);
  }

  bool lastOfGroup(std::size_t slot) const { return slot % options_.group == options_.group - 1; }

  mdev::dsa::Descriptor descriptorOf(std::size_t slot) const {
    using namespace mdev::dsa;
    const auto addressOf = [this](const std::byte* pointer) {
      return kBase + static_cast<uint64_t>(pointer - records_);
    };
    const uint32_t interrupt = lastOfGroup(slot) ? kFlagRequestCompletionInterrupt : 0;
    const uint32_t caching = options_.cached ? kFlagCacheControl1 : 0;
    const uint32_t flags = kFlagCompletionAddressValid | kFlagRequestCompletionRecord | interrupt | caching;
    struct {
      uint32_t pasid, flags;
      uint64_t record, source, destination;
      uint32_t size;
      uint16_t handle;
    } const front = {0,
                     flags | uint32_t{kOpMemoryMove} << 24,
                     addressOf(records_ + slot * kCompletionRecordSize),
                     addressOf(sources_ + slot * options_.size),
                     addressOf(destinations_ + slot * options_.size),
                     static_cast<uint32_t>(options_.size),
                     interrupt != 0 ? kQueueVector : uint16_t{0}};
    Descriptor descriptor{};
    std::memcpy(descriptor.bytes.data(), &front, 38);
    return descriptor;
  }

  /// The group that begins there, by its list; neither record nor interrupt of its own.
  mdev::dsa::Descriptor batchFrom(std::size_t firstSlot) const {
    const uint32_t flags = uint32_t{mdev::dsa::kOpBatch} << 24;
    const uint64_t list = kBase + static_cast<uint64_t>(lists_ - records_) + firstSlot * mdev::dsa::kDescriptorSize;
    const auto count = static_cast<uint32_t>(options_.group);
    mdev::dsa::Descriptor descriptor{};
    std::memcpy(&descriptor.bytes[4], &flags, sizeof flags);
    std::memcpy(&descriptor.bytes[16], &list, sizeof list);
    std::memcpy(&descriptor.bytes[32], &count, sizeof count);
    return descriptor;
  }

  std::atomic_ref<uint8_t> statusOf(std::size_t slot) const {
    return std::atomic_ref(*reinterpret_cast<uint8_t*>(records_ + slot * mdev::dsa::kCompletionRecordSize));
  }
  void submit(std::size_t firstSlot) {
    const std::size_t end = firstSlot + options_.group;
    for (std::size_t slot = firstSlot; slot < end; ++slot) statusOf(slot).store(0, std::memory_order_relaxed);
    mdev::PortalRegion& portal = *device_->portal();
    if (options_.batch) {
      portal.write(firstSlot * mdev::dsa::kDescriptorSize % mdev::PortalRegion::kPage, batchFrom(firstSlot).bytes);
      portal.flush();
      return;
    }
    const std::size_t part = options_.slotWrites ? 8 : mdev::dsa::kDescriptorSize;
    for (std::size_t slot = firstSlot; slot < end; ++slot) {
      const std::span bytes(descriptors_[slot].bytes);
      // Drivers step through the slots of a page.
      const uint64_t place = slot * mdev::dsa::kDescriptorSize % mdev::PortalRegion::kPage;
      for (std::size_t at = 0; at < bytes.size(); at += part) portal.write(place + at, bytes.subspan(at, part));
    }
    portal.flush();
  }
  void await(std::size_t firstSlot) const {
    const std::size_t last = firstSlot + options_.group - 1;
    while (statusOf(last).load(std::memory_order_acquire) == 0) {
      pollfd waiting{interrupt_.get(), POLLIN, 0};
      const int ready = ::poll(&waiting, 1, kInterruptMs);
      if (ready < 0 && errno == EINTR) continue;
      REQUIRE(ready == 1, "no completion interrupt for %d ms", kInterruptMs);
      uint64_t count = 0;
      REQUIRE(::read(interrupt_.get(), &count, sizeof count) == sizeof count || errno == EAGAIN, "eventfd: %s",
              strerror(errno));
    }
    for (std::size_t slot = firstSlot; slot <= last; ++slot) {
      const uint8_t status = statusOf(slot).load(std::memory_order_acquire);
      REQUIRE(status == mdev::dsa::kStatusSuccess, "descriptor %zu ended with status 0x%02x", slot, status);
    }
  }

  const Options options_;
  std::byte* records_ = nullptr;
  std::byte* sources_ = nullptr;
  std::byte* destinations_ = nullptr;
  std::byte* lists_ = nullptr;
  mdev::FileDescriptor interrupt_;
  const std::shared_ptr<mdev::Group> group_ = std::make_shared<mdev::Group>();
  const std::shared_ptr<mdev::Engine> engine_ = std::make_shared<mdev::Engine>("engine");
  std::unique_ptr<mdev::QueueDevice> device_;
  std::vector<mdev::dsa::Descriptor> descriptors_;
};

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  Queue queue(options);
  queue.verify();
  std::array series = {samples_create("move", options.samples, options.descriptors),
                       samples_create("memcpy", options.samples, options.descriptors)};
  const auto timed = [](const auto& work) {
    const uint64_t start = now_ns();
    work();
    return now_ns() - start;
  };
  const auto move = [&] { queue.run(options.descriptors); };
  const auto copy = [&] { queue.copy(options.descriptors); };
  for (std::size_t sample = 0; sample < options.samples; ++sample) {
    // What is timed finds the caches as it leaves them itself.
    move();
    samples_add(&series[0], timed(move));
    copy();
    samples_add(&series[1], timed(copy));
  }
  samples_print(series.data(), series.size());
}

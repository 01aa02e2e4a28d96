// What the tests of engines share: a device with guest memory, registers, vectors and a portal, but no JavaScript.
#pragma once

#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "check.h"
#include "dsa/completion_record.h"
#include "dsa/descriptor.h"
#include "dsa/flags.h"
#include "dsa/opcode.h"
#include "dsa/operation_facts.h"
#include "dsa/status.h"
#include "engine/engine.h"
#include "engine/group.h"
#include "engine/queue_device.h"
#include "irq/irq_table.h"
#include "memory/dma_space.h"
#include "registers/register_memory.h"

namespace engine_test {

using namespace mdev;

inline constexpr uint64_t kPage = 4096;
inline constexpr uint32_t kBoth = kDmaRead | kDmaWrite;
inline constexpr uint32_t kRecordFlags = dsa::kFlagCompletionAddressValid | dsa::kFlagRequestCompletionRecord;

/// A lost wake-up must not become a hang of the whole run.
inline constexpr std::chrono::seconds kTimeLimit(60);

/// Lets other threads run until `condition` holds.
template <typename Condition>
void await(const char* what, Condition condition) {
  const auto limit = std::chrono::steady_clock::now() + kTimeLimit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > limit)
      mdev::test::fail(__FILE__, __LINE__, std::string("waited for ") + what);
    ::sched_yield();
  }
}

/// Guest memory in a file, and the test's own mapping of it: another address than the engines', as a guest has.
class GuestMemory {
 public:
  explicit GuestMemory(uint64_t pages) : size_(pages * kPage) {
    fd_ = FileDescriptor(::memfd_create("mdev-engine-test", MFD_CLOEXEC));
    CHECK(fd_);
    CHECK(::ftruncate(fd_.get(), static_cast<off_t>(size_)) == 0);
    void* const mapped = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(), 0);
    CHECK(mapped != MAP_FAILED);
    data_ = static_cast<std::byte*>(mapped);
  }
  ~GuestMemory() { ::munmap(data_, size_); }
  GuestMemory(const GuestMemory&) = delete;
  GuestMemory& operator=(const GuestMemory&) = delete;

  std::byte* at(uint64_t offset) const { return data_ + offset; }
  uint64_t size() const { return size_; }
  FileDescriptor fd() const { return FileDescriptor(::dup(fd_.get())); }
  void truncate(uint64_t size) const { CHECK(::ftruncate(fd_.get(), static_cast<off_t>(size)) == 0); }

  void fill(uint64_t offset, uint64_t size, uint32_t seed) const {
    for (uint64_t i = 0; i < size; ++i) {
      seed = seed * 1664525 + 1013904223;
      data_[offset + i] = static_cast<std::byte>(seed >> 24);
    }
  }
  uint8_t status(uint64_t record) const {
    return std::atomic_ref<uint8_t>(*reinterpret_cast<uint8_t*>(at(record))).load(std::memory_order_acquire);
  }
  template <typename T>
  T load(uint64_t offset) const {
    T value;
    std::memcpy(&value, at(offset), sizeof value);
    return value;
  }

 private:
  uint64_t size_;
  FileDescriptor fd_;
  std::byte* data_ = nullptr;
};

/// A descriptor, field by field.
class Build {
 public:
  explicit Build(uint8_t opcode, uint32_t flags = 0) {
    descriptor_.bytes.fill(std::byte{0});
    set<uint32_t>(4, flags | uint32_t{opcode} << 24);
  }
  template <typename T>
  Build& set(std::size_t offset, T value) {
    std::memcpy(descriptor_.bytes.data() + offset, &value, sizeof value);
    return *this;
  }
  Build& flags(uint32_t more) { return set<uint32_t>(4, descriptor_.at<uint32_t>(4) | more); }
  Build& record(uint64_t address) {
    flags(kRecordFlags);
    return set<uint64_t>(8, address);
  }
  Build& interrupt(uint16_t handle) {
    flags(dsa::kFlagRequestCompletionInterrupt);
    return set<uint16_t>(36, handle);
  }
  Build& addresses(uint64_t first, uint64_t second) { return set<uint64_t>(16, first).set<uint64_t>(24, second); }
  Build& size(uint32_t size) { return set<uint32_t>(32, size); }
  const dsa::Descriptor& descriptor() const { return descriptor_; }
  operator dsa::Descriptor() const { return descriptor_; }  // NOLINT(google-explicit-constructor)

 private:
  dsa::Descriptor descriptor_;
};

inline Build noOp() { return Build(dsa::kOpNoOp); }
inline Build move(uint64_t source, uint64_t destination, uint32_t size) {
  return Build(dsa::kOpMemoryMove).addresses(source, destination).size(size);
}
inline Build fillWith(uint64_t pattern, uint64_t destination, uint32_t size) {
  return Build(dsa::kOpFill).addresses(pattern, destination).size(size);
}
inline Build batchOf(uint64_t list, uint32_t count) { return Build(dsa::kOpBatch).set<uint64_t>(16, list).size(count); }
inline Build drain() { return Build(dsa::kOpDrain); }

/// A client that answers requests by message when the test says so.
class Client final : public MessageDma {
 public:
  explicit Client(GuestMemory& memory, uint64_t base) : memory_(memory), base_(base) {}

  void submit(std::shared_ptr<MessageRequest> request) override {
    if (beforeSubmit) beforeSubmit();
    {
      const std::lock_guard lock(mutex_);
      if (!request->abandoned()) {
        request->issued = request->count;
        requests_.push_back(std::move(request));
        return;
      }
    }
    request->issued = 0;
    request->finished(ECANCELED);
  }
  void cancel(uint64_t address, uint64_t size) override {
    cancelIf([=](const MessageRequest& request) {
      return request.address - address < size || address - request.address < request.count;
    });
  }
  void cancelAbandoned() override {
    cancelIf([](const MessageRequest& request) { return request.abandoned(); });
  }
  void cancelAll() override {
    cancelIf([](const MessageRequest&) { return true; });
  }

  /// Called in each `submit`, before it does anything. To be set while nothing is submitted.
  std::function<void()> beforeSubmit;
  /// Called when requests were cancelled, before the canceller goes on.
  std::function<void()> afterCancel;

  std::size_t waiting() const {
    const std::lock_guard lock(mutex_);
    return requests_.size();
  }
  /// Where the requests that wait are to go, the oldest first.
  std::vector<uint64_t> addresses() const {
    const std::lock_guard lock(mutex_);
    std::vector<uint64_t> addresses;
    for (const auto& request : requests_) addresses.push_back(request->address);
    return addresses;
  }
  uint64_t answered() const { return answered_; }
  /// Answers a request, 0 being the oldest, with an error if there is one; false when there is no such request.
  bool answer(int error = 0, std::size_t place = 0) {
    std::shared_ptr<MessageRequest> request;
    {
      const std::lock_guard lock(mutex_);
      if (place >= requests_.size()) return false;
      request = std::move(requests_[place]);
      requests_.erase(requests_.begin() + static_cast<std::ptrdiff_t>(place));
    }
    const uint64_t offset = request->address - base_;
    CHECK(request->count >= 1 && request->count <= kMessageDmaMax);
    if (error == 0 && (offset >= memory_.size() || memory_.size() - offset < request->count)) error = EFAULT;
    if (error == 0 && request->write) std::memcpy(memory_.at(offset), request->data.data(), request->count);
    if (error == 0 && !request->write) std::memcpy(request->data.data(), memory_.at(offset), request->count);
    log_.push_back({request->write, request->address, request->count});
    ++answered_;
    request->finished(error);
    return true;
  }

  struct Entry {
    bool write;
    uint64_t address;
    uint32_t count;
  };
  const std::vector<Entry>& log() const { return log_; }

 private:
  template <typename Match>
  void cancelIf(Match match) {
    std::vector<std::shared_ptr<MessageRequest>> ended;
    {
      const std::lock_guard lock(mutex_);
      for (auto request = requests_.begin(); request != requests_.end();) {
        if (match(**request)) {
          ended.push_back(std::move(*request));
          request = requests_.erase(request);
        } else {
          ++request;
        }
      }
    }
    for (const auto& request : ended) request->finished(ECANCELED);
    if (afterCancel) afterCancel();
  }

  GuestMemory& memory_;
  const uint64_t base_;
  mutable std::mutex mutex_;
  std::deque<std::shared_ptr<MessageRequest>> requests_;
  std::vector<Entry> log_;
  std::atomic<uint64_t> answered_{0};
};

/// The registers of the test's device.
inline constexpr RegisterOffsets kRegisters = {
    .softwareError = 0xc0,
    .interruptCause = 0x98,
    .generalControl = 0x88,
    .workQueueStatus = {0x818, 32},
    .msixPermissions = {0x400, 8},
};
inline constexpr uint32_t kQueues = 4;
inline constexpr uint32_t kVectors = 9;
inline constexpr uint64_t kBase = 0x100000000;

/// A device without engines; guest memory at kBase.
class Device {
 public:
  explicit Device(uint64_t pages = 1024, const dsa::Capabilities& capabilities = {.overlappingMove = true})
      : memory(pages),
        registers(std::make_shared<RegisterMemory>(0x2000)),
        dma(std::make_shared<DmaSpace>()),
        irqs(std::make_shared<IrqTable>(kVectors)),
        faults(std::make_shared<std::atomic<uint64_t>>(0)) {
    dma->setBusMaster(true);
    std::vector<ForeignFd> fds;
    for (uint32_t vector = 0; vector < kVectors; ++vector) {
      fds.emplace_back(FileDescriptor(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)));
      eventfds.push_back(::dup(fds.back().get()));
    }
    CHECK_EQUAL(irqs->assign(0, std::move(fds)), 0);
    queues = std::make_unique<QueueDevice>(
        QueueDeviceOptions{registers, dma, faults, irqs, kQueues, kVectors, kRegisters, capabilities});
    group = std::make_shared<Group>();
  }
  ~Device() {
    queues.reset();
    group->close();
    for (const auto& engine : engines) engine->close();
    for (const int fd : eventfds) ::close(fd);
  }

  /// Maps all guest memory.
  void mapAll(uint32_t rights = kBoth) const { CHECK_EQUAL(dma->map(kBase, memory.size(), rights, memory.fd(), 0), 0); }
  void addEngines(unsigned count) {
    for (unsigned i = 0; i < count; ++i) engines.push_back(std::make_shared<Engine>("test-engine"));
    group->setEngines(engines);
  }
  static QueueConfig config(uint32_t size = 32, uint32_t priority = 1) {
    QueueConfig config;
    config.size = size;
    config.priority = priority;
    config.limits.operations = dsa::supportedOperations();
    config.limits.maxTransfer = uint64_t{1} << 31;
    config.limits.maxBatch = 1024;
    return config;
  }
  void enable(uint32_t queue, const QueueConfig& settings) const { queues->enable(queue, settings, group); }

  /// One 64-byte write to the queue's portal.
  void submit(uint32_t queue, const dsa::Descriptor& descriptor) const {
    post(queue, descriptor);
    queues->portal()->flush();
  }
  /// The same, without telling engines.
  void post(uint32_t queue, const dsa::Descriptor& descriptor) const {
    CHECK(queues->portal()->write(queue * PortalRegion::kQueueStride, descriptor.bytes) == Served::done);
  }
  /// Submits with a record at `record` (an offset of guest memory) and waits for it.
  uint8_t execute(uint32_t queue, Build descriptor, uint64_t record) const {
    std::memset(memory.at(record), 0, dsa::kCompletionRecordSize);
    submit(queue, descriptor.record(kBase + record));
    await("a completion record", [&] { return memory.status(record) != 0; });
    return memory.status(record);
  }

  /// Times that a vector was raised since the last call.
  uint64_t raised(uint32_t vector) const {
    uint64_t count = 0;
    return ::read(eventfds[vector], &count, sizeof count) == sizeof count ? count : 0;
  }
  void awaitVector(uint32_t vector) const {
    pollfd waiting{eventfds[vector], POLLIN, 0};
    CHECK_EQUAL(::poll(&waiting, 1, 60000), 1);
  }
  uint32_t occupancy(uint32_t queue) const {
    return registers->word32(kRegisters.workQueueStatus.at(queue)).load() & 0xffff;
  }
  uint64_t softwareError(uint32_t word) const { return registers->word64(kRegisters.softwareError + word * 8).load(); }
  void clearSoftwareError() const { registers->word64(kRegisters.softwareError).fetch_and(~uint64_t{3}); }

  GuestMemory memory;
  std::shared_ptr<RegisterMemory> registers;
  std::shared_ptr<DmaSpace> dma;
  std::shared_ptr<IrqTable> irqs;
  std::shared_ptr<std::atomic<uint64_t>> faults;
  std::vector<int> eventfds;
  std::unique_ptr<QueueDevice> queues;
  std::shared_ptr<Group> group;
  std::vector<std::shared_ptr<Engine>> engines;
};

}  // namespace engine_test

#include "core/handover_client.h"

#include <fcntl.h>

#include <cerrno>
#include <map>
#include <utility>
#include <vector>

#include "core/interrupt_state.h"
#include "memory/file_registry.h"

namespace mdev {

namespace {

constexpr uint32_t kVersion = 1;
/// Ends a list of indices.
constexpr uint32_t kEnd = ~uint32_t{0};
/// More than any space holds.
constexpr uint32_t kMaxMaps = 1 << 24;
constexpr uint32_t kMaxInterruptBytes = 64 * 1024;

void saveMaps(const DmaSpace& space, HandoverWriter& archive) {
  std::map<int, uint32_t> files;
  std::vector<std::pair<DmaMap, uint32_t>> maps;
  space.forEachMap([&](const DmaMap& map) {
    uint32_t file = 0;
    if (map.fd >= 0) file = files.try_emplace(map.fd, static_cast<uint32_t>(files.size() + 1)).first->second;
    maps.emplace_back(map, file);
    return true;
  });
  std::vector<int> ordered(files.size());
  for (const auto& [fd, number] : files) ordered[number - 1] = fd;
  exchangeCount(archive, ordered.size(), kMaxMaps);
  for (const int fd : ordered) archive.fd(fd);
  exchangeCount(archive, maps.size(), kMaxMaps);
  for (const auto& [map, file] : maps) {
    archive.value(map.first);
    archive.value(map.last);
    archive.value(map.rights);
    archive.value(map.offset);
    archive.value(file);
  }
}

HandoverProblem restoreMaps(DmaSpace& space, HandoverReader& archive, const std::shared_ptr<FdCloser>& closer) {
  std::vector<ForeignFd> files(exchangeCount(archive, 0, FileRegistry::kMaxFiles));
  for (ForeignFd& file : files) file = archive.fd();
  for (uint32_t left = exchangeCount(archive, 0, kMaxMaps); left > 0 && archive.good(); --left) {
    DmaMap map{};
    uint32_t file = 0;
    archive.value(map.first);
    archive.value(map.last);
    archive.value(map.rights);
    archive.value(map.offset);
    archive.value(file);
    archive.require(map.first <= map.last && map.last - map.first != ~uint64_t{0} && file <= files.size());
    if (!archive.good()) break;
    ForeignFd fd;
    if (file != 0) {
      const int copy = ::fcntl(files[file - 1].get(), F_DUPFD_CLOEXEC, 0);
      if (copy < 0) return {errno, "a file of guest memory"};
      fd = ForeignFd(copy, closer);
    }
    const int error = space.map(map.first, map.last - map.first + 1, map.rights, std::move(fd), map.offset);
    if (error != 0) return {error, "a map of guest memory"};
  }
  return {archive.good() ? 0 : EINVAL, "the maps of guest memory"};
}

void saveInterrupts(Interrupts& interrupts, HandoverWriter& archive) {
  const std::vector<std::byte> state = encode(interrupts.save());
  exchangeCount(archive, state.size(), kMaxInterruptBytes);
  archive.bytes(state);
  interrupts.forEachEventfd([&](uint32_t index, uint32_t vector, EventfdUse use, int fd) {
    archive.value(index);
    archive.value(vector);
    archive.choice(use);
    archive.fd(fd);
  });
  archive.value(kEnd);
}

HandoverProblem restoreInterrupts(Interrupts& interrupts, HandoverReader& archive) {
  std::vector<std::byte> bytes(exchangeCount(archive, 0, kMaxInterruptBytes));
  archive.bytes(bytes);
  const auto state = decodeInterruptState(bytes);
  if (!archive.good() || !state || interrupts.restore(*state) != 0) return {EINVAL, "the state of interrupts"};
  for (;;) {
    uint32_t index = kEnd;
    archive.value(index);
    if (!archive.good()) return {EINVAL, "the eventfds"};
    if (index == kEnd) return {};
    uint32_t vector = 0;
    EventfdUse use = EventfdUse::trigger;
    archive.value(vector);
    archive.choice(use);
    ForeignFd fd = archive.fd();
    const int error = archive.good() ? interrupts.restoreEventfd(index, vector, use, std::move(fd)) : EINVAL;
    if (error != 0) return {error, "an eventfd"};
  }
}

HandoverProblem restoreRegions(DeviceCore& device, HandoverReader& archive) {
  for (;;) {
    uint32_t index = kEnd;
    archive.value(index);
    if (!archive.good()) return {EINVAL, "the memory of regions"};
    if (index == kEnd) return {};
    const auto memory = device.regionMemory(index);
    ForeignFd fd = archive.fd();
    if (memory == nullptr || !fd) return {EINVAL, "the memory of a region"};
    if (const int error = memory->adopt(fd.known()); error != 0) return {error, "the memory of a region"};
  }
}

}  // namespace

void saveClient(DeviceCore& device, HandoverWriter& archive) {
  device.interrupts().setUnmaskWatched(false);
  archive.value(kVersion);
  for (uint32_t index = 0; index < kRegionsMax; ++index) {
    const auto memory = device.regionMemory(index);
    if (memory == nullptr) continue;
    archive.value(index);
    archive.fd(memory->file().get());
  }
  archive.value(kEnd);
  saveMaps(*device.dma(), archive);
  saveInterrupts(device.interrupts(), archive);
  device.dma()->saveDirtyLog(archive);
}

HandoverProblem restoreClient(DeviceCore& device, HandoverReader& archive) {
  device.interrupts().setUnmaskWatched(false);
  uint32_t version = 0;
  archive.value(version);
  if (version != kVersion) return {EINVAL, "its version"};
  if (const auto problem = restoreRegions(device, archive); problem.error != 0) return problem;
  if (const auto problem = restoreMaps(*device.dma(), archive, device.closer()); problem.error != 0) return problem;
  if (const auto problem = restoreInterrupts(device.interrupts(), archive); problem.error != 0) return problem;
  const int error = device.dma()->restoreDirtyLog(archive);
  if (error != 0) return {error, "the log of dirty pages"};
  return {archive.finished() ? 0 : EINVAL, "what follows"};
}

int abandonClient(DeviceCore& device) {
  device.clientGone();
  int error = 0;
  for (uint32_t index = 0; index < kRegionsMax; ++index) {
    const auto memory = device.regionMemory(index);
    if (memory == nullptr) continue;
    if (const int failed = memory->makePrivate(); failed != 0) error = failed;
  }
  return error;
}

}  // namespace mdev

#include "core/region_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

namespace mdev {

namespace {

// Of Linux 5.1; older headers lack it.
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

[[noreturn]] void fail(const char* call) { throw std::system_error(errno, std::generic_category(), call); }

void checkAreas(uint64_t size, const std::vector<RegionArea>& areas) {
  if (size == 0 || size > RegionMemory::kSizeMax) {
    throw std::invalid_argument("a region with memory has " + std::to_string(size) + " bytes; expected 1 to " +
                                std::to_string(RegionMemory::kSizeMax));
  }
  if (areas.empty() || areas.size() > RegionMemory::kAreasMax) {
    throw std::invalid_argument("a region with " + std::to_string(areas.size()) + " areas of memory; expected 1 to " +
                                std::to_string(RegionMemory::kAreasMax));
  }
  uint64_t end = 0;
  for (const RegionArea& area : areas) {
    const bool whole = area.offset == 0 && area.size == size;
    const bool pages = area.size != 0 && area.offset % kAccessPage == 0 && area.size % kAccessPage == 0;
    if ((!whole && !pages) || area.offset < end || area.offset > size || area.size > size - area.offset) {
      throw std::invalid_argument(
          "an area of memory at " + std::to_string(area.offset) + ", " + std::to_string(area.size) +
          " bytes; expected ascending whole pages of the region's " + std::to_string(size) + " bytes, or all of them");
    }
    end = area.offset + area.size;
  }
}

}  // namespace

RegionMemory::RegionMemory(uint64_t size, std::vector<RegionArea> areas, bool writable)
    : size_(size), areas_(std::move(areas)) {
  checkAreas(size, areas_);
  file_.reset(::memfd_create("mdev-region", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file_) fail("memfd_create");
  if (::ftruncate(file_.get(), static_cast<off_t>(size)) != 0) fail("ftruncate");
  void* address = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0);
  if (address == MAP_FAILED) fail("mmap");
  data_ = static_cast<std::byte*>(address);
  // After our own mapping, which stays writable.
  const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL | (writable ? 0 : F_SEAL_FUTURE_WRITE);
  if (::fcntl(file_.get(), F_ADD_SEALS, seals) != 0) {
    const int error = errno;
    ::munmap(data_, size_);
    throw std::system_error(error, std::generic_category(), "fcntl");
  }
}

RegionMemory::~RegionMemory() { ::munmap(data_, size_); }

int RegionMemory::adopt(FileDescriptor file) {
  const off_t size = ::lseek(file.get(), 0, SEEK_END);
  if (size < 0) return errno;
  if (static_cast<uint64_t>(size) != size_) return EINVAL;
  // Also fails where it is not writable: the memory stays as it is then.
  if (::mmap(data_, size_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file.get(), 0) == MAP_FAILED) return errno;
  return ::dup3(file.get(), file_.get(), O_CLOEXEC) < 0 ? errno : 0;
}

int RegionMemory::makePrivate() {
  if (!file_) return 0;
  // Pages are copied when they are written; most never are, so none are set aside.
  const int flags = MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE;
  if (::mmap(data_, size_, PROT_READ | PROT_WRITE, flags, file_.get(), 0) == MAP_FAILED) return errno;
  file_.reset();
  return 0;
}

bool RegionMemory::covers(uint64_t offset) const {
  for (const RegionArea& area : areas_) {
    if (offset < area.offset) return false;
    if (offset - area.offset < area.size) return true;
  }
  return false;
}

// Clients change the bytes meanwhile, and may tear what is read: as of any memory.
Served RegionMemory::read(uint64_t offset, std::span<std::byte> data) {
  std::memcpy(data.data(), data_ + offset, data.size());
  return Served::done;
}

Served RegionMemory::write(uint64_t offset, std::span<const std::byte> data, const Arrival&) {
  std::memcpy(data_ + offset, data.data(), data.size());
  return Served::done;
}

}  // namespace mdev

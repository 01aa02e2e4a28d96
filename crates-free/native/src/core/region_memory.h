// Plain memory behind a region, in a file that a client may map.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/file_descriptor.h"
#include "core/region_port.h"

namespace mdev {

/// A part of a region, bytes.
struct RegionArea {
  uint64_t offset;
  uint64_t size;
};

/// Memory behind the whole of a region or behind some pages of it: a sealed memfd of the region's size, mapped once. A
/// file offset is an offset in the region. Everybody who maps the file, and every access, sees the same bytes. Owner
/// thread, but for the memory itself.
class RegionMemory final : public RegionPort {
 public:
  /// Largest region with memory, bytes.
  static constexpr uint64_t kSizeMax = uint64_t{4} << 30;
  /// Areas of one region.
  static constexpr std::size_t kAreasMax = 64;

  /// `areas` ascend and do not overlap; each is one or more whole pages, or all of the region. Only this object can
  /// change the memory if not `writable`: no later mapping can. Throws std::invalid_argument, std::system_error.
  RegionMemory(uint64_t size, std::vector<RegionArea> areas, bool writable);
  ~RegionMemory() override;
  RegionMemory(const RegionMemory&) = delete;
  RegionMemory& operator=(const RegionMemory&) = delete;

  /// Whether there is memory at an offset.
  bool covers(uint64_t offset) const;
  Served read(uint64_t offset, std::span<std::byte> data) override;
  using RegionPort::write;
  Served write(uint64_t offset, std::span<const std::byte> data, const Arrival& arrival) override;

  std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }
  const FileDescriptor& file() const { return file_; }
  /// Puts the file of another process's memory for this region in place of this one's, at the same address and number.
  /// EINVAL: it has another size; EPERM: it cannot be written by a later mapping; or the errno of a call.
  int adopt(FileDescriptor file);
  /// Whoever has mapped the file sees nothing more of what is written here, which keeps its content and address. There
  /// is no file any more. 0, or the errno of mmap: then everything is as it was.
  int makePrivate();

 private:
  const std::size_t size_;
  const std::vector<RegionArea> areas_;
  FileDescriptor file_;
  std::byte* data_ = nullptr;
};

}  // namespace mdev

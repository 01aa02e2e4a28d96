// Native behaviour behind one region.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace mdev {

/// Largest piece in which a port or a trap handler sees an access, bytes. Pieces never cross a multiple of it.
inline constexpr uint64_t kAccessPage = 4096;

/// What a region port did with an access.
enum class Served : uint8_t {
  done,
  trap,   ///< nothing was done: the access touches a hooked register and belongs to JavaScript, whole
  retry,  ///< a write that is not posted was not taken now, and may be tried again (PCI Express: Request Retry Status)
};

/// A write as it arrived at the device: a port sees all of it, or a piece.
struct Arrival {
  /// Bytes of the whole write.
  uint64_t size = 0;
  /// Nobody waits for an answer. Else it can be refused: as a deferrable memory write (DMWr) is, which ENQCMD makes.
  bool posted = true;
};

/// Native behaviour behind one region. Owner thread only. `data` never crosses a 4 KiB boundary of the region and lies
/// inside it; it is never empty.
///
/// A write takes effect at once. Only telling other threads of it may wait for `flush`, so that many writes wake them
/// once; whoever writes calls it before the thread turns to anything that may take long.
class RegionPort {
 public:
  virtual ~RegionPort() = default;
  virtual Served read(uint64_t offset, std::span<std::byte> data) = 0;
  virtual Served write(uint64_t offset, std::span<const std::byte> data, const Arrival& arrival) = 0;
  /// A posted write of just this.
  Served write(uint64_t offset, std::span<const std::byte> data) { return write(offset, data, {data.size(), true}); }
  virtual void flush() {}
  /// What the client has left undone ends: it means the client's memory. The device's state stays.
  virtual void clientGone() {}
};

}  // namespace mdev

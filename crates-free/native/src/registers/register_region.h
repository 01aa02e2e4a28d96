// A region of registers that C++ answers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "core/region_port.h"
#include "registers/register_memory.h"
#include "registers/register_table.h"

namespace mdev {

/// Applies guest accesses to registers as their table says: lanes, widths, staged commits, locks, access types. It has
/// the semantics of the TypeScript interpreter of the same table, without hooks: an access that touches a hooked
/// register of its direction is not served at all.
class RegisterRegion final : public RegionPort {
 public:
  /// Refused writes, counted once for each register.
  struct Counters {
    uint64_t dropped = 0;  ///< a width that the register does not take
    uint64_t frozen = 0;   ///< every bit of the write was locked
  };

  /// Throws std::invalid_argument when the memory is smaller than the table asks for.
  RegisterRegion(std::shared_ptr<const RegisterTable> table, std::shared_ptr<RegisterMemory> memory);

  Served read(uint64_t offset, std::span<std::byte> data) override;
  using RegionPort::write;
  Served write(uint64_t offset, std::span<const std::byte> data, const Arrival& arrival) override;

  const std::shared_ptr<const RegisterTable>& table() const { return table_; }
  const std::shared_ptr<RegisterMemory>& memory() const { return memory_; }
  std::size_t blockSize() const { return table_->blockSize(); }
  const Counters& counters() const { return counters_; }

 private:
  bool touchesTrap(const uint16_t* page, uint64_t offset, std::size_t size, uint8_t trap) const;
  uint64_t readRegister(const RegisterEntry& entry, uint64_t lanes);
  void writeRegister(const RegisterEntry& entry, uint64_t data, uint64_t lanes, std::size_t carried);
  bool stage(const RegisterEntry& entry, uint64_t& data, uint64_t& lanes);
  uint64_t frozenBits(const RegisterEntry& entry) const;

  std::shared_ptr<const RegisterTable> table_;
  std::shared_ptr<RegisterMemory> memory_;
  Counters counters_;
};

}  // namespace mdev

// sources: core/*.cc registers/*.cc irq/*.cc base/*.cc memory/*.cc
// sanitize: address,undefined
#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "check.h"
#include "core/device_core.h"
#include "support/table_builder.h"

using mdev::Arrival;
using mdev::DeviceCore;
using mdev::kRegionRead;
using mdev::kRegionWrite;
using mdev::RegionPort;
using mdev::RegisterEntry;
using mdev::RegisterTable;
using mdev::Served;
using mdev::TrapHandler;
using mdev::test::plainEntry;

namespace {

constexpr uint32_t kReadWrite = kRegionRead | kRegionWrite;
constexpr uint32_t kConfig = 7;

/// Remembers the pieces it is given; reads give the low byte of each offset.
class RecordingPort : public RegionPort {
 public:
  Served read(uint64_t offset, std::span<std::byte> data) override {
    pieces.emplace_back(offset, data.size());
    for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::byte>(offset + i);
    return offset / 4096 == trapPage ? Served::trap : Served::done;
  }
  Served write(uint64_t offset, std::span<const std::byte> data, const Arrival& arrival) override {
    arrivals.push_back(arrival);
    pieces.emplace_back(offset, data.size());
    written.insert(written.end(), data.begin(), data.end());
    if (refuses && !arrival.posted) return Served::retry;
    if (offset / 4096 != trapPage) ++unflushed;
    return offset / 4096 == trapPage ? Served::trap : Served::done;
  }

  std::vector<std::pair<uint64_t, std::size_t>> pieces;
  void flush() override { unflushed = 0; }

  std::vector<std::byte> written;
  /// Writes since the last flush.
  int unflushed = 0;
  uint64_t trapPage = ~uint64_t{0};
  /// Of what it was given, how that arrived.
  std::vector<Arrival> arrivals;
  /// Has no room for what may be refused.
  bool refuses = false;
};

/// Hands trapped accesses to a function.
class ScriptedHandler : public TrapHandler {
 public:
  using Access = std::function<int(uint32_t region, uint64_t offset, std::span<std::byte> data, bool write)>;

  int access(uint32_t region, uint64_t offset, std::span<std::byte> data, bool write) override {
    return onAccess(region, offset, data, write);
  }
  int reset() override { return onReset(); }

  Access onAccess = [](auto...) { return 0; };
  std::function<int()> onReset = [] { return 0; };
};

std::vector<std::byte> bytes(std::size_t size, int value = 0) {
  return std::vector<std::byte>(size, static_cast<std::byte>(value));
}

void checksRangeRightAndDecode() {
  DeviceCore core;
  const auto port = std::make_shared<RecordingPort>();
  core.setRegion(kConfig, 256, kReadWrite, port);
  core.setRegion(6, 64, kRegionRead, port);
  auto data = bytes(4);

  CHECK_EQUAL(core.read(kConfig, 252, data), 0);
  CHECK_EQUAL(core.read(kConfig, 253, data), EINVAL);
  CHECK_EQUAL(core.read(kConfig, 256, data), EINVAL);
  CHECK_EQUAL(core.read(kConfig, ~uint64_t{0}, data), EINVAL);
  CHECK_EQUAL(core.read(kConfig, ~uint64_t{0} - 3, data), EINVAL);
  CHECK_EQUAL(core.write(kConfig, ~uint64_t{0} - 1, data), EINVAL);
  CHECK_EQUAL(core.read(8, 0, data), EINVAL);
  CHECK_EQUAL(core.read(9, 0, data), EINVAL);
  CHECK_EQUAL(core.read(UINT32_MAX, 0, data), EINVAL);
  CHECK_EQUAL(core.read(6, 0, data), 0);
  CHECK_EQUAL(core.write(6, 0, data), EINVAL);
  CHECK_EQUAL(core.read(kConfig, 256, {}), 0);
  CHECK_EQUAL(core.write(kConfig, 0, {}), 0);
  CHECK_EQUAL(port->pieces.size(), 2u);
  CHECK_EQUAL(core.statistics().refused.load(), 9u);
  CHECK_EQUAL(core.statistics().reads.load(), 3u);
  CHECK_EQUAL(core.statistics().writes.load(), 1u);

  // Decode is off at first, concerns BARs only, and may be told not to matter.
  core.setRegion(5, 64, kReadWrite, port);
  CHECK_EQUAL(core.read(5, 0, data), EIO);
  CHECK_EQUAL(core.write(5, 0, data), EIO);
  CHECK_EQUAL(core.read(5, 64, data), EINVAL);
  core.setMemoryDecode(true);
  CHECK_EQUAL(core.read(5, 0, data), 0);
  core.setMemoryDecode(false);
  CHECK_EQUAL(core.read(5, 0, data), EIO);
  core.setEnforceMemoryDecode(false);
  CHECK_EQUAL(core.read(5, 0, data), 0);

  CHECK_THROWS(std::invalid_argument, core.setRegion(mdev::kRegionsMax, 1, kReadWrite, nullptr));
  CHECK_THROWS(std::invalid_argument, core.setRegion(0, 1, 4, nullptr));
  CHECK_THROWS(std::invalid_argument, core.setRegionPort(mdev::kRegionsMax, nullptr));
  CHECK_EQUAL(core.regionSize(mdev::kRegionsMax), 0u);
  CHECK_EQUAL(core.regionSize(6), 64u);
  CHECK_EQUAL(core.regionFlags(6), kRegionRead);
  CHECK_EQUAL(core.regionFlags(UINT32_MAX), 0u);
}

void answersWithoutPort() {
  DeviceCore core;
  core.setRegion(kConfig, 16, kReadWrite, nullptr);
  auto data = bytes(3, 1);
  CHECK_EQUAL(core.read(kConfig, 1, data), 0);
  CHECK(data == bytes(3, 0xff));
  CHECK_EQUAL(core.write(kConfig, 1, data), 0);
  CHECK_EQUAL(core.statistics().droppedWrites.load(), 1u);
  const auto port = std::make_shared<RecordingPort>();
  core.setRegionPort(kConfig, port);
  CHECK_EQUAL(core.write(kConfig, 1, data), 0);
  CHECK(port->written == bytes(3, 0xff));
}

/// A port hears how large the write was and whether somebody waits; that one is told to try again.
void tellsHowWritesArrive() {
  DeviceCore core;
  const auto port = std::make_shared<RecordingPort>();
  core.setRegion(kConfig, 3 * 4096, kReadWrite, port);
  const auto heard = [&] { return std::exchange(port->arrivals, {}); };
  const auto all = [&](uint64_t size, bool posted) {
    const std::vector<Arrival> arrivals = heard();
    for (const Arrival& one : arrivals) {
      CHECK_EQUAL(one.size, size);
      CHECK_EQUAL(one.posted, posted);
    }
    return arrivals.size();
  };
  CHECK_EQUAL(core.write(kConfig, 4090, bytes(4096)), 0);
  CHECK_EQUAL(all(4096, true), 2u);
  CHECK_EQUAL(core.write(kConfig, 4090, bytes(4096), false), 0);
  CHECK_EQUAL(all(4096, false), 2u);
  CHECK_EQUAL(core.post(kConfig, 0, bytes(64)), 0);
  CHECK_EQUAL(all(64, true), 1u);
  CHECK_EQUAL(core.post(kConfig, 4096, bytes(64), {100000, false}), 0);
  CHECK_EQUAL(all(100000, false), 1u);

  port->refuses = true;
  const uint64_t refused = core.statistics().refused.load();
  CHECK_EQUAL(core.write(kConfig, 0, bytes(64), false), EAGAIN);
  CHECK_EQUAL(core.post(kConfig, 0, bytes(64), {64, false}), EAGAIN);
  // The rest of it is not tried.
  heard();
  CHECK_EQUAL(core.write(kConfig, 4090, bytes(4096), false), EAGAIN);
  CHECK_EQUAL(heard().size(), 1u);
  CHECK_EQUAL(core.write(kConfig, 0, bytes(64)), 0);
  // That is no error.
  CHECK_EQUAL(core.statistics().refused.load(), refused);
}

void splitsAtPages() {
  DeviceCore core;
  const auto port = std::make_shared<RecordingPort>();
  core.setRegion(kConfig, 5 * 4096, kReadWrite, port);
  auto data = bytes(2 * 4096 + 10);
  CHECK_EQUAL(core.read(kConfig, 4090, data), 0);
  using Pieces = std::vector<std::pair<uint64_t, std::size_t>>;
  CHECK((port->pieces == Pieces{{4090, 6}, {4096, 4096}, {8192, 4096}, {12288, 4}}));
  for (std::size_t i = 0; i < data.size(); ++i) CHECK(data[i] == static_cast<std::byte>(4090 + i));
  CHECK_EQUAL(core.write(kConfig, 4090, data), 0);
  CHECK(port->written == data);
}

void trapsWithTheMailbox() {
  DeviceCore core;
  const auto port = std::make_shared<RecordingPort>();
  port->trapPage = 1;
  core.setRegion(kConfig, 3 * 4096, kReadWrite, port);
  auto data = bytes(8192, 7);
  CHECK_EQUAL(core.read(kConfig, 4096, std::span(data).first(4)), EIO);  // no handler

  ScriptedHandler handler;
  core.setTrapHandler(&handler);
  std::vector<std::byte> seen;
  handler.onAccess = [&](uint32_t region, uint64_t offset, std::span<std::byte> mailbox, bool write) {
    CHECK_EQUAL(region, kConfig);
    CHECK_EQUAL(offset, 4096u);
    CHECK_EQUAL(mailbox.size(), 4096u);
    CHECK(mailbox.data() == (*core.mailbox())[0].data());
    seen.assign(mailbox.begin(), mailbox.end());
    if (!write) std::memset(mailbox.data(), 0x5a, mailbox.size());
    return 0;
  };
  CHECK_EQUAL(core.write(kConfig, 2048, data), 0);
  CHECK(seen == bytes(4096, 7));
  CHECK_EQUAL(core.read(kConfig, 2048, data), 0);
  CHECK(seen == bytes(4096, 0));
  CHECK(std::vector(data.begin() + 2048, data.begin() + 6144) == bytes(4096, 0x5a));
  CHECK(data[6144] == std::byte{0});
  CHECK(data[6145] == std::byte{1});
  CHECK_EQUAL(core.statistics().traps.load(), 3u);

  handler.onAccess = [](auto...) { return EOVERFLOW; };
  auto untouched = bytes(4, 3);
  CHECK_EQUAL(core.read(kConfig, 4096, untouched), EOVERFLOW);
}

void nestsFourDeep() {
  DeviceCore core;
  const auto port = std::make_shared<RecordingPort>();
  port->trapPage = 0;
  core.setRegion(kConfig, 4096, kReadWrite, port);
  ScriptedHandler handler;
  core.setTrapHandler(&handler);
  int depth = 0;
  int deepest = 0;
  int refusal = 0;
  handler.onAccess = [&](uint32_t, uint64_t, std::span<std::byte> mailbox, bool) {
    deepest = std::max(deepest, ++depth);
    std::array<std::byte, 4> inner{};
    const int error = core.read(kConfig, 0, inner);
    if (error != 0) refusal = error;
    // What the inner accesses did to their mailboxes did not reach this one.
    for (const std::byte byte : mailbox) CHECK(byte == std::byte{0});
    std::memset(mailbox.data(), depth, mailbox.size());
    --depth;
    return 0;
  };
  std::array<std::byte, 4> data{};
  CHECK_EQUAL(core.read(kConfig, 0, data), 0);
  CHECK_EQUAL(deepest, 4);
  CHECK_EQUAL(refusal, EBUSY);
  CHECK(data[0] == std::byte{1});
  // Afterwards all levels are free again.
  deepest = 0;
  CHECK_EQUAL(core.read(kConfig, 0, data), 0);
  CHECK_EQUAL(deepest, 4);
}

/// A hook may take away whatever the access goes on with.
void looksAgainAfterATrap() {
  const auto accessAfter = [](auto change) {
    DeviceCore core;
    const auto port = std::make_shared<RecordingPort>();
    port->trapPage = 0;
    core.setRegion(0, 3 * 4096, kReadWrite, port);
    core.setMemoryDecode(true);
    ScriptedHandler handler;
    core.setTrapHandler(&handler);
    handler.onAccess = [&](auto...) {
      change(core);
      return 0;
    };
    auto data = bytes(3 * 4096);
    const int read = core.read(0, 0, data);
    core.setRegion(0, 3 * 4096, kReadWrite, port);
    core.setMemoryDecode(true);
    core.setTrapHandler(&handler);
    CHECK_EQUAL(core.write(0, 0, data), read);
    // An access that ends with the trapped page is complete, whatever the hook did.
    core.setRegion(0, 3 * 4096, kReadWrite, port);
    core.setMemoryDecode(true);
    core.setTrapHandler(&handler);
    CHECK_EQUAL(core.read(0, 0, std::span(data).first(8)), 0);
    return read;
  };
  CHECK_EQUAL(accessAfter([](DeviceCore&) {}), 0);
  CHECK_EQUAL(accessAfter([](DeviceCore& core) { core.setRegion(0, 4096, kReadWrite, nullptr); }), EINVAL);
  CHECK_EQUAL(accessAfter([](DeviceCore& core) { core.setRegion(0, 1 << 20, kReadWrite, nullptr); }), 0);
  CHECK_EQUAL(accessAfter([](DeviceCore& core) { core.setMemoryDecode(false); }), EIO);
  CHECK_EQUAL(accessAfter([](DeviceCore& core) { core.close(); }), EINVAL);
}

/// Whatever comes between a posted write and its flush: the port hears of it before its turn is over.
void flushesWhatWasPosted() {
  DeviceCore core;
  ScriptedHandler handler;
  core.setTrapHandler(&handler);
  const auto port = std::make_shared<RecordingPort>();
  port->trapPage = 1;
  core.setRegion(kConfig, 8192, kReadWrite, port);
  const auto data = bytes(4);
  const auto post = [&] {
    CHECK_EQUAL(core.post(kConfig, 0, data), 0);
    CHECK_EQUAL(core.post(kConfig, 4, data), 0);
    CHECK_EQUAL(port->unflushed, 2);
  };

  post();
  core.flush();
  CHECK_EQUAL(port->unflushed, 0);
  CHECK_EQUAL(core.write(kConfig, 0, data), 0);
  CHECK_EQUAL(port->unflushed, 0);

  int entries = 0;
  handler.onAccess = [&](auto...) {
    ++entries;
    CHECK_EQUAL(port->unflushed, 0);
    CHECK_EQUAL(core.write(kConfig, 0, data), 0);
    CHECK_EQUAL(port->unflushed, 0);
    return EIO;
  };
  handler.onReset = [&] {
    ++entries;
    CHECK_EQUAL(port->unflushed, 0);
    return 0;
  };
  auto into = bytes(4);
  post();
  CHECK_EQUAL(core.read(kConfig, 4096, into), EIO);
  post();
  CHECK_EQUAL(core.post(kConfig, 4096, data), EIO);
  post();
  CHECK_EQUAL(core.reset(), 0);
  CHECK_EQUAL(entries, 3);
  // The first page is written, the second one fails.
  CHECK_EQUAL(core.write(kConfig, 4092, bytes(8)), EIO);
  CHECK_EQUAL(port->unflushed, 0);

  post();
  core.setRegionPort(kConfig, nullptr);
  CHECK_EQUAL(port->unflushed, 0);
  core.flush();
  core.setRegionPort(kConfig, port);
  post();
  core.setRegion(kConfig, 8192, kReadWrite, port);
  CHECK_EQUAL(port->unflushed, 0);
  post();
  core.close();
  CHECK_EQUAL(port->unflushed, 0);
}

void resetsThroughTheHandler() {
  DeviceCore core;
  CHECK_EQUAL(core.reset(), EIO);
  ScriptedHandler handler;
  core.setTrapHandler(&handler);
  CHECK_EQUAL(core.reset(), 0);
  handler.onReset = [] { return EAGAIN; };
  CHECK_EQUAL(core.reset(), EAGAIN);
  int depth = 0;
  handler.onReset = [&] {
    ++depth;
    return core.reset();
  };
  CHECK_EQUAL(core.reset(), EBUSY);
  CHECK_EQUAL(depth, 4);
  core.close();
  CHECK_EQUAL(core.reset(), EIO);
}

void servesRegisters() {
  mdev::test::TableSpec spec;
  spec.blockSize = 0x10;
  spec.entries = {plainEntry(0, 4), plainEntry(8, 4)};
  spec.entries[0].read = spec.entries[0].write = 0xffff;
  spec.entries[1].read = spec.entries[1].write = 0xffffffff;
  spec.entries[1].flags = RegisterEntry::trapWrite;
  spec.entries[0].widths = 4;
  const auto table = std::make_shared<const RegisterTable>(mdev::test::encode(spec));

  DeviceCore core;
  CHECK_THROWS(std::invalid_argument, core.setRegisterRegion(kConfig, 0xf, kReadWrite, table));
  CHECK_THROWS(std::invalid_argument, core.setRegisterRegion(mdev::kRegionsMax, 0x10, kReadWrite, table));
  const auto memory = core.setRegisterRegion(kConfig, 0x1000, kReadWrite, table);
  CHECK(core.registerMemory(kConfig) == memory);
  CHECK(core.registerMemory(0) == nullptr);
  CHECK(core.registerMemory(9) == nullptr);
  CHECK_EQUAL(core.registerBlockSize(kConfig), 0x10u);
  CHECK_EQUAL(core.registerBlockSize(0), 0u);

  const uint32_t value = 0x12345678;
  CHECK_EQUAL(core.write(kConfig, 0, std::as_bytes(std::span(&value, 1))), 0);
  CHECK_EQUAL(memory->word32(0).load(), 0x5678u);
  CHECK_EQUAL(core.write(kConfig, 0, std::as_bytes(std::span(&value, 1)).first(2)), 0);
  CHECK_EQUAL(core.registerCounters().dropped, 1u);

  // The access that touches a hooked register traps as a whole: nothing of it happens in C++.
  ScriptedHandler handler;
  core.setTrapHandler(&handler);
  const std::array<uint32_t, 3> all = {1, 2, 3};
  CHECK_EQUAL(core.write(kConfig, 0, std::as_bytes(std::span(all))), 0);
  CHECK_EQUAL(memory->word32(0).load(), 0x5678u);
  std::array<uint32_t, 3> found{};
  CHECK_EQUAL(core.read(kConfig, 0, std::as_writable_bytes(std::span(found))), 0);
  CHECK_EQUAL(found[0], 0x5678u);
  CHECK_EQUAL(core.statistics().traps.load(), 1u);

  core.setRegion(kConfig, 16, kReadWrite, nullptr);
  CHECK(core.registerMemory(kConfig) == nullptr);
}

}  // namespace

int main() {
  checksRangeRightAndDecode();
  answersWithoutPort();
  tellsHowWritesArrive();
  splitsAtPages();
  trapsWithTheMailbox();
  nestsFourDeep();
  looksAgainAfterATrap();
  flushesWhatWasPosted();
  resetsThroughTheHandler();
  servesRegisters();
}

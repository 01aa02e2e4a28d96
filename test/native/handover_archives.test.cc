// sources: core/*.cc registers/*.cc irq/*.cc base/*.cc memory/*.cc vfio_user/framer.cc vfio_user/handover_framer.cc transport/input_buffer.cc
// sanitize: address,undefined
//
// What one process writes for another: every format comes back as it went, and
// whatever else somebody writes is refused with a reason, wherever it is cut
// and whatever is changed. The sanitizers see the rest.
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "base/handover_archive.h"
#include "check.h"
#include "core/device_core.h"
#include "core/handover_client.h"
#include "core/interrupt_state.h"
#include "handover_spoil.h"
#include "support/probe.h"
#include "vfio_user/framer.h"

using namespace mdev;
using handover_test::rounds;
using handover_test::spoil;
using mdev::test::list;
using mdev::test::Probe;

namespace {

using Bytes = std::vector<std::byte>;

constexpr uint32_t kReadWrite = kRegionRead | kRegionWrite;
constexpr uint32_t kBothRights = 3;
constexpr uint64_t kPage = 4096;
constexpr uint32_t kVectors = 70;

/// One field of an archive that is made up as it goes.
struct Field {
  enum Kind { byte, half, word, wide, choice, bytes, count } kind;
  uint64_t number;
  Bytes data;
};

template <typename T, typename Archive>
void exchangeAs(Archive& archive, uint64_t& number) {
  auto field = static_cast<T>(number);
  archive.value(field);
  number = field;
}

template <typename Archive>
void exchangeField(Archive& archive, Field& field) {
  switch (field.kind) {
    case Field::byte:
      return exchangeAs<uint8_t>(archive, field.number);
    case Field::half:
      return exchangeAs<uint16_t>(archive, field.number);
    case Field::word:
      return exchangeAs<uint32_t>(archive, field.number);
    case Field::wide:
      return exchangeAs<uint64_t>(archive, field.number);
    case Field::choice: {
      bool flag = field.number != 0;
      archive.choice(flag);
      field.number = flag ? 1 : 0;
      return;
    }
    case Field::bytes:
      archive.bytes(field.data);
      return;
    case Field::count:
      field.data.resize(exchangeCount(archive, field.data.size(), 1000));
      archive.bytes(field.data);
      return;
  }
}

void fieldsComeBack() {
  std::mt19937 random(5);
  for (uint32_t round = rounds(400); round > 0; --round) {
    std::vector<Field> fields(random() % 12);
    for (Field& field : fields) {
      field.kind = static_cast<Field::Kind>(random() % 7);
      constexpr uint64_t kMasks[] = {0xff, 0xffff, 0xffffffff, ~uint64_t{0}, 1, 0, 0};
      field.number = (uint64_t{random()} << 32 | random()) & kMasks[field.kind];
      if (field.kind >= Field::bytes) field.data.resize(1 + random() % 40);
      for (std::byte& byte : field.data) byte = std::byte(random());
    }
    StateWriter writer;
    for (Field& field : fields) exchangeField(writer, field);
    const Bytes written = writer.take();
    const auto read = [&](std::size_t size) {
      StateReader reader(std::span<const std::byte>(written).first(size));
      bool same = true;
      for (const Field& field : fields) {
        Field blank{field.kind, 0, Bytes(field.kind == Field::bytes ? field.data.size() : 0)};
        exchangeField(reader, blank);
        same = same && blank.number == field.number && blank.data == field.data;
        // What is missing is zeros.
        if (!reader.good()) CHECK(blank.number == 0 || blank.number == field.number);
      }
      CHECK_EQUAL(reader.good(), size == written.size());
      CHECK(!reader.good() || reader.left() == 0);
      return same;
    };
    for (std::size_t size = 0; size < written.size(); ++size) read(size);
    CHECK(read(written.size()));
  }
}

InterruptState randomInterrupts(std::mt19937& random) {
  InterruptState state;
  if (random() % 2 == 0) state.enabled = random() % kPciIrqs;
  state.enabledVectors = static_cast<uint32_t>(random());
  state.intx = {random() % 2 == 0, random() % 2 == 0, random() % 2 == 0};
  for (IrqTableState& table : state.tables) {
    table.allMasked = random() % 2 == 0;
    const std::size_t words = random() % 4;
    for (std::size_t word = 0; word < words; ++word) {
      table.masked.push_back(static_cast<uint32_t>(random()));
      table.pending.push_back(static_cast<uint32_t>(random()));
    }
  }
  return state;
}

void interruptsComeBack() {
  std::mt19937 random(6);
  for (uint32_t round = 0; round < 20; ++round) {
    const Bytes bytes = encode(randomInterrupts(random));
    uint32_t refused = 0;
    spoil(bytes, round, 200, [&](const Bytes& spoiled) {
      const auto state = decodeInterruptState(spoiled);
      // There is one way to write each state.
      if (state.has_value()) CHECK(encode(*state) == spoiled);
      refused += state.has_value() ? 0 : 1;
      if (spoiled.size() < bytes.size() && std::equal(spoiled.begin(), spoiled.end(), bytes.begin())) CHECK(!state);
    });
    CHECK(refused > bytes.size());
    CHECK(encode(decodeInterruptState(bytes).value()) == bytes);
  }
}

FileDescriptor newFile(uint64_t size) {
  FileDescriptor fd(::memfd_create("mdev-archives-test", MFD_CLOEXEC));
  CHECK(fd && ::ftruncate(fd.get(), static_cast<off_t>(size)) == 0);
  return fd;
}

/// A device with one BAR of memory and interrupts of every kind.
std::unique_ptr<DeviceCore> newDevice() {
  auto core = std::make_unique<DeviceCore>();
  core->setRegion(0, 2 * kPage, kReadWrite, nullptr);
  core->setRegionMemory(0, {{0, kPage}});
  Interrupts& interrupts = core->interrupts();
  const uint32_t counts[] = {1, 8, kVectors, 1, 1};
  for (uint32_t index = 0; index < kPciIrqs; ++index) interrupts.setCount(index, counts[index]);
  return core;
}

Bytes written(DeviceCore& core, std::vector<int>& fds) {
  HandoverWriter archive;
  saveClient(core, archive);
  fds = archive.fds();
  return archive.take();
}

std::vector<ForeignFd> duplicates(const std::vector<int>& fds) {
  std::vector<ForeignFd> own;
  for (const int fd : fds) own.emplace_back(FileDescriptor(::dup(fd)));
  return own;
}

void clientsComeBack() {
  const auto core = newDevice();
  const FileDescriptor one = newFile(8 * kPage);
  const FileDescriptor two = newFile(2 * kPage);
  const auto map = [&](uint64_t iova, uint64_t pages, int file, uint64_t offset) {
    ForeignFd fd;
    if (file >= 0) fd = FileDescriptor(::dup(file));
    CHECK_EQUAL(core->dma()->map(iova, pages * kPage, kBothRights, std::move(fd), offset), 0);
  };
  map(0, 4, one.get(), 0);
  map(0x100000, 2, one.get(), 4 * kPage);
  map(0x200000, 2, two.get(), 0);
  map(0x300000, 16, -1, 0);
  const Probe probes[4];
  Interrupts& interrupts = core->interrupts();
  for (uint32_t vector = 0; vector < 4; ++vector) {
    CHECK_EQUAL(interrupts.set({36, 2, vector * 20, 1, {}}, list(probes[vector].share())), 0);
  }
  interrupts.table(2)->setMasked(33, true);
  interrupts.table(2)->trigger(33);
  const DirtyRange range{0, 0x400000};
  CHECK_EQUAL(core->dma()->startDirtyLog(kPage, {&range, 1}), 0);

  std::vector<int> fds;
  const Bytes bytes = written(*core, fds);
  uint32_t taken = 0;
  uint32_t refused = 0;
  const auto take = [&](const Bytes& image) {
    const auto other = newDevice();
    HandoverReader archive(image, duplicates(fds));
    const HandoverProblem problem = restoreClient(*other, archive);
    if (problem.error != 0) {
      ++refused;
      CHECK(std::strlen(problem.what) > 0);
      if (image.size() < bytes.size()) return;
    } else {
      ++taken;
      // What was taken is what there is now, however it was spoiled: the next
      // process gets the same. (It may be less than what came: a vector that
      // was latched, is not masked and has an eventfd fires when that is
      // there.)
      std::vector<int> again;
      const Bytes now = written(*other, again);
      CHECK(now.size() <= image.size());
      if (image == bytes) CHECK(now == bytes);
      const auto third = newDevice();
      HandoverReader next(now, duplicates(again));
      CHECK_EQUAL(restoreClient(*third, next).error, 0);
      CHECK(written(*third, again) == now);
      third->clientGone();
    }
    // Whatever it has become: its client can go.
    other->clientGone();
  };
  take(bytes);
  CHECK_EQUAL(taken, 1u);
  spoil(bytes, 7, 150, take);
  CHECK(refused > bytes.size());
}

void framesComeBack() {
  using vfio_user::Framer;
  using vfio_user::Header;
  const auto newFramer = [] { return Framer(vfio_user::CarriesFds([](const Header&) { return true; }), 1 << 16, 16); };
  Framer framer = newFramer();
  const FileDescriptor file = newFile(kPage);
  Bytes stream;
  for (uint16_t id = 0; id < 3; ++id) {
    const Header header{id, 2, sizeof(Header) + 24, 0, 0};
    const auto* first = reinterpret_cast<const std::byte*>(&header);
    stream.insert(stream.end(), first, first + sizeof header);
    stream.resize(stream.size() + 24, std::byte(id));
  }
  // The last one is not whole.
  stream.resize(stream.size() - 7);
  for (const std::size_t part : {std::size_t{10}, std::size_t{60}, stream.size() - 70}) {
    std::copy_n(stream.begin(), part, framer.room().begin());
    stream.erase(stream.begin(), stream.begin() + static_cast<std::ptrdiff_t>(part));
    framer.received(part, list(FileDescriptor(::dup(file.get()))));
  }
  HandoverWriter writer;
  framer.save(writer);
  const std::vector<int> fds = writer.fds();
  const Bytes bytes = writer.take();
  CHECK(fds.size() == 3);
  const auto take = [&](const Bytes& image) {
    Framer other = newFramer();
    HandoverReader archive(image, duplicates(fds));
    other.restore(archive, 4096);
    if (!archive.finished()) return false;
    // It gives messages as any other, to the end.
    for (uint32_t messages = 0; messages < 8; ++messages) {
      if (!other.next()) break;
      other.consume();
    }
    return true;
  };
  CHECK(take(bytes));
  for (std::size_t size = 0; size < bytes.size(); ++size) CHECK(!take(Bytes(bytes.begin(), bytes.begin() + size)));
  spoil(bytes, 8, 3000, [&](const Bytes& spoiled) { static_cast<void>(take(spoiled)); });
}

}  // namespace

int main() {
  fieldsComeBack();
  interruptsComeBack();
  clientsComeBack();
  framesComeBack();
}

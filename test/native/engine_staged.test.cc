// sources: dsa/*.cc dsa/crc/*.cc dsa/operations/*.cc dsa/typed/*.cc engine/*.cc memory/*.cc registers/*.cc irq/*.cc base/*.cc
// sanitize: address,undefined
//
// Operations whose operands advance at different rates, over pages that are mapped, reached by message, or not there,
// suspended at any request and going on in another device that reaches its pages otherwise: what they leave is what
// they leave where everything is mapped.
#include <cstdio>
#include <optional>
#include <random>

#include "engine_support.h"

using namespace engine_test;

namespace {

constexpr uint64_t kPages = 32;
constexpr uint64_t kRecord = 0x40;
/// Pages from here on may be of any kind.
constexpr uint64_t kData = 1;

/// Everything but what is inter-domain.
constexpr dsa::TypedCapabilities kTyped = {0xe000000ff, 0x00fa01ff01ff03ff, 0xf18d};

/// One operation, and the memory that it finds.
struct Case {
  explicit Case(uint32_t seed) : random(seed), contents(kPages * kPage) {
    for (uint64_t page = 0; page < kPages; ++page) present.push_back(page < kData || roll(24) != 0);
    // Of little variety, so that there is much that is equal.
    for (std::byte& byte : contents) byte = static_cast<std::byte>(roll(64) == 0 ? random() : 0);
    constexpr uint8_t kOpcodes[] = {
        dsa::kOpCreateDelta,    dsa::kOpApplyDelta,  dsa::kOpDifCheck,      dsa::kOpDifInsert, dsa::kOpDifStrip,
        dsa::kOpDifUpdate,      dsa::kOpDixGenerate, dsa::kOpCopyWithCrc,   dsa::kOpFill,      dsa::kOpCacheFlush,
        dsa::kOpTypeConversion, dsa::kOpReduce,      dsa::kOpReduceDualcast};
    const uint8_t opcode = kOpcodes[seed % std::size(kOpcodes)];
    descriptor = Build(opcode);
    switch (opcode) {
      case dsa::kOpCreateDelta:
        createDelta();
        break;
      case dsa::kOpApplyDelta:
        applyDelta();
        break;
      case dsa::kOpCopyWithCrc:
        copyWithCrc64();
        break;
      case dsa::kOpFill:
        descriptor.flags(dsa::kFlagPattern16).set<uint64_t>(16, random()).set<uint64_t>(40, random());
        descriptor.set<uint64_t>(24, at(3, roll(5000))).size(1 + roll(20 * kPage));
        break;
      case dsa::kOpCacheFlush:
        descriptor.set<uint64_t>(24, at(3, 100)).size(1 + roll(20 * kPage));
        break;
      case dsa::kOpTypeConversion:
      case dsa::kOpReduce:
      case dsa::kOpReduceDualcast:
        elementwise(opcode);
        break;
      default:
        dif(opcode);
        break;
    }
  }

  uint32_t roll(uint64_t limit) { return static_cast<uint32_t>(random() % limit); }
  static uint64_t at(uint64_t page, uint64_t offset) { return kBase + page * kPage + offset; }
  template <typename T>
  void put(uint64_t address, T value) {
    std::memcpy(contents.data() + (address - kBase), &value, sizeof value);
  }

  void createDelta() {
    const uint32_t size = 8 * (1 + roll(9 * kPage / 8));
    const uint64_t first = at(1, 8 * roll(64));
    const uint64_t second = at(11, 8 * roll(64));
    const uint32_t most = 80 + roll(10 * kPage);
    if (roll(2) == 0) std::memcpy(contents.data() + (second - kBase), contents.data() + (first - kBase), size);
    for (uint32_t i = roll(400); i > 0; --i) put(second + roll(size), uint8_t{7});
    descriptor.addresses(first, second).size(size).set(40, at(21, roll(64))).set(48, most);
  }
  void applyDelta() {
    const uint32_t size = 8 * (100 + roll(9 * kPage / 8));
    const uint64_t record = at(1, roll(64));
    uint32_t entries = 0;
    for (uint32_t offset = roll(4); offset < size / 8 && entries < 1200; offset += 1 + roll(20), ++entries) {
      put(record + 10 * entries, static_cast<uint16_t>(roll(900) == 0 ? roll(2000) : offset));
      put(record + 10 * entries + 2, static_cast<uint64_t>(random()));
    }
    descriptor.addresses(record, at(11, 8 * roll(64))).size(size).set<uint32_t>(40, 10 * entries + roll(10));
  }
  void copyWithCrc64() {
    const bool read = roll(2) == 0;
    const uint32_t modes = roll(4) << 17;
    descriptor.flags(dsa::kFlagCrc64 | modes | (read ? dsa::kFlagReadCrcSeed : 0));
    descriptor.addresses(at(1, roll(5000)), at(15, roll(5000))).size(1 + roll(11 * kPage));
    if (read) {
      descriptor.set<uint64_t>(48, at(1, 8 * roll(10 * kPage / 8)));
    } else {
      descriptor.set<uint64_t>(40, random());
    }
  }
  void dif(uint8_t opcode) {
    constexpr uint32_t kBlocks[] = {512, 520, 4096, 4104};
    const uint32_t code = roll(4);
    const bool checks = opcode != dsa::kOpDifInsert && opcode != dsa::kOpDixGenerate;
    const uint32_t block = kBlocks[code] + (checks ? 8 : 0);
    const uint32_t count = 1 + roll(11 * kPage / block);
    descriptor.addresses(at(1, roll(100)), opcode == dsa::kOpDifCheck ? 0 : at(17, 8 * roll(100))).size(count * block);
    descriptor.set<uint8_t>(42, static_cast<uint8_t>(code | roll(4) << 2));
    // Nothing is checked, most of the time: what the checks find is tested elsewhere.
    const bool checked = roll(8) == 0;
    if (checks) {
      descriptor.set<uint8_t>(40, static_cast<uint8_t>(checked ? roll(256) : 0x60 | roll(2) << 4));
      descriptor.set<uint32_t>(48, random()).set<uint16_t>(52, 0xffff).set<uint16_t>(54, 3);
    }
    if (!checks || opcode == dsa::kOpDifUpdate) {
      descriptor.set<uint8_t>(41, static_cast<uint8_t>(roll(32) << 3)).set<uint64_t>(56, random());
    }
  }

  void elementwise(uint8_t opcode) {
    constexpr uint8_t kTypes[] = {0x00, 0x30, 0x03, 0x21, 0x64, 0x84, 0x86, 0x68, 0x98, 0x89, 0x99, 0x55, 0x22};
    const uint8_t types = kTypes[roll(std::size(kTypes))];
    const uint32_t count = 1 + roll(7 * kPage / 8);
    const uint64_t first = at(1, 8 * roll(64));
    const uint64_t second = at(9, 8 * roll(64));
    const bool inPlace = (types & 0xf) == types >> 4 && roll(2) == 0;
    descriptor.addresses(first, second).size(count).set<uint8_t>(56, types);
    const auto flags = static_cast<uint16_t>(roll(512) & 0x1bf);
    descriptor.set<uint16_t>(57, static_cast<uint16_t>(flags << 4 | (opcode == dsa::kOpTypeConversion ? 0 : 1)));
    if (opcode == dsa::kOpTypeConversion) {
      if (inPlace) descriptor.addresses(first, first);
    } else {
      descriptor.set<uint64_t>(40, inPlace ? first : at(17, 8 * roll(64)));
      if (opcode == dsa::kOpReduceDualcast) descriptor.set<uint64_t>(48, inPlace && roll(2) == 0 ? second : at(24, 0));
    }
  }

  std::mt19937 random;
  std::vector<std::byte> contents;
  std::vector<bool> present;
  Build descriptor = noOp();
};

/// A device with the case's pages, some of them by message.
class Side {
 public:
  Side(Case& own, GuestMemory& source, bool messages)
      : device_(1, {.overlappingMove = true, .fillPattern16 = true, .crc64 = true, .typed = kTyped}),
        client_(std::make_shared<Client>(source, kBase)) {
    for (uint64_t page = 0; page < kPages; ++page) {
      if (!own.present[page]) continue;
      const bool message = messages && page >= kData && own.roll(2) == 0;
      CHECK_EQUAL(device_.dma->map(kBase + page * kPage, kPage, kBoth, message ? FileDescriptor() : source.fd(),
                                   message ? 0 : page * kPage),
                  0);
    }
    device_.dma->setMessageDma(client_);
    device_.addEngines(1);
  }
  ~Side() {
    device_.queues->reset();
    device_.dma->setMessageDma(nullptr);
  }

  void start(Case& own) {
    device_.enable(0, Device::config());
    device_.submit(0, own.descriptor.record(kBase + kRecord));
  }
  bool ended() const { return device_.queues->queue(0).counters().completed == 1; }
  Client& client() const { return *client_; }
  QueueDevice& queues() const { return *device_.queues; }
  void take(const Side& other) {
    const std::vector<std::byte> state = other.device_.queues->state();
    for (uint32_t at = 0; at < device_.registers->size(); at += 4) {
      device_.registers->word32(at).store(other.device_.registers->word32(at).load());
    }
    std::vector<std::optional<QueueDevice::RestoredQueue>> settings(kQueues);
    settings[0] = QueueDevice::RestoredQueue{Device::config(), device_.group};
    device_.queues->suspend();
    device_.queues->restore(state, settings);
    CHECK(device_.queues->state() == state);
    device_.queues->resume();
  }

 private:
  Device device_;
  std::shared_ptr<Client> client_;
};

struct Counts {
  uint32_t moved = 0;
  uint32_t ends[256] = {};
};

void runCase(uint32_t seed, Counts& counts) {
  Case own(seed);
  GuestMemory expected(kPages);
  GuestMemory memory(kPages);
  std::memcpy(expected.at(0), own.contents.data(), own.contents.size());
  std::memcpy(memory.at(0), own.contents.data(), own.contents.size());
  {
    Side plain(own, expected, false);
    plain.start(own);
    await("the plain device", [&] { return plain.ended(); });
  }
  auto side = std::make_unique<Side>(own, memory, true);
  side->start(own);
  const auto limit = std::chrono::steady_clock::now() + kTimeLimit;
  while (!side->ended()) {
    CHECK(std::chrono::steady_clock::now() < limit);
    const bool answered = own.roll(40) != 0 && side->client().answer();
    if (answered || own.roll(40) != 0) {
      if (!answered) ::sched_yield();
      continue;
    }
    side->queues().suspend();
    if (own.roll(2) == 0) {
      side->queues().cancelMessages();
    } else {
      while (!side->queues().settled()) CHECK(side->client().answer());
    }
    auto next = std::make_unique<Side>(own, memory, true);
    const bool over = side->ended();
    if (!over) {
      next->take(*side);
      side = std::move(next);
      ++counts.moved;
    }
  }
  ++counts.ends[memory.status(kRecord)];
  if (std::memcmp(expected.at(0), memory.at(0), kPages * kPage) == 0) return;
  for (uint64_t i = 0; i < kPages * kPage; ++i) {
    if (*expected.at(i) == *memory.at(i)) continue;
    std::fprintf(stderr, "seed %u: byte 0x%llx is 0x%02x, expected 0x%02x\n", seed, static_cast<unsigned long long>(i),
                 memory.load<uint8_t>(i), expected.load<uint8_t>(i));
    break;
  }
  CHECK(false);
}

}  // namespace

int main() {
  Counts counts;
  for (uint32_t seed = 1; seed <= 1000; ++seed) runCase(seed, counts);
  // The cases are worth something.
  CHECK(counts.moved > 100);
  CHECK(counts.ends[dsa::kStatusSuccess] > 200);
  for (const uint8_t status : {0x03, 0x83, int{dsa::kStatusDeltaOrder}, int{dsa::kStatusDif}}) {
    CHECK(counts.ends[status] > 0);
  }
}

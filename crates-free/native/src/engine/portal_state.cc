// What is in the slots of portals, in the state of a suspended device: halves of descriptors, and the descriptors that
// shared queues took, of which slots tell (releases before there were shared queues read only halves).
#include "base/state_archive.h"
#include "engine/portal_region.h"

namespace mdev {
namespace {

template <typename Self, typename Archive>
void exchangeHalves(Self& halves, Archive& archive) {
  archive.value(halves.queue);
  archive.value(halves.slot);
  archive.value(halves.present);
  archive.bytes(halves.descriptor.bytes);
}

}  // namespace

void PortalRegion::save(StateWriter& archive) const {
  std::vector<Halves> all;
  for (uint32_t queue = 0; queue < slots_.size(); ++queue) {
    for (uint32_t slot = 0; slot < slots_[queue].size(); ++slot) {
      const Slot& own = slots_[queue][slot];
      if (own.present != 0) all.push_back({queue, slot, own.present, own.descriptor});
    }
  }
  exchangeCount(archive, all.size(), 0);
  for (const Halves& halves : all) exchangeHalves(halves, archive);
}

std::vector<PortalRegion::Halves> PortalRegion::read(StateReader& archive, std::size_t queues) {
  constexpr auto kSlotsOfQueue = static_cast<uint32_t>(kMsixPages * kSlots);
  std::vector<Halves> all(exchangeCount(archive, 0, static_cast<uint32_t>(queues) * kSlotsOfQueue));
  for (Halves& halves : all) {
    exchangeHalves(halves, archive);
    archive.require(halves.queue < queues && halves.slot < kSlotsOfQueue && halves.present != 0);
  }
  return all;
}

void PortalRegion::adopt(const std::vector<Halves>& halves) {
  clearAll();
  for (const Halves& one : halves) {
    Slot& slot = slots_[one.queue][one.slot];
    slot.descriptor = one.descriptor;
    slot.present = one.present;
  }
}

}  // namespace mdev

// Numbers of <linux/vfio.h> that a PCI device answers with. Facts only.
#pragma once

#include <cstdint>

namespace mdev {

inline constexpr uint32_t kPciRegions = 9;  ///< VFIO_PCI_NUM_REGIONS
inline constexpr uint32_t kPciBars = 6;     ///< regions 0 to 5 are the BARs
inline constexpr uint32_t kRegionRom = 6;
inline constexpr uint32_t kRegionConfig = 7;
inline constexpr uint32_t kRegionVga = 8;
/// Regions that a device may have: those of PCI, and behind them 23 that are its own.
inline constexpr uint32_t kRegionsMax = 32;
inline constexpr uint32_t kPciIrqs = 5;  ///< VFIO_PCI_NUM_IRQS

/// VFIO region flags.
inline constexpr uint32_t kRegionRead = 1;
inline constexpr uint32_t kRegionWrite = 2;

/// VFIO irq indices of a PCI device.
inline constexpr uint32_t kIrqIntx = 0;
inline constexpr uint32_t kIrqMsi = 1;
inline constexpr uint32_t kIrqMsix = 2;
inline constexpr uint32_t kIrqErr = 3;
inline constexpr uint32_t kIrqReq = 4;

/// VFIO_IRQ_SET flags: exactly one kind of data and exactly one action.
inline constexpr uint32_t kIrqDataNone = 1;
inline constexpr uint32_t kIrqDataBool = 2;
inline constexpr uint32_t kIrqDataEventfd = 4;
inline constexpr uint32_t kIrqDataMask = 7;
inline constexpr uint32_t kIrqActionMask = 8;
inline constexpr uint32_t kIrqActionUnmask = 16;
inline constexpr uint32_t kIrqActionTrigger = 32;
inline constexpr uint32_t kIrqActions = 56;

/// Most vectors that an MSI capability can have (PCI 3.0, 6.8.1.3).
inline constexpr uint32_t kMsiVectorsMax = 32;
/// Most vectors that an MSI-X capability can have (PCI 3.0, 6.8.2).
inline constexpr uint32_t kMsixVectorsMax = 2048;

}  // namespace mdev

// The level-triggered interrupt of a PCI function.
#pragma once

#include <cstdint>
#include <mutex>

#include "base/file_descriptor.h"

namespace mdev {

/// What an IntxLine remembers beside its eventfd.
struct IntxState {
  bool asserted = false;
  bool masked = false;
  bool disabled = false;
};

/// INTx as VFIO hands it on: MASKABLE and AUTOMASKED. While the device asserts the line and nothing keeps it back, it
/// fires once and masks itself; unmasked, it fires again if it is still asserted. So a client that does not service it
/// is signalled once.
///
/// A line is a level: one that is deasserted before it could fire is forgotten. Any thread.
class IntxLine {
 public:
  IntxLine() = default;
  IntxLine(const IntxLine&) = delete;
  IntxLine& operator=(const IntxLine&) = delete;

  /// The device's side: the state of the line, which is STATUS.interruptStatus too.
  void setAsserted(bool asserted);
  bool asserted() const;
  /// COMMAND.interruptDisable (DisINTx): the line does not fire, whatever VFIO's mask says.
  void setDisabled(bool disabled);

  /// While held, the line does not fire: the device is stopped. No part of the state that is saved.
  void setHeld(bool held);

  /// Gives the line its eventfd, or another one, which takes over the mask. The caller has checked that it is one.
  void enable(FileDescriptor eventfd);
  /// Takes the eventfd and the mask away.
  void disable();
  void mask();
  void unmask();
  /// Writes 1 to the eventfd, whatever the line and its mask are, but not against DisINTx.
  void loopback();
  /// FLR or DEVICE_RESET: the device lets go of the line, and DisINTx is off. Eventfd and mask are the client's and
  /// stay.
  void reset();

  IntxState save() const;
  /// Takes over what another line has saved; fires where it may.
  void restore(const IntxState& state);
  /// -1 for none. The descriptor stays the line's; it is good as long as nobody enables or disables.
  int eventfd() const;

 private:
  void deliver();

  mutable std::mutex mutex_;
  FileDescriptor eventfd_;
  IntxState state_;
  bool held_ = false;
};

}  // namespace mdev

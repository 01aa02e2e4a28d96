// What a device has of its client, for another process that goes on with that client.
#pragma once

#include "base/handover_archive.h"
#include "core/device_core.h"

namespace mdev {

/// Maps with their files, eventfds with what the client has set of interrupts, dirty pages, and the files of regions
/// that the client may have mapped. The device is paused: nobody writes guest memory or raises interrupts. From now on
/// signals of the unmask eventfd wait; `Interrupts::setUnmaskWatched` ends that.
void saveClient(DeviceCore& device, HandoverWriter& archive);

/// Why a client's part could not be taken.
struct HandoverProblem {
  /// 0: nothing is wrong.
  int error = 0;
  const char* what = "";
};
/// Takes over what `saveClient` gave. The device has no client, is paused, and has its own state already. When it
/// fails, a part may be in place: the device is of no use. Signals of the unmask eventfd wait.
HandoverProblem restoreClient(DeviceCore& device, HandoverReader& archive);

/// Another process goes on with the client, or never began to: lets go of all that `saveClient` names, without a signal
/// and so that nothing done to this device reaches the client. 0, or an errno: memory of a region is still shared.
int abandonClient(DeviceCore& device);

}  // namespace mdev

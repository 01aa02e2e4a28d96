// What waits to be sent on a stream.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/handover_archive.h"
#include "transport/transport.h"

namespace mdev {

/// Messages in order, collected into as few sends as possible; a message with fds is sent on its own.
///
/// Two buffers take turns: one is being sent and stays where it is, the other collects.
class OutputQueue {
 public:
  /// Bytes not sent yet.
  std::size_t size() const { return collected_.bytes.size() + sending_.bytes.size() - sent_; }

  void append(std::span<const std::byte> bytes) {
    collected_.bytes.insert(collected_.bytes.end(), bytes.begin(), bytes.end());
  }
  /// A message that carries fds.
  void appendWithFds(std::span<const std::byte> bytes, std::vector<FileDescriptor> fds);

  /// Allocates nothing.
  Outgoing next();
  void sent(std::size_t size);
  void clear();

  /// What is not sent yet.
  void save(HandoverWriter& archive) const;
  /// Appends what another queue has saved, at most `most` bytes of it.
  void restore(HandoverReader& archive, std::size_t most);

 private:
  /// Bytes [begin, end) go out on their own, with fds.
  struct Attachment {
    std::size_t begin;
    std::size_t end;
    std::vector<FileDescriptor> fds;
  };
  struct Buffer {
    std::vector<std::byte> bytes;
    std::vector<Attachment> attachments;
    /// Attachments that are gone.
    std::size_t attached = 0;
  };

  static void save(const Buffer& buffer, std::size_t from, HandoverWriter& archive);

  Buffer collected_;
  Buffer sending_;
  /// Bytes of sending_ that are gone.
  std::size_t sent_ = 0;
};

}  // namespace mdev

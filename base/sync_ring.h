// SyncRings: writes and syncs many files concurrently through io_uring.
//
// For each file a WRITEV linked to an FSYNC(DATASYNC), so that the sync starts when its write is
// done; the kernel's workers run the syncs of different files side by side, and the caller's thread
// that of the first one by plain calls, which wake nobody. What a ring did not do whole (a short
// write breaks the link) is finished by plain calls too; a sync that failed is not tried again.
//
// A ring serves one round at a time, and is kept for the next.
//
// Thread: any.
#ifndef BASE_SYNC_RING_H_
#define BASE_SYNC_RING_H_

#include <array>
#include <atomic>
#include <memory>

#include "base/file_system.h"

struct io_uring;

namespace millrace {

class SyncRings {
 public:
  SyncRings() = default;
  ~SyncRings();
  SyncRings(const SyncRings&) = delete;
  SyncRings& operator=(const SyncRings&) = delete;

  // Whether this kernel lets this process use io_uring with all that is needed.
  bool Probe();

  // Performs all writes and sets each one's status. False, with nothing done, if no ring could be
  // made. REQUIRES: files are PosixFiles.
  [[nodiscard]] bool Run(absl::Span<FileWrite> writes);
  // fsync of each descriptor, whole; errors[i]: 0 or the errno. False as above. REQUIRES: as many
  // errors as descriptors.
  [[nodiscard]] bool SyncAll(absl::Span<const int> descriptors, absl::Span<int> errors);

 private:
  struct RingDeleter {
    void operator()(io_uring* ring) const;
  };
  using Ring = std::unique_ptr<io_uring, RingDeleter>;

  // A ring that is free, or a new one; null if there is none to be had.
  Ring Take();
  void GiveBack(Ring ring);

  // Idle rings. Taken and given back by exchange, so that no lock is needed.
  std::array<std::atomic<io_uring*>, 8> idle_{};
};

}  // namespace millrace

#endif  // BASE_SYNC_RING_H_

// DiskSpeeds: which log directories are much slower than the others of the cluster, as the active
// controller sees it by what brokers report. Pure: it is told reports and the time.
//
// A directory is slow when a sync takes long in itself, and many times as long as in the median of
// all other directories, for some seconds without a break: a disk that is as slow as all others is
// only busy, and moving its leaderships would help nobody. It is well again when it has been fast
// for as long, but not before a hold is over, which doubles each time that it was well only for a
// short time. Of a directory that is idle nothing is known: it stays what it is, and a slow one
// gets another chance when its hold is over.
//
// Not here: what follows from it (slow_directories.h), who measures (broker/sync_meter.h).
//
// Thread: the controller executor.
#ifndef CONTROLLER_DISK_SPEEDS_H_
#define CONTROLLER_DISK_SPEEDS_H_

#include <map>
#include <optional>
#include <set>
#include <string>

#include "absl/time/time.h"
#include "base/ids.h"
#include "base/monotonic_time.h"

namespace millrace::controller {

struct DiskSpeedOptions {
  // A sync that takes less is never slow: log.dir.slow.sync.ms. Zero: no directory is.
  absl::Duration slow_min = absl::Milliseconds(500);
  // How many times the median of the others a slow one takes; and at most how many a well one.
  double slow_ratio = 10;
  double well_ratio = 3;
  // How long it has to be so without a break.
  absl::Duration sustained = absl::Seconds(5);
  // How long a slow directory stays slow at least; doubled when it was well for less than this.
  absl::Duration hold_min = absl::Seconds(30);
  absl::Duration hold_max = absl::Minutes(10);
  // An older report says nothing.
  absl::Duration report_age_max = absl::Seconds(5);
};

class DiskSpeeds {
 public:
  using Syncs = std::map<DirectoryId, absl::Duration>;

  explicit DiskSpeeds(const DiskSpeedOptions& options) : options_(options) {}

  // As another controller left it.
  void SetSlow(NodeId broker, const std::set<DirectoryId>& directories, MonotonicTime now);
  // How long a sync takes in the broker's directories; those that are idle are left out.
  void OnReport(NodeId broker, const Syncs& syncs, MonotonicTime now);
  // It was registered anew, or removed.
  void Forget(NodeId broker);
  void Clear() { directories_.clear(); }

  // Which of the broker's directories are to be slow, as of its last report.
  std::set<DirectoryId> SlowOf(NodeId broker) const;
  // Why they are, or are not any more: "a sync in directory D takes 812 ms, 2 ms in the median of
  // the others"; for a log line.
  std::string Describe(NodeId broker, DirectoryId directory, MonotonicTime now) const;

 private:
  struct Directory {
    NodeId broker = kNoNode;
    std::optional<absl::Duration> sync;
    MonotonicTime reported;
    bool slow = false;
    // Since when it has been, without a break, what it is not yet: fast while `slow`, slow while
    // not. Never(): it is not.
    MonotonicTime otherwise_since = MonotonicTime::Never();
    absl::Duration hold;
    MonotonicTime held_until;
    // When it last became well.
    MonotonicTime well_since;
  };

  bool IsFresh(const Directory& directory, MonotonicTime now) const;
  // Of the others that reported lately; nullopt: there is none.
  std::optional<absl::Duration> MedianOfOthers(DirectoryId directory, MonotonicTime now) const;
  void Judge(DirectoryId id, Directory* directory, MonotonicTime now);

  const DiskSpeedOptions options_;
  // Ordered, so that decisions come in one order.
  std::map<DirectoryId, Directory> directories_;
};

}  // namespace millrace::controller

#endif  // CONTROLLER_DISK_SPEEDS_H_

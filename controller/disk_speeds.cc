#include "controller/disk_speeds.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"

namespace millrace::controller {

void DiskSpeeds::SetSlow(NodeId broker, const std::set<DirectoryId>& directories,
                         MonotonicTime now) {
  for (const DirectoryId id : directories) {
    Directory& directory = directories_[id];
    directory.broker = broker;
    directory.slow = true;
    directory.hold = options_.hold_min;
    directory.held_until = now + directory.hold;
  }
}

void DiskSpeeds::OnReport(NodeId broker, const Syncs& syncs, MonotonicTime now) {
  if (options_.slow_min <= absl::ZeroDuration()) return;
  for (const auto& [id, sync] : syncs) {
    Directory& directory = directories_[id];
    directory.broker = broker;
    directory.sync = sync;
    directory.reported = now;
  }
  for (auto& [id, directory] : directories_) {
    if (directory.broker == broker) Judge(id, &directory, now);
  }
}

void DiskSpeeds::Forget(NodeId broker) {
  std::erase_if(directories_, [broker](const auto& held) { return held.second.broker == broker; });
}

bool DiskSpeeds::IsFresh(const Directory& directory, MonotonicTime now) const {
  return directory.sync.has_value() && now - directory.reported <= options_.report_age_max;
}

std::optional<absl::Duration> DiskSpeeds::MedianOfOthers(DirectoryId directory,
                                                         MonotonicTime now) const {
  std::vector<absl::Duration> others;
  for (const auto& [id, other] : directories_) {
    if (id != directory && IsFresh(other, now)) others.push_back(*other.sync);
  }
  if (others.empty()) return std::nullopt;
  // The lower one of two: where every second disk is slow, the others are the measure.
  const auto middle = others.begin() + static_cast<std::ptrdiff_t>((others.size() - 1) / 2);
  std::nth_element(others.begin(), middle, others.end());
  return *middle;
}

void DiskSpeeds::Judge(DirectoryId id, Directory* directory, MonotonicTime now) {
  const std::optional<absl::Duration> median = MedianOfOthers(id, now);
  const bool known = IsFresh(*directory, now);
  bool otherwise = false;
  if (directory->slow) {
    // Idle, or alone: what it would be like is not known, and is tried out.
    otherwise = !known || !median.has_value() || *directory->sync < options_.slow_min / 2 ||
                *directory->sync <= options_.well_ratio * *median;
  } else {
    otherwise = known && median.has_value() && *directory->sync >= options_.slow_min &&
                *directory->sync >= options_.slow_ratio * *median;
  }
  if (!otherwise) {
    directory->otherwise_since = MonotonicTime::Never();
    return;
  }
  if (directory->otherwise_since == MonotonicTime::Never()) directory->otherwise_since = now;
  if (now - directory->otherwise_since < options_.sustained) return;
  if (directory->slow && now < directory->held_until) return;
  directory->slow = !directory->slow;
  directory->otherwise_since = MonotonicTime::Never();
  if (!directory->slow) {
    directory->well_since = now;
    return;
  }
  const bool relapsed =
      directory->hold > absl::ZeroDuration() && now - directory->well_since < 2 * directory->hold;
  directory->hold = relapsed ? std::min(2 * directory->hold, options_.hold_max) : options_.hold_min;
  directory->held_until = now + directory->hold;
}

std::set<DirectoryId> DiskSpeeds::SlowOf(NodeId broker) const {
  std::set<DirectoryId> slow;
  for (const auto& [id, directory] : directories_) {
    if (directory.broker == broker && directory.slow) slow.insert(id);
  }
  return slow;
}

std::string DiskSpeeds::Describe(NodeId broker, DirectoryId id, MonotonicTime now) const {
  const auto found = directories_.find(id);
  const std::string name =
      absl::StrCat("log directory ", id.ToString(), " of broker ", broker.value());
  if (found == directories_.end() || !IsFresh(found->second, now)) {
    return absl::StrCat("nothing was synced in ", name, " lately");
  }
  const auto milliseconds = [](absl::Duration d) {
    return absl::StrCat(absl::ToDoubleMilliseconds(absl::Trunc(d, absl::Microseconds(10))), " ms");
  };
  const std::optional<absl::Duration> median = MedianOfOthers(id, now);
  return absl::StrCat(
      "a sync in ", name, " takes ", milliseconds(*found->second.sync),
      median.has_value() ? absl::StrCat(", ", milliseconds(*median), " in the median of the others")
                         : ", and nothing is known of others");
}

}  // namespace millrace::controller

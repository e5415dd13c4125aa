#include "controller/registered_log_dirs.h"

#include <algorithm>
#include <cstddef>

#include "base/ids.h"
#include "base/mutant.h"
#include "controller/limits.h"
#include "metadata/image_records.h"

namespace millrace::controller {

using metadata::BrokerImage;
using metadata::LogDirImage;

namespace {

// `known`: the directory as it was registered before, of a broker that was `before`.
bool IsTrusted(const BrokerImage& before, const LogDirImage& known, BrokerEpoch last_open) {
  if (known.absent()) {
    if (MUTANT("controller.absent-is-trusted-as-it-comes-back")) return true;
    if (last_open == known.last_registered_epoch) return true;
  } else {
    if (last_open == before.epoch) return true;
    if (before.was_active) return false;
  }
  // Nothing was written to it since: it is as it was then.
  return known.trusted && last_open == known.last_open_epoch;
}

LogDirImage AsAbsent(const BrokerImage& before, LogDirImage dir) {
  if (!dir.absent()) {
    dir.last_registered_epoch = before.epoch;
    // If the broker was not, the directory may still be as that registration found it.
    if (before.was_active) {
      dir.last_open_epoch = before.epoch;
      dir.trusted = true;
    }
  }
  dir.failed = true;
  dir.slow = false;
  return dir;
}

}  // namespace

std::vector<LogDirImage> RegisteredLogDirs(const metadata::Image& image, const BrokerImage* before,
                                           const internal::v1::RegisterBrokerRequest& request) {
  std::vector<LogDirImage> dirs;
  for (const internal::v1::BrokerLogDir& named : request.log_dirs()) {
    LogDirImage dir;
    dir.id = metadata::IdFrom<DirectoryId>(named.directory_id());
    dir.last_open_epoch = BrokerEpoch(named.last_open_broker_epoch());
    dir.suspect = named.suspect();
    const LogDirImage* const known = before == nullptr ? nullptr : before->FindLogDir(dir.id);
    // New to the broker, or back after it was lost: then its replicas lost their seats before.
    dir.trusted = known == nullptr || IsTrusted(*before, *known, dir.last_open_epoch);
    dirs.push_back(dir);
  }
  if (before == nullptr || !request.has_unopened_log_dirs()) return dirs;
  if (image.feature_level() < metadata::kAbsentDirectoriesLevel) return dirs;
  for (const LogDirImage& dir : before->log_dirs) {
    const bool is_named = std::any_of(dirs.begin(), dirs.end(),
                                      [&](const LogDirImage& other) { return other.id == dir.id; });
    // Those that were there last come first.
    const bool is_room = dirs.size() < static_cast<size_t>(kLogDirsPerBrokerMax);
    if (!is_named && is_room) dirs.push_back(AsAbsent(*before, dir));
  }
  return dirs;
}

}  // namespace millrace::controller

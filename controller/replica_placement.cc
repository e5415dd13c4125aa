#include "controller/replica_placement.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"

namespace millrace::controller {

ReplicaPlacer::ReplicaPlacer(const metadata::Image& image, uint64_t seed) : next_leader_(seed) {
  std::map<std::string, std::vector<Candidate>> racks;
  image.ForEachBroker([&](const metadata::BrokerImage& broker) {
    Candidate candidate{.id = broker.id,
                        .rack = broker.rack,
                        .active = broker.state == metadata::BrokerState::kActive,
                        .directories = {},
                        .next_directory = static_cast<size_t>(seed)};
    for (const metadata::LogDirImage& dir : broker.log_dirs) {
      if (!dir.failed) candidate.directories.push_back(dir.id);
    }
    if (candidate.directories.empty()) {
      // As good as gone: replicas are put there only where there is nobody else.
      candidate.active = false;
      for (const metadata::LogDirImage& dir : broker.log_dirs) {
        candidate.directories.push_back(dir.id);
      }
    }
    if (broker.cordoned) {
      cordoned_.push_back(std::move(candidate));
      return;
    }
    active_count_ += candidate.active ? 1 : 0;
    racks[broker.rack].push_back(std::move(candidate));
  });
  // One broker of each rack in turn.
  for (size_t i = 0; !racks.empty(); ++i) {
    for (auto it = racks.begin(); it != racks.end();) {
      if (i < it->second.size()) {
        brokers_.push_back(std::move(it->second[i]));
        ++it;
      } else {
        it = racks.erase(it);
      }
    }
  }
}

absl::Status ReplicaPlacer::Check(int replication_factor) const {
  const int open = static_cast<int>(brokers_.size());
  if (replication_factor > open) {
    const std::string cordoned =
        cordoned_.empty() ? "" : absl::StrCat(" and ", cordoned_.size(), " cordoned");
    return MakeError(ErrorCode::kInvalidReplicationFactor,
                     absl::StrCat("replication factor ", replication_factor, " needs ",
                                  replication_factor, " brokers, but there are ", open, cordoned,
                                  "; ask for at most ", open, " or add brokers"),
                     {.name = "replication_factor", .value = absl::StrCat(replication_factor)});
  }
  if (active_count_ == 0) {
    return MakeError(
        ErrorCode::kBrokerNotAvailable,
        absl::StrCat("none of the ", open, " brokers is active; try again when one has started"));
  }
  return absl::OkStatus();
}

metadata::Replicas ReplicaPlacer::PlaceNext(int replication_factor) {
  CHECK(Check(replication_factor).ok());
  const size_t n = brokers_.size();
  while (!brokers_[next_leader_ % n].active) ++next_leader_;
  std::vector<size_t> taken{static_cast<size_t>(next_leader_ % n)};
  // Each time round, a leader's followers begin one broker further, so that the load of a failed
  // broker falls on all others.
  size_t from = taken[0] + 1 + (n > 1 ? placed_ / n % (n - 1) : 0);
  while (static_cast<int>(taken.size()) < replication_factor) {
    taken.push_back(NextFollower(from, taken));
    from = taken.back() + 1;
  }
  ++next_leader_;
  ++placed_;
  metadata::Replicas replicas;
  for (const size_t i : taken) {
    replicas.push_back({brokers_[i].id, NextDirectoryOf(&brokers_[i])});
  }
  return replicas;
}

DirectoryId ReplicaPlacer::NextDirectory(NodeId broker) {
  for (std::vector<Candidate>* candidates : {&brokers_, &cordoned_}) {
    for (Candidate& candidate : *candidates) {
      if (candidate.id == broker) return NextDirectoryOf(&candidate);
    }
  }
  CHECK(false) << "broker " << broker << " is not registered";
  return DirectoryId();
}

// The first broker at or after `from`, round the ring, that is not taken: best one that is active
// and on a rack not yet used, then active, then on another rack, then any.
size_t ReplicaPlacer::NextFollower(size_t from, const std::vector<size_t>& taken) const {
  const size_t n = brokers_.size();
  size_t best = n;
  int best_rank = -1;
  for (size_t step = 0; step < n; ++step) {
    const size_t i = (from + step) % n;
    if (std::find(taken.begin(), taken.end(), i) != taken.end()) continue;
    const bool new_rack = std::none_of(
        taken.begin(), taken.end(), [&](size_t t) { return brokers_[t].rack == brokers_[i].rack; });
    const int rank = (brokers_[i].active ? 2 : 0) + (new_rack ? 1 : 0);
    if (rank > best_rank) {
      best = i;
      best_rank = rank;
    }
  }
  CHECK_LT(best, n);
  return best;
}

DirectoryId ReplicaPlacer::NextDirectoryOf(Candidate* candidate) {
  CHECK(!candidate->directories.empty()) << "broker " << candidate->id << " has no log directory";
  return candidate->directories[candidate->next_directory++ % candidate->directories.size()];
}

}  // namespace millrace::controller

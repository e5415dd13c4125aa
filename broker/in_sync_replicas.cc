#include "broker/in_sync_replicas.h"

#include <algorithm>
#include <utility>

namespace millrace::broker {

void InSyncReplicas::Reset(const metadata::BrokerList& committed) {
  const LogPosition mine = own();
  committed_ = committed;
  proposed_.reset();
  positions_.clear();
  positions_[self_] = mine;
}

std::optional<Offset> InSyncReplicas::MinPosition(bool durable_level) const {
  std::optional<Offset> smallest;
  const auto take = [&](const metadata::BrokerList& members) {
    for (const NodeId member : members) {
      const auto position = positions_.find(member);
      if (position == positions_.end()) return false;
      const Offset counted = position->second.Counted(durable_level);
      smallest = smallest ? std::min(*smallest, counted) : counted;
    }
    return true;
  };
  if (!take(committed_)) return std::nullopt;
  if (proposed_ && !take(*proposed_)) return std::nullopt;
  return smallest;
}

LogPosition InSyncReplicas::own() const {
  const auto position = positions_.find(self_);
  return position == positions_.end() ? LogPosition() : position->second;
}

}  // namespace millrace::broker

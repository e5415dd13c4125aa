#include "raft/host/peer_guard.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace millrace::raft {

absl::Status PeerGuard::Accept(const Hello& hello) {
  if (cluster_id_.is_zero()) {
    return MakeError(
        ErrorCode::kNotController,
        absl::StrCat("node ", self_.node.value(), " does not belong to a cluster yet; try later"));
  }
  RETURN_IF_ERROR(CheckAddressee(hello));
  if (hello.version < kMessageVersionMin || hello.version > kMessageVersionMax) {
    return MakeError(ErrorCode::kUnsupportedVersion,
                     absl::StrCat("node ", hello.from.node.value(), " speaks version ",
                                  hello.version, " of the quorum's messages, and node ",
                                  self_.node.value(), " speaks ", kMessageVersionMin, " to ",
                                  kMessageVersionMax, "; upgrade the older of the two"),
                     {.name = "version", .value = absl::StrCat(hello.version)});
  }
  RETURN_IF_ERROR(CheckProcess(hello));
  Remember(hello);
  return absl::OkStatus();
}

absl::Status PeerGuard::CheckAddressee(const Hello& hello) const {
  if (hello.cluster_id != cluster_id_) {
    return MakeError(
        ErrorCode::kInconsistentClusterId,
        absl::StrCat("node ", hello.from.node.value(), " at ", hello.address,
                     " belongs to cluster ", hello.cluster_id.ToString(), ", and node ",
                     self_.node.value(), " to cluster ", cluster_id_.ToString(),
                     "; correct the addresses in controller.quorum.voters"),
        {.name = "cluster.id", .value = hello.cluster_id.ToString()});
  }
  if (hello.generation != generation_) {
    const bool outdated = hello.generation < generation_;
    return MakeError(
        ErrorCode::kInconsistentClusterId,
        absl::StrCat("the quorum was recovered without node ",
                     (outdated ? hello.from.node : self_.node).value(), " (its generation is ",
                     std::max(hello.generation, generation_), ", the node's is ",
                     std::min(hello.generation, generation_),
                     "); give that node an empty metadata.log.dir, and add it as a new voter"),
        {.name = kGenerationName, .value = absl::StrCat(generation_)});
  }
  if (hello.to != self_.node) {
    return MakeError(
        ErrorCode::kInconsistentNodeId,
        absl::StrCat("node ", hello.from.node.value(), " at ", hello.address, " expects node ",
                     hello.to.value(), " where node ", self_.node.value(),
                     " is; correct the addresses in controller.quorum.voters"),
        {.name = "node.id", .value = absl::StrCat(hello.to.value())});
  }
  if (hello.from.node == self_.node) {
    return MakeError(
        ErrorCode::kInconsistentNodeId,
        hello.process == process_
            ? absl::StrCat("node ", self_.node.value(), " talks to itself at ", hello.address)
            : absl::StrCat("two processes are node ", self_.node.value(), ", the other at ",
                           hello.address, "; stop one of them"),
        {.name = "node.id", .value = absl::StrCat(hello.from.node.value())});
  }
  return absl::OkStatus();
}

absl::Status PeerGuard::CheckProcess(const Hello& hello) const {
  auto known = known_.find(hello.from);
  if (known == known_.end()) return absl::OkStatus();
  const ProcessId& newest = known->second.process;
  const ProcessId& process = hello.process;
  if (process.start_counter > newest.start_counter || process == newest) return absl::OkStatus();
  const absl::string_view what =
      process.start_counter < newest.start_counter
          ? "an older state of its directory: a restored disk or machine image"
          : "a copy of its directory: a second process counts the same start";
  return MakeError(
      ErrorCode::kInconsistentNodeId,
      absl::StrCat("node ", hello.from.node.value(), " at ", hello.address, " runs on ", what,
                   " (start ", process.start_counter, ", and start ", newest.start_counter,
                   " was seen); stop it, wipe its metadata directory, and let it join anew"),
      {.name = "start.counter", .value = absl::StrCat(process.start_counter)});
}

void PeerGuard::Remember(const Hello& hello) {
  if (known_.size() >= kRememberedMax && known_.find(hello.from) == known_.end()) {
    auto heard = [](const auto& a, const auto& b) { return a.second.heard < b.second.heard; };
    known_.erase(std::min_element(known_.begin(), known_.end(), heard));
  }
  known_[hello.from] =
      Known{hello.process, hello.features, hello.address, hello.asks_to_join, ++heard_};
  auto first = refused_.lower_bound({hello.from, ErrorCode::kNone});
  while (first != refused_.end() && first->first == hello.from) first = refused_.erase(first);
}

const ProgramFeatures* PeerGuard::FeaturesOf(const VoterId& voter) const {
  auto known = known_.find(voter);
  return known == known_.end() ? nullptr : &known->second.features;
}

std::optional<HeardPeer> PeerGuard::HeardOf(const VoterId& voter) const {
  auto known = known_.find(voter);
  if (known == known_.end()) return std::nullopt;
  return HeardPeer{.id = voter,
                   .address = known->second.address,
                   .asks_to_join = known->second.asks_to_join,
                   .hellos = known->second.heard};
}

std::vector<HeardPeer> PeerGuard::Heard() const {
  std::vector<HeardPeer> all;
  for (const auto& [id, known] : known_) all.push_back(*HeardOf(id));
  return all;
}

bool PeerGuard::IsCurrent(const Hello& hello) const {
  auto known = known_.find(hello.from);
  return known != known_.end() && known->second.process == hello.process;
}

bool PeerGuard::IsNews(const VoterId& peer, ErrorCode code) {
  // Whoever can invent so many voters may fill the log a little more.
  if (refused_.size() >= kRememberedMax) refused_.clear();
  return refused_.insert({peer, code}).second;
}

}  // namespace millrace::raft

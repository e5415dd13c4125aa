// FakeQuorum: a QuorumControl and LeaderWatch in memory, for tests. It keeps the seam's contract on
// voters and leadership, and has no log: added voters have caught up at once.
//
// Thread: one executor, after construction.
#ifndef NODE_SERVICE_FAKE_QUORUM_H_
#define NODE_SERVICE_FAKE_QUORUM_H_

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "controller/leader_watch.h"
#include "controller/quorum_control.h"

namespace millrace::node {

class FakeQuorum final : public controller::QuorumControl {
 public:
  explicit FakeQuorum(NodeId self) : self_(self) { description_.leader = self; }

  // What Describe answers while this node leads.
  controller::QuorumDescription& description() { return description_; }
  controller::LeaderWatch& leaders() { return leaders_; }

  // Makes another node lead, or this one, and tells the watch.
  void SetLeader(const LeaderHint& leader) {
    description_.leader = leader.leader;
    leaders_.Set(leader);
  }

  void Describe(Described done) override {
    if (absl::Status status = CheckLeads(); !status.ok()) return std::move(done)(status);
    std::move(done)(description_);
  }
  void AddVoter(NodeId node, DirectoryId directory, std::string address, Done done) override {
    if (absl::Status status = CheckLeads(); !status.ok()) return std::move(done)(status);
    if (Find(node, directory).has_value()) {
      return std::move(done)(MakeError(ErrorCode::kInvalidRequest,
                                       absl::StrCat("node ", node.value(), " is a voter already")));
    }
    description_.members.push_back({.node = node,
                                    .directory = directory,
                                    .address = std::move(address),
                                    .state = "replicate"});
    std::move(done)(absl::OkStatus());
  }
  void RemoveVoter(NodeId node, DirectoryId directory, Done done) override {
    if (absl::Status status = CheckLeads(); !status.ok()) return std::move(done)(status);
    const std::optional<size_t> at = Find(node, directory);
    if (!at.has_value() || description_.members.size() == 1) {
      return std::move(done)(
          MakeError(ErrorCode::kInvalidRequest,
                    absl::StrCat("node ", node.value(), " is no voter, or the last")));
    }
    description_.members.erase(description_.members.begin() + static_cast<ptrdiff_t>(*at));
    std::move(done)(absl::OkStatus());
  }
  void TransferLeadership(NodeId node, Done done) override {
    if (absl::Status status = CheckLeads(); !status.ok()) return std::move(done)(status);
    const auto& members = description_.members;
    const auto member = std::find_if(members.begin(), members.end(),
                                     [node](const auto& m) { return m.node == node; });
    if (member == members.end()) {
      return std::move(done)(MakeError(ErrorCode::kInvalidRequest,
                                       absl::StrCat("node ", node.value(), " is no voter")));
    }
    SetLeader({.leader = node,
               .leader_epoch = LeaderEpoch(leaders_.leader().leader_epoch.value() + 1),
               .address = member->address});
    std::move(done)(absl::OkStatus());
  }

 private:
  absl::Status CheckLeads() const {
    if (description_.leader == self_) return absl::OkStatus();
    return MakeError(ErrorCode::kNotController, "this node does not lead",
                     {.leader = leaders_.leader()});
  }
  std::optional<size_t> Find(NodeId node, DirectoryId directory) const {
    for (size_t i = 0; i < description_.members.size(); ++i) {
      const controller::QuorumMember& member = description_.members[i];
      if (member.node == node && member.directory == directory) return i;
    }
    return std::nullopt;
  }

  const NodeId self_;
  controller::QuorumDescription description_;
  controller::LeaderWatch leaders_;
};

}  // namespace millrace::node

#endif  // NODE_SERVICE_FAKE_QUORUM_H_

#include "node/voter_addresses.h"

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/log.h"
#include "base/status.h"

namespace millrace::node {
namespace {

constexpr char kComponent[] = "quorum";
// Until an address that is not in the log yet is asked about again. Longer than a question may
// take.
constexpr absl::Duration kAgainAfter = absl::Seconds(2);
// Wrong addresses that are remembered as logged.
constexpr size_t kToldMax = 256;

// Whether it is that directory that answers, as a member of this cluster as it is.
absl::Status CheckAnswer(const absl::StatusOr<raft::FoundingState>& theirs,
                         const raft::VoterId& voter, const raft::FoundingState& self) {
  RETURN_IF_ERROR(theirs.status());
  if (theirs->self == voter && theirs->cluster_id == self.cluster_id &&
      theirs->generation == self.generation) {
    return absl::OkStatus();
  }
  return MakeError(ErrorCode::kInconsistentNodeId,
                   absl::StrCat("node ", theirs->self.node.value(), " on directory ",
                                theirs->self.directory.ToString(), " of cluster ",
                                theirs->cluster_id.ToString(), " answers there"));
}

}  // namespace

VoterAddresses::VoterAddresses(const Clock* clock, Executor* executor,
                               raft::FoundingChannel* channel, Heard heard)
    : clock_(clock),
      channel_(channel),
      heard_(std::move(heard)),
      timer_(executor, [this] { Look(); }) {}

void VoterAddresses::OnLed(raft::QuorumLog* log, raft::FoundingState self) {
  log_ = log;
  self_ = std::move(self);
  told_.clear();
  Look();
}

void VoterAddresses::OnLostLeadership() {
  log_ = nullptr;
  timer_.Clear();
}

void VoterAddresses::Look() {
  timer_.Clear();
  if (log_ == nullptr || log_->failed() || log_->node().leadership() == nullptr) return;
  const std::vector<raft::HeardPeer> heard = heard_();
  for (const raft::Voter& voter : log_->node().voters().voters) {
    const std::string said = SaidBy(voter.id, heard);
    const bool fits = !said.empty() && said.size() <= raft::kVoterAddressBytesMax;
    if (!fits || said == voter.address) continue;
    timer_.Set(clock_->Now() + kAgainAfter);
    Ask(voter.id, said);
  }
}

std::string VoterAddresses::SaidBy(const raft::VoterId& voter,
                                   const std::vector<raft::HeardPeer>& heard) const {
  if (voter == self_.self) return self_.address;
  for (const raft::HeardPeer& peer : heard) {
    if (peer.id == voter && peer.connected) return peer.address;
  }
  return "";
}

void VoterAddresses::Ask(const raft::VoterId& voter, const std::string& address) {
  channel_->Exchange(address, self_,
                     [this, alive = std::weak_ptr<const bool>(alive_), voter,
                      address](const absl::StatusOr<raft::FoundingState>& theirs) {
                       if (!alive.expired()) OnAnswer(voter, address, theirs);
                     });
}

void VoterAddresses::OnAnswer(const raft::VoterId& voter, const std::string& address,
                              const absl::StatusOr<raft::FoundingState>& theirs) {
  if (log_ == nullptr || log_->failed()) return;
  // It may have been removed, have moved on, or be in the log meanwhile.
  const raft::Voter* const member = log_->node().voters().Find(voter);
  if (member == nullptr || member->address == address) return;
  if (SaidBy(voter, heard_()) != address) return;
  const absl::Status found = CheckAnswer(theirs, voter, self_);
  if (found.ok()) return Propose(voter, address);
  if (told_.size() >= kToldMax) told_.clear();
  if (!told_.insert({voter, address}).second) return;
  LOG_WARN(kComponent,
           "a controller is not found where it says that it is: its former address stays; correct "
           "its own entry of its controller.quorum.voters",
           {{"node", voter.node.value()},
            {"says", address},
            {"address", member->address},
            {"error", found.ToString()}});
}

void VoterAddresses::Propose(const raft::VoterId& voter, const std::string& address) {
  log_->ChangeMembership(
      {raft::VoterChange::Kind::kSetAddress, voter, address},
      [this, alive = std::weak_ptr<const bool>(alive_), voter, address](const absl::Status& done) {
        if (alive.expired()) return;
        // Of several that moved each waits for the one before.
        if (CodeOf(done) == ErrorCode::kResourceExhausted) return;
        if (done.ok()) {
          LOG_INFO(kComponent, "a controller's address is another one now",
                   {{"node", voter.node.value()}, {"address", address}});
          return Look();
        }
        LOG_WARN(kComponent, "a controller's new address is not in the log",
                 {{"node", voter.node.value()}, {"error", done.ToString()}});
      });
}

}  // namespace millrace::node

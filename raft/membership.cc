#include "raft/membership.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"
#include "raft/quorum.h"

namespace millrace::raft {
namespace {

std::string Name(const VoterId& id) {
  return absl::StrCat(id.node.value(), "/", id.directory.ToString());
}

absl::Status Refuse(const VoterId& id, absl::string_view why) {
  return MakeError(ErrorCode::kInvalidRequest, absl::StrCat("voter ", Name(id), " ", why),
                   {.name = "voter", .value = Name(id)});
}

// Of one node at most one directory counts, or a node could be a majority by itself.
bool NodeCountsAlready(const VoterSet& set, const VoterId& id) {
  return std::any_of(set.voters.begin(), set.voters.end(), [&id](const Voter& voter) {
    return voter.id.node == id.node && voter.id != id && !voter.learner;
  });
}

absl::Status AddLearner(const VoterChange& change, VoterSet* set) {
  if (set->Find(change.id) != nullptr) return Refuse(change.id, "is a member already");
  if (set->voters.size() >= kVotersMax) {
    return Refuse(change.id, absl::StrCat("would be one too many; the maximum is ", kVotersMax));
  }
  if (change.address.size() > kVoterAddressBytesMax) {
    return Refuse(change.id, absl::StrCat("has an address of more than ", kVoterAddressBytesMax,
                                          " bytes; use a shorter one"));
  }
  set->voters.push_back(Voter{.id = change.id, .address = change.address, .learner = true});
  std::sort(set->voters.begin(), set->voters.end(),
            [](const Voter& a, const Voter& b) { return a.id < b.id; });
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<VoterSet> ChangeVoters(const VoterSet& set, const VoterChange& change) {
  VoterSet changed = set;
  if (change.kind == VoterChange::Kind::kAddLearner) {
    RETURN_IF_ERROR(AddLearner(change, &changed));
    return changed;
  }
  auto member = std::find_if(changed.voters.begin(), changed.voters.end(),
                             [&change](const Voter& voter) { return voter.id == change.id; });
  if (member == changed.voters.end()) return Refuse(change.id, "is not a member");
  switch (change.kind) {
    case VoterChange::Kind::kAddLearner:
      break;
    case VoterChange::Kind::kPromote:
      if (!member->learner) return Refuse(change.id, "is a voter already");
      if (NodeCountsAlready(set, change.id)) {
        return Refuse(change.id, "has another directory that is a voter; remove that one first");
      }
      member->learner = false;
      break;
    case VoterChange::Kind::kRemove:
      if (!member->learner && CountedVoters(set).size() == 1) {
        return Refuse(change.id, "is the last voter; add another one before it is removed");
      }
      changed.voters.erase(member);
      break;
    case VoterChange::Kind::kSetAddress:
      if (change.address.size() > kVoterAddressBytesMax) {
        return Refuse(change.id, absl::StrCat("has an address of more than ", kVoterAddressBytesMax,
                                              " bytes; use a shorter one"));
      }
      member->address = change.address;
      break;
  }
  return changed;
}

const VoterSet& Membership::At(LogIndex index) const {
  for (auto set = sets_.rbegin(); set != sets_.rend(); ++set) {
    if (set->id.index <= index) return *set;
  }
  return sets_.front();
}

absl::Status Membership::Append(const Entry& entry) {
  if (entry.type != EntryType::kVoters) return absl::OkStatus();
  ASSIGN_OR_RETURN(std::vector<Voter> voters, DecodeVoters(entry.payload));
  CHECK(sets_.back().id.index < entry.index || sets_.size() == 1);
  sets_.push_back(VoterSet{entry.id(), std::move(voters)});
  return absl::OkStatus();
}

void Membership::TruncateFrom(LogIndex from) {
  while (sets_.size() > 1 && sets_.back().id.index >= from) sets_.pop_back();
}

void Membership::CompactTo(LogIndex to) {
  while (sets_.size() > 1 && sets_[1].id.index <= to) sets_.erase(sets_.begin());
}

void Membership::Restart(VoterSet base) {
  sets_.clear();
  sets_.push_back(std::move(base));
}

}  // namespace millrace::raft

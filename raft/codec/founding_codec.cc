#include "raft/codec/founding_codec.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace millrace::raft {
namespace {

namespace wire = millrace::internal::v1;

absl::Status Misfit(absl::string_view field, absl::string_view why) {
  return MakeError(ErrorCode::kCorruptMessage,
                   absl::StrCat("a founding state whose ", field, " does not fit: ", why),
                   {.name = std::string(field), .value = std::string(why)});
}

wire::FoundingPhase ToWire(FoundingPhase phase) {
  switch (phase) {
    case FoundingPhase::kEmpty:
      return wire::FOUNDING_PHASE_EMPTY;
    case FoundingPhase::kPrepared:
      return wire::FOUNDING_PHASE_PREPARED;
    case FoundingPhase::kFounded:
      return wire::FOUNDING_PHASE_FOUNDED;
  }
  return wire::FOUNDING_PHASE_UNSPECIFIED;
}

void ToWire(const VoterId& id, const std::string& address, bool learner, wire::QuorumVoter* out) {
  out->set_node_id(id.node.value());
  out->set_directory_id(id.directory.ToBytes());
  out->set_address(address);
  out->set_learner(learner);
}

absl::StatusOr<Voter> FromWire(const wire::QuorumVoter& in) {
  if (in.node_id() < 0) return Misfit("node id", absl::StrCat(in.node_id(), " is negative"));
  const auto directory = DirectoryId::FromBytes(in.directory_id());
  if (!directory.ok() || directory->is_zero()) {
    return Misfit("directory id", "not 16 bytes, or zero");
  }
  if (in.address().size() > kVoterAddressBytesMax) {
    return Misfit("address", absl::StrCat(in.address().size(), " bytes"));
  }
  return Voter{VoterId{NodeId(in.node_id()), *directory}, in.address(), in.learner()};
}

absl::StatusOr<FoundingPhase> FromWire(wire::FoundingPhase phase) {
  switch (phase) {
    case wire::FOUNDING_PHASE_EMPTY:
      return FoundingPhase::kEmpty;
    case wire::FOUNDING_PHASE_PREPARED:
      return FoundingPhase::kPrepared;
    case wire::FOUNDING_PHASE_FOUNDED:
      return FoundingPhase::kFounded;
    default:
      return Misfit("phase", absl::StrCat(static_cast<int>(phase), " is unknown"));
  }
}

// What a phase says, and what it leaves unsaid.
absl::Status CheckPhase(const FoundingState& state) {
  const bool founded = state.phase == FoundingPhase::kFounded;
  if (founded == state.cluster_id.is_zero()) {
    return Misfit("cluster id", founded ? "none, though founded" : "one, though not founded");
  }
  if (state.generation < 0 || (state.generation > 0 && !founded)) {
    return Misfit("quorum generation", absl::StrCat(state.generation));
  }
  if (state.phase == FoundingPhase::kEmpty && !state.voters.empty()) {
    return Misfit("voters", "some, though nothing was promised");
  }
  if (state.phase == FoundingPhase::kPrepared && state.voters.empty()) {
    return Misfit("voters", "none, though prepared");
  }
  return absl::OkStatus();
}

}  // namespace

wire::FoundingState EncodeFoundingState(const FoundingState& state) {
  wire::FoundingState out;
  out.set_version(kFoundingVersion);
  ToWire(state.self, state.address, /*learner=*/false, out.mutable_self());
  out.set_phase(ToWire(state.phase));
  for (const Voter& voter : state.voters) {
    ToWire(voter.id, voter.address, voter.learner, out.add_voters());
  }
  if (!state.cluster_id.is_zero()) out.set_cluster_id(state.cluster_id.ToBytes());
  out.set_quorum_generation(state.generation);
  return out;
}

absl::StatusOr<FoundingState> DecodeFoundingState(const wire::FoundingState& in) {
  if (in.version() != kFoundingVersion) {
    return MakeError(ErrorCode::kUnsupportedVersion,
                     absl::StrCat("a founding state of version ", in.version(), "; this node has ",
                                  kFoundingVersion, ": found the cluster with equal programs"),
                     {.name = "version", .value = absl::StrCat(in.version())});
  }
  FoundingState state;
  ASSIGN_OR_RETURN(Voter self, FromWire(in.self()));
  state.self = self.id;
  state.address = std::move(self.address);
  ASSIGN_OR_RETURN(state.phase, FromWire(in.phase()));
  if (static_cast<size_t>(in.voters_size()) > kVotersMax) {
    return Misfit("voters", absl::StrCat(in.voters_size(), " of them"));
  }
  for (const wire::QuorumVoter& item : in.voters()) {
    ASSIGN_OR_RETURN(Voter voter, FromWire(item));
    if (!state.voters.empty() && voter.id <= state.voters.back().id) {
      return Misfit("voters", "not sorted");
    }
    state.voters.push_back(std::move(voter));
  }
  if (!in.cluster_id().empty()) {
    const auto cluster = ClusterId::FromBytes(in.cluster_id());
    if (!cluster.ok()) return Misfit("cluster id", "not 16 bytes");
    state.cluster_id = *cluster;
  }
  state.generation = in.quorum_generation();
  RETURN_IF_ERROR(CheckPhase(state));
  return state;
}

}  // namespace millrace::raft

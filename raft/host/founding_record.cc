#include "raft/host/founding_record.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/mutant.h"
#include "base/status.h"

namespace millrace::raft {
namespace {

uint64_t Mix(uint64_t x) {
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdULL;
  x ^= x >> 33;
  x *= 0xc4ceb9fe1a85ec53ULL;
  x ^= x >> 33;
  return x;
}

// One lane: each word is mixed into all that came before it, so that order and number count.
class Lane {
 public:
  explicit Lane(uint64_t seed) : state_(seed) {}
  void Add(uint64_t word) { state_ = Mix(state_ ^ Mix(word + kStep)) + kStep; }
  uint64_t Finish() const { return Mix(state_); }

 private:
  static constexpr uint64_t kStep = 0x9e3779b97f4a7c15ULL;
  uint64_t state_;
};

}  // namespace

bool SameVoters(const std::vector<Voter>& a, const std::vector<Voter>& b) {
  if (MUTANT("founding.directory-ignored")) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](const Voter& x, const Voter& y) { return x.id.node == y.id.node; });
  }
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Voter& x, const Voter& y) { return x.id == y.id; });
}

bool ContainsVoter(const std::vector<Voter>& voters, const VoterId& id) {
  return std::any_of(voters.begin(), voters.end(), [&id](const Voter& v) { return v.id == id; });
}

ClusterId FoundingClusterId(const std::vector<Voter>& voters) {
  // Distinct, arbitrary seeds: the digits of pi, as in other ciphers and hashes.
  Lane high(0x243f6a8885a308d3ULL);
  Lane low(0x13198a2e03707344ULL);
  for (Lane* lane : {&high, &low}) {
    lane->Add(voters.size());
    for (const Voter& voter : voters) {
      lane->Add(static_cast<uint64_t>(static_cast<int64_t>(voter.id.node.value())));
      lane->Add(voter.id.directory.uuid().high());
      lane->Add(voter.id.directory.uuid().low());
    }
  }
  const Uuid id(high.Finish(), low.Finish());
  // Zero means "none".
  return ClusterId(id.is_zero() ? Uuid(0, 1) : id);
}

absl::Status CheckFoundingState(const FoundingState& state) {
  const auto misfit = [&state](absl::string_view what) {
    return MakeError(ErrorCode::kCorruptMessage,
                     absl::StrCat("founding state of node ", state.self.node.value(), ": ", what),
                     {.name = "founding_state", .value = absl::StrCat(state.self.node.value())});
  };
  const auto plain = [](const std::string& address) {
    return address.size() <= kVoterAddressBytesMax &&
           std::all_of(address.begin(), address.end(),
                       [](char c) { return absl::ascii_isgraph(c); });
  };
  if (state.self.node < NodeId(0) || state.self.directory.is_zero()) return misfit("no identity");
  if (!plain(state.address)) return misfit("its address is no host:port");
  if (state.voters.size() > kVotersMax) return misfit("too many voters");
  for (size_t i = 0; i < state.voters.size(); ++i) {
    if (i > 0 && state.voters[i].id.node <= state.voters[i - 1].id.node) {
      return misfit("voters are not sorted");
    }
    if (!plain(state.voters[i].address)) return misfit("the address of a voter is no host:port");
  }
  if ((state.phase == FoundingPhase::kFounded) == state.cluster_id.is_zero()) {
    return misfit("a cluster id goes with being founded");
  }
  if (state.phase != FoundingPhase::kFounded &&
      state.voters.empty() != (state.phase == FoundingPhase::kEmpty)) {
    return misfit("voters go with a promise");
  }
  return absl::OkStatus();
}

std::string NodeNames(const std::vector<NodeId>& nodes) {
  std::string names;
  for (size_t i = 0; i < nodes.size(); ++i) {
    const absl::string_view before = i == 0 ? "" : i + 1 == nodes.size() ? " and " : ", ";
    absl::StrAppend(&names, before, nodes[i].value());
  }
  return names;
}

std::string NodeNames(const std::vector<Voter>& voters) {
  std::vector<NodeId> nodes;
  for (const Voter& voter : voters) nodes.push_back(voter.id.node);
  return NodeNames(nodes);
}

}  // namespace millrace::raft

#include "raft/testing/sim_scenario.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "raft/quorum.h"
#include "raft/testing/sim_cluster.h"
#include "raft/testing/test_node.h"

namespace millrace::raft::testing {
namespace {

using Kind = VoterChange::Kind;

// Small enough that every bound is met in a run.
Options SmallOptions() {
  Options options;
  options.append_bytes_max = 400;
  options.window_bytes_max = 1500;
  options.window_messages_max = 4;
  options.uncommitted_bytes_max = 5000;
  options.unpersisted_bytes_max = 5000;
  options.log_bytes_max = 20000;
  options.committed_bytes_max = 500;
  options.snapshot_chunk_bytes = 16;
  options.reads_max = 20;
  options.promote_lag_max = 10;
  return options;
}

class Scenario {
 public:
  explicit Scenario(uint64_t seed)
      : choice_(sim::SimRandom(seed).Fork("choice")),
        voters_(choice_.Below(3) == 0 ? 5 : 3),
        cluster_(seed, SmallOptions(), voters_) {}

  SimResult Run(bool print_trace) {
    cluster_.PrintTrace(print_trace);
    BeginWeather();
    const MonotonicTime end = cluster_.now() + absl::Seconds(12);
    while (cluster_.now() < end && ok()) {
      Act();
      cluster_.RunFor(absl::Milliseconds(1 + choice_.Below(quiet_ms_)));
    }
    if (ok()) Heal();
    if (ok()) CheckProgress("after all was healed");
    if (ok()) CheckReturnOfAMember();
    if (ok()) CheckIsolatedLeader();
    SimResult result;
    result.violation = cluster_.invariants().violation();
    result.trace_hash = cluster_.trace_hash();
    result.events = cluster_.events();
    result.committed = cluster_.invariants().committed().value();
    result.reads = cluster_.reads_confirmed();
    result.reached = cluster_.reached();
    return result;
  }

 private:
  bool ok() { return cluster_.invariants().violation().empty(); }
  void Fail(const std::string& what) { cluster_.invariants().Report("liveness: " + what); }
  int AnyNode() {
    const std::vector<int> nodes = cluster_.nodes();
    return nodes[choice_.Below(nodes.size())];
  }
  // The one that leads, or whoever believes so.
  int SomeLeader() {
    std::vector<int> leaders;
    for (int node : cluster_.nodes()) {
      if (cluster_.alive(node) && cluster_.node(node)->role() == Role::kLeader) {
        leaders.push_back(node);
      }
    }
    return leaders.empty() ? AnyNode() : leaders[choice_.Below(leaders.size())];
  }

  // How bad it is in this run.
  void BeginWeather() {
    SimNetwork& network = cluster_.network();
    network.delay_max = absl::Milliseconds(choice_.Below(4) == 0 ? 120 : 2 + choice_.Below(20));
    network.lost = choice_.Below(2) * choice_.Below(100);
    network.duplicated = choice_.Below(2) * choice_.Below(100);
    network.late = choice_.Below(2) * choice_.Below(30);
    quiet_ms_ = 20 + choice_.Below(150);
  }

  void Act() {
    const uint64_t dice = choice_.Below(100);
    if (dice < 35) return Propose();
    if (dice < 43) return static_cast<void>(cluster_.Read(SomeLeader()));
    if (dice < 50) return cluster_.TakeSnapshot(AnyNode());
    if (dice < 57) return CrashOne();
    if (dice < 68) return cluster_.Restart(AnyNode());
    if (dice < 72) return cluster_.Pause(AnyNode(), absl::Milliseconds(choice_.Below(2500)));
    if (dice < 77) return cluster_.CutLink(AnyNode(), AnyNode());
    if (dice < 79) return cluster_.Isolate(SomeLeader());
    if (dice < 84) return cluster_.HealLinks();
    if (dice < 87) return cluster_.Unreachable(AnyNode(), AnyNode());
    if (dice < 89) {
      return cluster_.SlowDisk(AnyNode(), absl::Milliseconds(1 + choice_.Below(4) * 400));
    }
    if (dice < 91) {
      const int target = AnyNode();
      return static_cast<void>(cluster_.Transfer(SomeLeader(), cluster_.id(target)));
    }
    if (dice < 99) return ChangeVoters();
    WipeOne();
  }

  void Propose() {
    const int leader = SomeLeader();
    for (uint64_t i = choice_.Below(8) + 1; i > 0; --i) {
      if (!cluster_.Propose(leader).ok()) return;
    }
  }

  void CrashOne() {
    const int node = choice_.Below(2) == 0 ? SomeLeader() : AnyNode();
    cluster_.Crash(node);
    // Those who had connections see them reset.
    if (choice_.Below(2) == 0) return;
    for (int other : cluster_.nodes()) {
      if (other != node && cluster_.alive(other)) cluster_.Unreachable(other, node);
    }
  }

  // A voter whose disk is gone for good.
  bool IsGhost(const VoterId& id) {
    const std::vector<int> nodes = cluster_.nodes();
    return std::none_of(nodes.begin(), nodes.end(),
                        [&](int node) { return cluster_.id(node) == id; });
  }
  bool HasGhost(const VoterSet& set) {
    return std::any_of(set.voters.begin(), set.voters.end(),
                       [&](const Voter& voter) { return !voter.learner && IsGhost(voter.id); });
  }

  void ChangeVoters() {
    const int leader = SomeLeader();
    if (!cluster_.alive(leader)) return;
    const VoterSet set = cluster_.node(leader)->voters();
    if (choice_.Below(3) == 0 && cluster_.nodes().size() < 6) {
      cluster_.AddEmpty(static_cast<int>(cluster_.nodes().size()) + 1);
    }
    const int node = AnyNode();
    const Voter* member = set.Find(cluster_.id(node));
    if (HasGhost(set)) {
      // With one voter lost for good, no other is taken away.
      for (const Voter& voter : set.voters) {
        if (IsGhost(voter.id)) {
          return static_cast<void>(cluster_.Change(leader, {Kind::kRemove, voter.id}));
        }
      }
    }
    if (member == nullptr) {
      // An empty node joins; one that was removed comes back with what it has.
      return static_cast<void>(cluster_.Change(leader, {Kind::kAddLearner, cluster_.id(node)}));
    }
    if (member->learner) {
      return static_cast<void>(cluster_.Change(leader, {Kind::kPromote, member->id}));
    }
    if (CountedVoters(set).size() > 2 && choice_.Below(2) == 0) {
      static_cast<void>(cluster_.Change(leader, {Kind::kRemove, member->id}));
    }
  }

  // One disk at a time, and only while the others can go on without it.
  void WipeOne() {
    const int leader = cluster_.leader();
    if (leader == 0 || wiped_) return;
    const Node& node = *cluster_.node(leader);
    const bool settled = node.voters().id.index <= node.commit() &&
                         node.commit() >= node.leadership()->own_term_begin();
    if (!settled || CountedVoters(node.voters()).size() < 3 || HasGhost(node.voters())) return;
    const int victim = AnyNode();
    if (victim == leader) return;
    wiped_ = true;
    cluster_.Reach("disk lost");
    cluster_.Wipe(victim);
  }

  // ---- Liveness ----

  void Heal() {
    cluster_.HealLinks();
    cluster_.network() = SimNetwork();
    for (int node : cluster_.nodes()) {
      cluster_.Pause(node, absl::ZeroDuration());
      cluster_.SlowDisk(node, absl::Milliseconds(2));
      cluster_.Restart(node);
    }
    for (int i = 0; i < 20 && ok(); ++i) {
      cluster_.RunFor(absl::Milliseconds(500));
      for (int node : cluster_.nodes()) {
        if (cluster_.node(node)->log().bytes() > 5000) cluster_.TakeSnapshot(node);
      }
    }
  }

  // A change is committed, and every member has it.
  void CheckProgress(const std::string& when) {
    const int leader = cluster_.leader();
    if (leader == 0) return Fail("nobody leads " + when);
    if (!cluster_.Propose(leader).ok()) return Fail("a proposal is refused " + when);
    const LogIndex index = cluster_.node(leader)->log().last().index;
    const int64_t reads = cluster_.reads_confirmed();
    if (!cluster_.Read(leader)) return Fail("a read is refused " + when);
    cluster_.RunFor(absl::Seconds(3));
    if (!ok()) return;
    if (cluster_.reads_confirmed() == reads) Fail("a read is not confirmed " + when);
    for (const Voter& voter : cluster_.node(leader)->voters().voters) {
      if (IsGhost(voter.id)) continue;
      const LogIndex applied = cluster_.applied(voter.id.node.value());
      if (applied < index) {
        Fail(absl::StrCat("node ", voter.id.node.value(), " is at ", applied.value(), " of ",
                          index.value(), " ", when));
      }
    }
  }

  // Whether the voters that exist are a majority without `missing` of them.
  bool MajorityWithout(const VoterSet& set, size_t missing) {
    size_t present = 0;
    const std::vector<VoterId> voters = CountedVoters(set);
    for (const VoterId& id : voters) present += IsGhost(id) ? 0 : 1;
    return present >= missing + voters.size() / 2 + 1;
  }

  // Thesis 4.2.3, 9.6: a member that was cut off comes back, and disturbs nobody.
  void CheckReturnOfAMember() {
    const int leader = cluster_.leader();
    const VoterSet set = cluster_.node(leader)->voters();
    if (!MajorityWithout(set, 1)) return;
    const int guest = AnyNode();
    if (guest == leader) return;
    const Term term = cluster_.node(leader)->term();
    cluster_.Isolate(guest);
    cluster_.RunFor(absl::Seconds(4));
    cluster_.HealLinks();
    cluster_.RunFor(absl::Seconds(3));
    cluster_.Reach("a member returned");
    if (ok() && (cluster_.leader() != leader || cluster_.node(leader)->term() != term)) {
      Fail(absl::StrCat("node ", guest, " came back and caused an election"));
    }
  }

  // Thesis 6.2: a leader without a majority stops, and the others go on.
  void CheckIsolatedLeader() {
    const int leader = cluster_.leader();
    if (leader == 0 || !MajorityWithout(cluster_.node(leader)->voters(), 1)) return;
    if (CountedVoters(cluster_.node(leader)->voters()).size() == 1) return;
    cluster_.Isolate(leader);
    cluster_.RunFor(absl::Seconds(8));
    if (!ok()) return;
    if (cluster_.node(leader)->role() == Role::kLeader) {
      return Fail("a leader without a majority still leads");
    }
    if (cluster_.leader() == 0) return Fail("the others elect nobody");
    cluster_.Reach("leader replaced");
    cluster_.HealLinks();
    cluster_.RunFor(absl::Seconds(3));
    if (ok()) CheckProgress("after the old leader came back");
  }

  sim::SimRandom choice_;
  const int voters_;
  SimCluster cluster_;
  uint64_t quiet_ms_ = 50;
  bool wiped_ = false;
};

}  // namespace

SimResult RunSeed(uint64_t seed, bool print_trace) { return Scenario(seed).Run(print_trace); }

}  // namespace millrace::raft::testing

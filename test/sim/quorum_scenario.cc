#include "test/sim/quorum_scenario.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/error_code.h"
#include "base/status.h"
#include "raft/quorum.h"
#include "test/sim/quorum_clients.h"
#include "test/sim/quorum_damage.h"
#include "test/sim/quorum_world.h"

namespace millrace::sim {
namespace {

using raft::VoterChange;
using Kind = VoterChange::Kind;

constexpr size_t kSearchStepsMax = 200'000;

class Scenario {
 public:
  explicit Scenario(uint64_t seed)
      : choice_(SimRandom(seed).Fork("choice")),
        replace_after_(ReplaceAfter(seed)),
        world_(seed, OneIn(choice_, 4) ? 5 : 3, replace_after_),
        clients_(&world_, seed) {}

  QuorumRun Run() {
    if (!clients_.Prepare(absl::Seconds(10))) Fail("no topic can be made in the beginning");
    BeginWeather();
    clients_.Begin(3 + static_cast<int>(choice_.Below(5)), absl::Milliseconds(50));
    const MonotonicTime end = world_.loop().now() + absl::Seconds(10);
    while (world_.loop().now() < end && world_.ok()) {
      Act();
      world_.RunFor(absl::Milliseconds(1 + choice_.Below(quiet_ms_)));
    }
    clients_.Stop();
    if (world_.ok()) Heal();
    if (world_.ok()) CheckAllIsWell();
    return Judge();
  }

 private:
  // In every third run lost directories are replaced without a command.
  static absl::Duration ReplaceAfter(uint64_t seed) {
    SimRandom random = SimRandom(seed).Fork("replacement");
    if (!OneIn(random, 3)) return absl::InfiniteDuration();
    return absl::Milliseconds(300 + random.Below(1500));
  }
  bool replaces() const { return replace_after_ != absl::InfiniteDuration(); }

  void Fail(const std::string& what) { world_.checks().Report("liveness: " + what); }
  int AnyNode() {
    const std::vector<int> nodes = world_.nodes();
    return nodes[choice_.Below(nodes.size())];
  }
  int SomeLeader() {
    std::vector<int> leaders;
    for (const int node : world_.nodes()) {
      if (world_.running(node) && world_.server(node).host().leading()) leaders.push_back(node);
    }
    return leaders.empty() ? AnyNode() : leaders[choice_.Below(leaders.size())];
  }
  int Victim() { return OneIn(choice_, 2) ? SomeLeader() : AnyNode(); }
  CrashMode AnyCrash() {
    constexpr CrashMode kModes[] = {CrashMode::kKeepAll, CrashMode::kLoseAll, CrashMode::kTorn};
    return kModes[choice_.Below(3)];
  }

  // How bad it is in this run.
  void BeginWeather() {
    QuorumNetwork& network = world_.network();
    network.delay_max = absl::Milliseconds(OneIn(choice_, 5) ? 80 : 1 + choice_.Below(10));
    network.lost = choice_.Below(2) * choice_.Below(80);
    network.duplicated = choice_.Below(2) * choice_.Below(80);
    network.late = choice_.Below(2) * choice_.Below(20);
    network.damaged = choice_.Below(2) * 30;
    network.ordered = OneIn(choice_, 2);
    quiet_ms_ = 60 + choice_.Below(500);
    for (const int node : world_.nodes()) {
      world_.server(node).SetSyncTime(absl::Milliseconds(1 + choice_.Below(12)));
    }
  }

  void Act() {
    const uint64_t dice = choice_.Below(100);
    if (dice < 14) return EndOne();
    if (dice < 38) return StartOne();
    if (dice < 41) return world_.Pause(Victim(), absl::Milliseconds(choice_.Below(2000)));
    if (dice < 44) {
      world_.checks().Reach("cut of one direction");
      return world_.Cut(AnyNode(), AnyNode());
    }
    if (dice < 47) return IsolateOne();
    if (dice < 58) return world_.HealLinks();
    if (dice < 60) return world_.Unreachable(AnyNode(), AnyNode());
    if (dice < 62) return world_.HangDisk(Victim(), absl::Milliseconds(choice_.Below(2500)));
    if (dice < 63) return JumpClock();
    if (dice < 65) {
      world_.server(AnyNode()).SetSyncTime(absl::Milliseconds(OneIn(choice_, 4) ? 300 : 4));
      return;
    }
    if (dice < 66) return FailSyncs(Victim());
    if (dice < 69) return Transfer();
    if (dice < 70) return LoseAllPower();
    if (dice < 98) return ChangeVoters();
    WipeOne();
  }

  void EndOne() {
    const int node = Victim();
    const uint64_t how = choice_.Below(5);
    if (how == 0) {
      world_.checks().Reach("kill");
      world_.Kill(node);
    } else if (how <= 2 && world_.running(node)) {
      world_.server(node).ArmPowerLoss(1 + choice_.Below(20), AnyCrash());
    } else {
      world_.checks().Reach("power loss");
      world_.LosePower(node, AnyCrash());
    }
  }

  // Those who see the connection break elect another at once; the old leader learns it late.
  void JumpClock() {
    world_.checks().Reach("clock jumped");
    world_.server(AnyNode()).JumpWall(Between(choice_, -absl::Hours(30), absl::Hours(30)));
  }

  void IsolateOne() {
    const int node = SomeLeader();
    world_.checks().Reach("isolated");
    world_.Isolate(node);
    if (OneIn(choice_, 3)) return;
    for (const int other : world_.nodes()) {
      if (other != node) world_.Unreachable(other, node);
    }
  }

  void StartOne() {
    std::vector<int> down;
    for (const int node : world_.nodes()) {
      if (!world_.running(node)) down.push_back(node);
    }
    if (down.empty()) return;
    const int node = down[choice_.Below(down.size())];
    if (OneIn(choice_, 4) && DamageNewestSnapshot(world_.server(node).files(),
                                                  world_.server(node).installed(), choice_)) {
      world_.checks().Reach("newest snapshot damaged");
    }
    if (OneIn(choice_, 6)) {
      world_.server(node).ArmPowerLoss(1 + choice_.Below(8), AnyCrash());
      world_.checks().Reach("power loss in a start");
    }
    world_.Start(node);
  }

  void FailSyncs(int node) {
    if (!world_.running(node)) return;
    world_.server(node).FailSyncs(OneIn(choice_, 2));
  }

  void LoseAllPower() {
    world_.checks().Reach("power loss of all");
    for (const int node : world_.nodes()) world_.LosePower(node, AnyCrash());
    for (const int node : world_.nodes()) {
      if (!OneIn(choice_, 5)) world_.Start(node);
    }
  }

  void Transfer() {
    const int leader = SomeLeader();
    if (!world_.running(leader) || !world_.server(leader).host().leading()) return;
    const raft::VoterId target = world_.server(AnyNode()).id();
    QuorumServer& server = world_.server(leader);
    server.owner().RunNow([&] { server.log().TransferLeadership(target).IgnoreError(); });
  }

  // ---- Membership ----

  void Change(int leader, VoterChange change) {
    QuorumServer& server = world_.server(leader);
    change.address = QuorumWorld::AddressOf(change.id.node.value());
    server.owner().RunNow([&] {
      server.log().ChangeMembership(change, [this, kind = change.kind](absl::Status status) {
        if (status.ok()) {
          world_.checks().Reach(absl::StrCat("membership change ", static_cast<int>(kind)));
        }
      });
    });
  }

  void ChangeVoters() {
    const int leader = SomeLeader();
    if (!world_.running(leader) || !world_.server(leader).host().leading()) return;
    const raft::VoterSet set = world_.server(leader).core()->voters();
    for (const raft::Voter& voter : set.voters) {
      // With one voter lost for good, no other is taken away.
      if (!world_.IsGhost(voter.id)) continue;
      if (!replaces()) Change(leader, {Kind::kRemove, voter.id});
      return;
    }
    if (OneIn(choice_, 4) && world_.nodes().size() < 6) {
      world_.AddEmpty(static_cast<int>(world_.nodes().size()) + 1);
    }
    const int node = AnyNode();
    const raft::VoterId id = world_.server(node).id();
    const raft::Voter* const member = set.Find(id);
    if (member == nullptr) return Change(leader, {Kind::kAddLearner, id});
    if (member->learner) return Change(leader, {Kind::kPromote, id});
    if (raft::CountedVoters(set).size() > 2 && OneIn(choice_, 4)) {
      if (node == leader) world_.checks().Reach("leader removed");
      Change(leader, {Kind::kRemove, id});
    }
  }

  // One disk in a run, and only while the others can go on without it.
  void WipeOne() {
    const int leader = world_.leader();
    if (leader == 0 || wiped_ != 0) return;
    const raft::Node& core = *world_.server(leader).core();
    const raft::VoterSet& set = core.voters();
    const bool settled = set.id.index <= core.commit() && core.leadership() != nullptr &&
                         core.commit() >= core.leadership()->own_term_begin();
    if (!settled || raft::CountedVoters(set).size() < 3 || world_.HasGhost(set)) return;
    const int victim = AnyNode();
    if (victim == leader) return;
    wiped_ = victim;
    const raft::Voter* const lost = set.Find(world_.server(victim).id());
    lost_voter_ = lost != nullptr && !lost->learner;
    world_.checks().Reach("disk lost");
    world_.Wipe(victim);
  }

  // ---- Liveness ----

  void Heal() {
    world_.HealLinks();
    world_.network() = QuorumNetwork();
    for (const int node : world_.nodes()) {
      QuorumServer& server = world_.server(node);
      server.ArmPowerLoss(0, CrashMode::kLoseAll);
      server.SetSyncTime(absl::Milliseconds(1));
      // What hangs, is killed; some others too.
      if (server.syncs_fail() || OneIn(choice_, 3)) world_.Kill(node);
      server.Resume();
      world_.Start(node);
    }
  }

  // All members have what the leader has, and no call is open.
  bool Settled() {
    const int leader = world_.leader();
    if (leader == 0 || !clients_.idle()) return false;
    const raft::Node& core = *world_.server(leader).core();
    if (core.commit() != core.log().last().index) return false;
    const std::vector<raft::Voter>& voters = core.voters().voters;
    return std::all_of(voters.begin(), voters.end(), [&](const raft::Voter& voter) {
      return world_.IsGhost(voter.id) ||
             world_.server(voter.id.node.value()).host().committed_index() == core.commit();
    });
  }

  void CheckAllIsWell() {
    const MonotonicTime end = world_.loop().now() + absl::Seconds(15);
    while (world_.ok() && !Settled() && world_.loop().now() < end) {
      world_.RunFor(absl::Milliseconds(50));
    }
    if (!world_.ok()) return;
    if (!Settled()) return Fail(world_.leader() == 0 ? "nobody leads" : "members stay behind");
    CheckLostDirectoryIsReplaced();
    if (!world_.ok()) return;
    if (OneIn(choice_, 4)) CheckHangingLeader();
    if (!world_.ok()) return;
    if (!clients_.DescribeAll(absl::Seconds(5)) && world_.ok()) Fail("topics cannot be described");
    if (world_.ok() && OneIn(choice_, 2)) CheckDamageIsSeen();
  }

  bool HasGhost() {
    const int leader = world_.leader();
    if (leader == 0) return true;
    const std::vector<raft::Voter>& voters = world_.server(leader).core()->voters().voters;
    return std::any_of(voters.begin(), voters.end(),
                       [&](const raft::Voter& voter) { return world_.IsGhost(voter.id); });
  }

  // Of a voter's lost directory nothing is left; of the new one no half.
  void CheckLostDirectoryIsReplaced() {
    if (!replaces() || wiped_ == 0 || !lost_voter_) return;
    const auto half_done = [&] {
      if (HasGhost()) return true;
      const raft::Voter* const member =
          world_.server(world_.leader()).core()->voters().Find(world_.server(wiped_).id());
      return member != nullptr && member->learner;
    };
    const MonotonicTime end = world_.loop().now() + absl::Seconds(15);
    while (world_.ok() && half_done() && world_.loop().now() < end) {
      world_.RunFor(absl::Milliseconds(50));
    }
    if (world_.ok() && half_done()) Fail("a lost directory is not replaced");
    if (world_.ok()) world_.checks().Reach("lost directory replaced");
  }

  // Whether the voters that exist are a majority without one more of them.
  bool OneMayBeMissing(int leader) {
    const std::vector<raft::VoterId> voters =
        raft::CountedVoters(world_.server(leader).core()->voters());
    const auto present = std::count_if(
        voters.begin(), voters.end(), [&](const raft::VoterId& id) { return !world_.IsGhost(id); });
    return static_cast<size_t>(present) > voters.size() / 2 + 1;
  }

  // S-36: a leader whose disk takes nothing any more hands over, or is replaced.
  void CheckHangingLeader() {
    const int leader = world_.leader();
    if (!OneMayBeMissing(leader)) return;
    world_.checks().Reach("disk of a leader hangs");
    world_.HangDisk(leader, absl::Seconds(20));
    clients_.Begin(2, absl::Milliseconds(50));
    const MonotonicTime end = world_.loop().now() + absl::Seconds(6);
    while (world_.ok() && world_.leader() == leader && world_.loop().now() < end) {
      world_.RunFor(absl::Milliseconds(50));
    }
    clients_.Stop();
    if (world_.ok() && world_.leader() == leader) Fail("a leader whose disk hangs still leads");
    world_.server(leader).Resume();
    world_.RunFor(absl::Seconds(3));
  }

  // S-09: what is damaged where it was acknowledged and marked is not taken for a torn tail.
  void CheckDamageIsSeen() {
    const int leader = world_.leader();
    const int node = AnyNode();
    if (leader == 0 || node == leader || !OneMayBeMissing(leader)) return;
    // Idle, so that everything is sealed.
    world_.RunFor(absl::Seconds(1));
    if (!world_.ok() || !world_.running(node)) return;
    world_.LosePower(node, CrashMode::kLoseAll);
    if (!DamageSealedGroup(world_.server(node).files(), choice_)) return;
    const absl::Status status = world_.TryStart(node);
    world_.checks().Reach(status.ok() ? "damage without effect" : "damage refused");
    if (!status.ok() && CodeOf(status) != ErrorCode::kCorruptLog) Fail(status.ToString());
    world_.RunFor(absl::Milliseconds(300));
  }

  QuorumRun Judge() {
    QuorumRun run;
    if (world_.ok()) {
      std::string why;
      const TopicHistory& history = clients_.history();
      const auto verdict = history.Check(kSearchStepsMax, &why);
      run.inconclusive = verdict == TopicHistory::Verdict::kInconclusive;
      if (verdict == TopicHistory::Verdict::kViolated) {
        world_.checks().Report("linearizability: " + why);
        run.history = history.Describe(why.substr(1, why.find('\'', 1) - 1));
      }
    }
    run.violation = world_.checks().violation();
    run.trace_hash = world_.trace_hash();
    run.events = world_.loop().events_run();
    run.committed = world_.checks().committed().value();
    run.answered = clients_.answered();
    run.reached = world_.checks().reached();
    return run;
  }

  SimRandom choice_;
  const absl::Duration replace_after_;
  QuorumWorld world_;
  QuorumClients clients_;
  uint64_t quiet_ms_ = 50;
  // Whose disk was lost, 0 for none; and whether it was a voter.
  int wiped_ = 0;
  bool lost_voter_ = false;
};

}  // namespace

QuorumRun RunQuorumSeed(uint64_t seed) { return Scenario(seed).Run(); }

}  // namespace millrace::sim

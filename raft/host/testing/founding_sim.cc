#include "raft/host/testing/founding_sim.h"

#include <algorithm>
#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <queue>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/sim/sim_random.h"
#include "raft/host/founding.h"

namespace millrace::raft::testing {
namespace {

using sim::Between;
using sim::OneIn;

// A metadata directory. Those that an operator put away may come back.
struct Directory {
  VoterId id;
  FoundingRecord record;
};

struct Server {
  NodeId node;
  std::vector<Peer> configured;
  std::unique_ptr<Directory> directory;
  std::unique_ptr<Directory> put_away;
  // Null while it is down.
  std::unique_ptr<Founding> core;
  int64_t process = 0;
  std::optional<FoundingRecord> writing;
  MonotonicTime timer = MonotonicTime::Never();
};

// What holds whatever happens, seen from above.
class Oracle {
 public:
  // A node that may belong to another cluster than the rest: one whose directories an operator puts
  // away and back (S-19), and a newcomer, which those who lost all their disks do not know of.
  void Exempt(NodeId node) { exempt_.insert(node); }
  bool IsExempt(NodeId node) const { return exempt_.count(node) != 0; }

  void Durable(const Directory& directory, const FoundingRecord& record) {
    if (record.phase == FoundingPhase::kPrepared) {
      promised_[directory.id].insert(FoundingClusterId(record.voters));
    }
    if (directory.record.phase == FoundingPhase::kFounded &&
        (record.phase != FoundingPhase::kFounded || record.voters != directory.record.voters ||
         record.cluster_id != directory.record.cluster_id)) {
      Fail("what was founded has changed", directory.id);
    }
    if (record.phase == FoundingPhase::kFounded) Founded(directory.id, record);
  }
  void Gone(const VoterId& id) { founded_.erase(id); }

  const std::string& violation() const { return violation_; }
  void Fail(absl::string_view what, const VoterId& id) {
    if (violation_.empty()) violation_ = absl::StrCat(what, " (node ", id.node.value(), ")");
  }

 private:
  void Founded(const VoterId& id, const FoundingRecord& record) {
    const ClusterId cluster = record.cluster_id;
    if (!record.voters.empty()) {
      if (!ContainsVoter(record.voters, id)) Fail("founded a cluster of others", id);
      if (cluster != FoundingClusterId(record.voters)) Fail("the id is not that of the set", id);
      sets_[cluster] = record.voters;
      for (const Voter& voter : record.voters) {
        if (promised_[voter.id].count(cluster) == 0) {
          Fail("founded with a directory that never promised", voter.id);
        }
      }
    } else if (ContainsVoter(sets_[cluster], id)) {
      Fail("a voter joined its own cluster as a newcomer", id);
    }
    if (IsExempt(id.node)) return;
    founded_[id] = cluster;
    for (const auto& [other, theirs] : founded_) {
      if (theirs != cluster) Fail("two clusters are founded", other);
    }
  }

  std::set<NodeId> exempt_;
  // Every set that a directory ever promised, durably.
  std::map<VoterId, std::set<ClusterId>> promised_;
  // The directories that belong to a cluster and still exist.
  std::map<VoterId, ClusterId> founded_;
  std::map<ClusterId, std::vector<Voter>> sets_;
  std::string violation_;
};

class World {
 public:
  World(uint64_t seed, bool print)
      : print_(print),
        choice_(sim::SimRandom(seed).Fork("choice")),
        chance_(sim::SimRandom(seed).Fork("chance")) {
    Choose();
  }

  FoundingSimResult Run();

 private:
  struct Event {
    MonotonicTime when;
    uint64_t order;
    std::function<void()> run;
    bool operator<(const Event& other) const {
      return when != other.when ? when > other.when : order > other.order;
    }
  };

  void Choose();
  void At(absl::Duration after, std::function<void()> run) {
    events_.push({now_ + after, ++order_, std::move(run)});
  }
  void RunUntil(MonotonicTime end);

  // ---- Servers ----
  void Start(size_t i);
  void Crash(size_t i);
  void NewDirectory(size_t i);
  void Misfortune();
  // After each call of a core.
  void Drain(size_t i);
  void MaybeCrash(size_t i) {
    if (!healed_ && choice_.Below(1000) < crash_permille_ && servers_[i].core != nullptr) Crash(i);
  }

  // ---- Network ----
  void Ask(size_t from, const FoundingQuestion& question);
  void Answer(size_t to, int64_t process, NodeId peer, uint64_t round, const FoundingState& state);
  bool Lost(size_t a, size_t b) {
    return !healed_ && (cut_.count({a, b}) != 0 || choice_.Below(100) < loss_percent_);
  }
  absl::Duration Delay() {
    // Most messages are quick, so that those which are not come out of order.
    const int64_t ms = healed_ ? 5 : OneIn(choice_, 4) ? delay_ms_max_ : delay_ms_max_ / 8 + 1;
    return Between(choice_, absl::Microseconds(100), absl::Milliseconds(ms));
  }
  std::optional<size_t> At(const std::string& address) const {
    for (size_t i = 0; i < servers_.size(); ++i) {
      if (AddressOf(servers_[i].node) == address) return i;
    }
    return std::nullopt;
  }
  static std::string AddressOf(NodeId node) { return absl::StrCat("h", node.value(), ":1"); }

  void Trace(absl::string_view what, size_t i) {
    const std::string line =
        absl::StrCat(now_.nanos() / 1000, "us node ", servers_[i].node.value(), " ", what);
    if (print_) std::printf("%s\n", line.c_str());
    for (const char c : line) result_.trace_hash = (result_.trace_hash ^ c) * 0x100000001b3ULL;
  }
  void CheckEnd();

  const bool print_;
  sim::SimRandom choice_;
  sim::SimRandom chance_;
  FoundingSimResult result_;
  Oracle oracle_;
  MonotonicTime now_;
  uint64_t order_ = 0;
  std::priority_queue<Event> events_;
  std::vector<Server> servers_;
  std::set<std::pair<size_t, size_t>> cut_;
  bool healed_ = false;
  bool wrong_list_ = false;
  // Index of the server whose directories are put away and back; past the end: none.
  size_t exchanged_ = SIZE_MAX;
  uint64_t crash_permille_ = 0;
  uint64_t loss_percent_ = 0;
  uint64_t wipe_percent_ = 0;
  int64_t delay_ms_max_ = 1;
  int64_t write_ms_max_ = 1;
  // The directories of one server are exchanged all the time, and it is quick to come back.
  bool restless_ = false;
  absl::Duration misfortune_every_;
};

void World::Choose() {
  constexpr size_t kSizes[] = {3, 3, 3, 5, 5, 2, 1};
  const size_t voters = kSizes[choice_.Below(7)];
  const bool newcomer = OneIn(choice_, 6);
  if (newcomer) oracle_.Exempt(NodeId(static_cast<int32_t>(voters + 1)));
  for (size_t i = 0; i < voters + (newcomer ? 1 : 0); ++i) {
    servers_.emplace_back();
    servers_[i].node = NodeId(static_cast<int32_t>(i + 1));
  }
  for (Server& server : servers_) {
    for (const Server& other : servers_) {
      // Only a newcomer knows of itself.
      if (static_cast<size_t>(other.node.value()) > voters && other.node != server.node) continue;
      server.configured.push_back({.node = other.node, .address = AddressOf(other.node)});
    }
  }
  wrong_list_ = voters >= 3 && OneIn(choice_, 25);
  if (wrong_list_) servers_[0].configured.erase(servers_[0].configured.begin() + 2);
  if (voters >= 3 && OneIn(choice_, 5)) {
    exchanged_ = choice_.Below(voters);
    oracle_.Exempt(servers_[exchanged_].node);
    restless_ = !OneIn(choice_, 4);
  }
  crash_permille_ = OneIn(choice_, 3) ? 0 : choice_.Below(60);
  loss_percent_ = OneIn(choice_, 3) ? 0 : choice_.Below(40);
  wipe_percent_ = OneIn(choice_, 3) ? 0 : choice_.Below(70);
  delay_ms_max_ = Between(choice_, 1, OneIn(choice_, 2) ? 30 : 800);
  write_ms_max_ = Between(choice_, 1, OneIn(choice_, 2) ? 10 : 500);
  misfortune_every_ = Between(choice_, absl::Milliseconds(50), absl::Seconds(2));
  if (!restless_) return;
  // Quick exchanges and slow news of them, but nothing else.
  misfortune_every_ = Between(choice_, absl::Milliseconds(30), absl::Milliseconds(250));
  delay_ms_max_ = Between(choice_, 50, 1500);
  write_ms_max_ = Between(choice_, 1, 60);
  crash_permille_ = 0;
  wipe_percent_ = 0;
}

FoundingSimResult World::Run() {
  for (size_t i = 0; i < servers_.size(); ++i) {
    NewDirectory(i);
    const int64_t late = OneIn(choice_, 3) ? 4000 : 300;
    At(Between(choice_, absl::ZeroDuration(), absl::Milliseconds(late)), [this, i] { Start(i); });
  }
  At(misfortune_every_, [this] { Misfortune(); });
  RunUntil(now_ + Between(choice_, absl::Seconds(1), absl::Seconds(8)));
  healed_ = true;
  cut_.clear();
  for (size_t i = 0; i < servers_.size(); ++i) {
    if (servers_[i].core == nullptr) Start(i);
  }
  RunUntil(now_ + absl::Seconds(6));
  if (oracle_.violation().empty()) CheckEnd();
  result_.violation = oracle_.violation();
  return result_;
}

void World::RunUntil(MonotonicTime end) {
  while (!events_.empty() && events_.top().when <= end && oracle_.violation().empty()) {
    const Event event = events_.top();
    events_.pop();
    now_ = event.when;
    ++result_.events;
    event.run();
  }
  now_ = end;
}

void World::NewDirectory(size_t i) {
  Server& server = servers_[i];
  server.directory = std::make_unique<Directory>();
  server.directory->id = {server.node, DirectoryId::Draw(choice_)};
}

void World::Start(size_t i) {
  Server& server = servers_[i];
  if (server.core != nullptr) return;
  ++server.process;
  Trace(absl::StrCat("starts in phase ", static_cast<int>(server.directory->record.phase)), i);
  server.core =
      std::make_unique<Founding>(server.directory->id, server.configured, server.directory->record,
                                 FoundingOptions(), &chance_, now_);
  Drain(i);
}

void World::Crash(size_t i) {
  Server& server = servers_[i];
  if (server.core == nullptr) return;
  Trace("crashes", i);
  // The file is replaced atomically: what was being written is there or it is not.
  if (server.writing.has_value() && OneIn(choice_, 2)) {
    ++result_.reached["crash after a write, before it was known"];
    oracle_.Durable(*server.directory, *server.writing);
    server.directory->record = *server.writing;
  } else if (server.writing.has_value()) {
    ++result_.reached["crash before a write"];
  }
  server.writing.reset();
  server.core.reset();
  server.timer = MonotonicTime::Never();
  const bool restless = restless_ && exchanged_ == i;
  if (exchanged_ == i && (restless ? !OneIn(choice_, 5) : OneIn(choice_, 2))) {
    ++result_.reached["directory put away and back"];
    std::swap(server.directory, server.put_away);
    if (server.directory == nullptr) NewDirectory(i);
  } else if (choice_.Below(100) < wipe_percent_) {
    ++result_.reached[absl::StrCat("wiped in phase ",
                                   static_cast<int>(server.directory->record.phase))];
    oracle_.Gone(server.directory->id);
    NewDirectory(i);
  }
  At(Between(choice_, absl::Milliseconds(1), absl::Milliseconds(restless ? 50 : 500)),
     [this, i] { Start(i); });
}

void World::Misfortune() {
  if (healed_) return;
  At(Between(choice_, misfortune_every_ / 2, misfortune_every_ * 2), [this] { Misfortune(); });
  if (restless_ && OneIn(choice_, 2)) return Crash(exchanged_);
  const size_t i = choice_.Below(servers_.size());
  const size_t j = choice_.Below(servers_.size());
  switch (choice_.Below(3)) {
    case 0:
      return Crash(i);
    case 1:
      cut_.insert({i, j});
      return;
    default:
      cut_.clear();
  }
}

void World::Drain(size_t i) {
  Server& server = servers_[i];
  const int64_t process = server.process;
  while (true) {
    FoundingReady ready = server.core->TakeReady();
    if (ready.empty()) break;
    if (ready.persist.has_value()) {
      server.writing = std::move(ready.persist);
      const auto took =
          Between(choice_, absl::Microseconds(50), absl::Milliseconds(healed_ ? 5 : write_ms_max_));
      At(took, [this, i, process] {
        Server& writer = servers_[i];
        if (writer.core == nullptr || writer.process != process) return;
        oracle_.Durable(*writer.directory, *writer.writing);
        writer.directory->record = *std::exchange(writer.writing, std::nullopt);
        const FoundingRecord& record = writer.directory->record;
        Trace(absl::StrCat("is durably in phase ", static_cast<int>(record.phase), " of ",
                           FoundingClusterId(record.voters).ToString()),
              i);
        if (!record.replaced.empty()) ++result_.reached["promise replaced"];
        writer.core->Persisted(now_);
        Drain(i);
      });
    }
    for (const FoundingQuestion& question : ready.ask) Ask(i, question);
  }
  const MonotonicTime deadline = server.core->next_deadline();
  if (deadline < server.timer) {
    server.timer = deadline;
    At(std::max(deadline - now_, absl::ZeroDuration()), [this, i, process, deadline] {
      Server& woken = servers_[i];
      if (woken.core == nullptr || woken.process != process) return;
      if (woken.timer == deadline) woken.timer = MonotonicTime::Never();
      woken.core->Tick(now_);
      Drain(i);
    });
  }
  MaybeCrash(i);
}

void World::Ask(size_t from, const FoundingQuestion& question) {
  const int64_t process = servers_[from].process;
  const FoundingState state = servers_[from].core->state();
  const std::optional<size_t> to = At(question.address);
  const int copies = !healed_ && OneIn(choice_, 10) ? 2 : 1;
  for (int copy = 0; copy < copies && to.has_value(); ++copy) {
    if (Lost(from, *to)) continue;
    At(Delay(), [this, from, process, to = *to, question, state] {
      Server& asked = servers_[to];
      if (asked.core == nullptr) {
        Server& asker = servers_[from];
        if (asker.core == nullptr || asker.process != process || !OneIn(choice_, 2)) return;
        asker.core->OnNoAnswer(question.peer, question.round, now_);
        return Drain(from);
      }
      asked.core->OnQuestion(state, now_);
      const FoundingState answer = asked.core->state();
      Drain(to);
      if (!Lost(to, from)) {
        At(Delay(), [this, from, process, question, answer] {
          Answer(from, process, question.peer, question.round, answer);
        });
      }
    });
  }
}

void World::Answer(size_t to, int64_t process, NodeId peer, uint64_t round,
                   const FoundingState& state) {
  Server& asker = servers_[to];
  if (asker.core == nullptr || asker.process != process) return;
  asker.core->OnAnswer(peer, round, state, now_);
  Drain(to);
}

void World::CheckEnd() {
  std::set<ClusterId> clusters;
  for (size_t i = 0; i < servers_.size(); ++i) {
    const Server& server = servers_[i];
    const std::optional<FoundingResult> result = server.core->result();
    if (result.has_value()) {
      if (!oracle_.IsExempt(server.node)) clusters.insert(result->cluster_id);
      ++result_.reached[result->joined() ? "joined" : "founded"];
      if (!result->joined() && result->voters.size() < server.configured.size()) {
        ++result_.reached["founded by fewer than configured"];
      }
      if (server.directory->record.voters != result->voters) {
        oracle_.Fail("the result is not what is durable", server.directory->id);
      }
      continue;
    }
    // Only what an operator did may keep a node out, and then it must say so.
    if (!wrong_list_ && exchanged_ == SIZE_MAX) {
      return oracle_.Fail("neither founded nor joined", server.directory->id);
    }
    ++result_.reached[wrong_list_ ? "waits: wrong list" : "waits: directory exchanged"];
  }
  if (clusters.size() > 1) oracle_.Fail("two clusters at the end", servers_[0].directory->id);
  if (clusters.empty() && !wrong_list_) return;
  if (!clusters.empty()) return;
  // With lists that differ nobody founds; somebody must say who has what.
  const bool said = std::any_of(servers_.begin(), servers_.end(), [](const Server& server) {
    return !FoundingProblems(server.core->view()).empty();
  });
  if (!said) oracle_.Fail("waits without a word", servers_[0].directory->id);
}

}  // namespace

FoundingSimResult RunFoundingSeed(uint64_t seed, bool print_trace) {
  return World(seed, print_trace).Run();
}

}  // namespace millrace::raft::testing

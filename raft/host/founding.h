// Founding: how the first voters of a quorum agree that they are one, with no step by an operator:
// the core, without I/O, clock or threads.
//
// Each node asks each other configured one for its state until it belongs to a cluster. Once all
// are there and belong to none it promises, durably, to found a cluster of exactly these voters;
// once all promised the very same, the cluster is founded, for ever. A node that finds a cluster
// founded without its directory joins it, as an empty newcomer. Only answers to own questions
// count, never what is pushed at a node; and only those asked for after the own promise was
// durable: so two clusters cannot come of it (docs/decisions/0008-founding-by-promises.md has the
// argument).
//
// Not here: the exchange itself and the disk (node/quorum_founding.h), and the founding entry of
// the log, which the first elected leader proposes.
//
// Thread: one owner.
// Source: S-18; two-phase commit, with every participant a coordinator.
#ifndef RAFT_HOST_FOUNDING_H_
#define RAFT_HOST_FOUNDING_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/ids.h"
#include "base/monotonic_time.h"
#include "base/random.h"
#include "raft/host/founding_record.h"
#include "raft/host/founding_state.h"
#include "raft/host/founding_view.h"
#include "raft/host/transport.h"
#include "raft/types.h"

namespace millrace::raft {

struct FoundingOptions {
  // How long after an answer, or its absence, a peer is asked again: drawn between the two.
  absl::Duration ask_interval_min = absl::Milliseconds(100);
  absl::Duration ask_interval_max = absl::Milliseconds(200);
  // A question without an answer for so long is given up.
  absl::Duration answer_timeout = absl::Seconds(1);
  // Unless zero: this node has records of that cluster, and promises to found none. It follows
  // peers that belong to that one.
  ClusterId join_only;
};

// A question to a peer: send it state(), and report what it says with OnAnswer or OnNoAnswer.
struct FoundingQuestion {
  NodeId peer = kNoNode;
  std::string address;
  // Answers to any but the newest question to a peer are not used.
  uint64_t round = 0;
};

struct FoundingReady {
  // To be made durable; then call Persisted. No other follows before.
  std::optional<FoundingRecord> persist;
  std::vector<FoundingQuestion> ask;

  bool empty() const { return !persist.has_value() && ask.empty(); }
};

struct FoundingResult {
  ClusterId cluster_id;
  // The founding set, with this node in it. Empty for a newcomer, which waits to be added, and for
  // a directory that belonged to its cluster before there was a founding to remember: whoever has a
  // log finds the voters in it.
  std::vector<Voter> voters;
  int64_t generation = 0;

  bool joined() const { return voters.empty(); }
};

class Founding {
 public:
  // `record`: what this directory remembers; the caller has seen to it that an empty one has no log
  // directory that belongs to a cluster, or is told of that as join_only. `configured`: all first
  // voters, `self` included. REQUIRES: ids and addresses differ.
  Founding(const VoterId& self, std::vector<Peer> configured, FoundingRecord record,
           const FoundingOptions& options, Random* random, MonotonicTime now);

  // ---- What happens ----

  void OnAnswer(NodeId peer, uint64_t round, const FoundingState& theirs, MonotonicTime now);
  // Unreachable, refused or timed out.
  void OnNoAnswer(NodeId peer, uint64_t round, MonotonicTime now);
  // Somebody asks, and said `theirs` of itself. To be answered with state(), also after the end.
  void OnQuestion(const FoundingState& theirs, MonotonicTime now);
  // What the last Ready had to persist is durable.
  void Persisted(MonotonicTime now);
  // At or after next_deadline(); too early does nothing.
  void Tick(MonotonicTime now);

  // ---- What comes out ----

  // Call until empty, after each of the calls above.
  FoundingReady TakeReady();
  // Never() once there is a result.
  MonotonicTime next_deadline() const;
  // What this node may say of itself: only what is durable.
  FoundingState state() const;
  // Present once this node belongs to a cluster, durably.
  std::optional<FoundingResult> result() const;
  const FoundingView& view() const { return view_; }

 private:
  // When a peer of view_ (same position) is asked.
  struct Schedule {
    // Zero: no question is under way.
    uint64_t round = 0;
    MonotonicTime next;
    // What it last said unasked, if that was news.
    std::optional<FoundingState> hint;
  };

  size_t IndexOf(NodeId peer) const;
  void ScheduleAfterAnswer(size_t i, MonotonicTime now);
  void AskAllAnew(MonotonicTime now);
  // Decides what to persist next, if anything.
  void Decide();
  std::optional<FoundingRecord> Next() const;
  std::optional<FoundingRecord> FollowNewest(std::vector<const FoundingState*> founded) const;
  std::optional<FoundingRecord> FollowFounded(
      const std::vector<const FoundingState*>& founded) const;
  // All configured nodes with the directories they have; absent until all were heard.
  std::optional<std::vector<Voter>> AllVoters() const;
  bool AllPromised(const std::vector<Voter>& voters) const;
  FoundingRecord Promise(std::vector<Voter> voters) const;
  bool belongs() const { return view_.record.phase == FoundingPhase::kFounded; }

  const FoundingOptions options_;
  Random* const random_;
  FoundingView view_;
  std::vector<Schedule> schedule_;
  uint64_t last_round_ = 0;
  // Decided, and not durable yet; handed out or not.
  std::optional<FoundingRecord> next_record_;
  bool persisting_ = false;
  std::vector<FoundingQuestion> questions_;
};

}  // namespace millrace::raft

#endif  // RAFT_HOST_FOUNDING_H_

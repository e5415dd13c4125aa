// Invariants: Raft's five properties as a checker that watches all nodes of a cluster.
//
// It is told of every Ready and looks at the node after every event; what it remembers is what no
// single node can: who led in which term, which entry stood where, what was committed. The first
// property that does not hold is kept as a sentence. For simulations and tests; nothing here is
// used by a running server.
//
// Thread: one.
// Source: Raft paper figure 3 (election safety, leader append-only, log matching, leader
// completeness, state machine safety), 5.2 (one vote per term).
#ifndef RAFT_INVARIANTS_H_
#define RAFT_INVARIANTS_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "base/ids.h"
#include "raft/messages.h"
#include "raft/node.h"
#include "raft/ready.h"
#include "raft/types.h"

namespace millrace::raft {

class Invariants {
 public:
  // A node was made from what its disk held: what it told before counts no more than that.
  void OnStart(const Node& node);
  // `node` has just handed out `ready`.
  void OnReady(const Node& node, const Ready& ready);
  // After every event at `node`.
  void OnEvent(const Node& node);
  // `message` leaves its sender.
  void OnSend(const Message& message);
  // The state machine of some node, after applying everything through `index`.
  void OnApplied(LogIndex index, uint64_t state_hash);

  // Adds a violation found by somebody else.
  void Report(const std::string& what) {
    if (violation_.empty()) violation_ = what;
  }

  // Empty as long as all holds; otherwise the first that did not.
  const std::string& violation() const { return violation_; }
  // The last entry that any node knows to be committed.
  LogIndex committed() const {
    return committed_.empty() ? LogIndex() : committed_.rbegin()->first;
  }
  const std::map<Term, VoterId>& leaders() const { return leaders_; }

 private:
  // What is remembered of one node since it was started.
  struct Watched {
    Term term;
    LogIndex commit;
    LogIndex applied;
    // While it leads: in which term, and the end of its log at the last look.
    Term leads_in;
    EntryId last;
  };
  struct Committed {
    EntryId id;
    // Of the first node that knew it: a leader of a later term must have the entry.
    Term in_term;
  };
  struct Content {
    EntryId previous;
    EntryType type = EntryType::kPayload;
    uint64_t hash = 0;
    friend bool operator==(const Content&, const Content&) = default;
  };

  void CheckLeader(const Node& node);
  void CheckEntries(const Node& node, const Ready& ready);
  void CheckCommitted(const Node& node, Watched* watched);
  void CheckVote(const VoterId& voter, Term term, const VoterId& candidate);

  std::map<VoterId, Watched> watched_;
  std::map<Term, VoterId> leaders_;
  std::map<std::pair<VoterId, Term>, VoterId> votes_;
  std::map<EntryId, Content> entries_;
  std::map<LogIndex, Committed> committed_;
  std::map<LogIndex, uint64_t> states_;
  std::string violation_;
};

}  // namespace millrace::raft

#endif  // RAFT_INVARIANTS_H_

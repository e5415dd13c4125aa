// Scripted scenarios, as text: a line that begins with "$" is done, the lines after it are what
// must be seen. Read them as examples of the protocol. A mismatch prints the whole trace as it is
// now.
//
//   $ nodes A B [learners C]     new cluster; every node's log is empty
//   $ node N term T log t1 t2    node N restarts with this term and a log of these terms
//   $ timeout N                  N's deadline passes
//   $ deliver                    what is on its way arrives, once; answers are on their way then
//   $ settle                     deliver until nothing is on its way; only role changes are shown
//   $ cut A B / heal             nothing passes between A and B / everything does
//   $ propose N x / read N / transfer N M / add N M / promote N M / remove N M / snapshot N
//   $ show                       role, term, commit index and log of each node
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "raft/testing/test_node.h"

namespace millrace::raft {
namespace {

using testing::Start;
using testing::TestNode;
using testing::V;
using Kind = VoterChange::Kind;

class Trace {
 public:
  // Runs the commands of `script` and returns it with what was seen after each.
  static std::string Run(const std::string& script) {
    Trace trace;
    for (absl::string_view line : absl::StrSplit(script, '\n')) {
      if (line.substr(0, 2) != "$ ") continue;
      absl::StrAppend(&trace.out_, line, "\n");
      const std::vector<std::string> words = absl::StrSplit(line.substr(2), ' ', absl::SkipEmpty());
      trace.Do(words);
    }
    return trace.out_;
  }

 private:
  static int Number(const std::string& word) { return std::stoi(word); }

  void Do(const std::vector<std::string>& words) {
    const std::string& what = words[0];
    const auto number = [&words](size_t i) { return Number(words.at(i)); };
    if (what == "nodes") return Found(words);
    if (what == "node") return Replace(words);
    if (what == "deliver") return Deliver(/*show=*/true);
    if (what == "settle") {
      while (!wire_.empty()) Deliver(/*show=*/false);
      return;
    }
    if (what == "heal") return cut_.clear();
    if (what == "show") return Show();
    if (what == "cut") {
      cut_.insert({number(1), number(2)});
      cut_.insert({number(2), number(1)});
      return;
    }
    TestNode& node = *nodes_.at(number(1));
    absl::Status status;
    if (what == "timeout") {
      // The others' clocks go on as far, without their deadlines.
      const MonotonicTime before = node.now();
      node.TickAtDeadline();
      for (auto& [n, other] : nodes_) {
        if (n != number(1)) other->Advance(node.now() - before);
      }
    } else if (what == "propose") {
      status = node.Propose(words.at(2)).status();
    } else if (what == "read") {
      status = node.Read().status();
    } else if (what == "transfer") {
      status = node->TransferLeadership(V(number(2)), node.now());
      node.Tick();
    } else if (what == "snapshot") {
      const LogIndex last = node->applied();
      node->SnapshotTaken(SnapshotId{EntryId{*node->log().TermAt(last), last}, 10, 1}, node.now());
    } else {
      const std::map<std::string, Kind> kinds = {
          {"add", Kind::kAddLearner}, {"promote", Kind::kPromote}, {"remove", Kind::kRemove}};
      status = node.Change({kinds.at(what), V(number(2))}).status();
    }
    if (!status.ok()) absl::StrAppend(&out_, "refused: ", std::string(status.message()), "\n");
    Collect();
  }

  void Found(const std::vector<std::string>& words) {
    bool learner = false;
    std::vector<int> all;
    for (size_t i = 1; i < words.size(); ++i) {
      if (words[i] == "learners") {
        learner = true;
        continue;
      }
      all.push_back(Number(words[i]));
      founders_.voters.push_back(Voter{V(all.back()), "", learner});
    }
    for (int n : all) nodes_[n] = std::make_unique<TestNode>(n, Start(founders_));
    Collect();
  }

  void Replace(const std::vector<std::string>& words) {
    const int n = Number(words.at(1));
    std::vector<Entry> entries;
    for (size_t i = 5; i < words.size(); ++i) {
      entries.push_back(testing::E(Number(words[i]), static_cast<int64_t>(entries.size()) + 1));
    }
    nodes_[n] = std::make_unique<TestNode>(n, Start(founders_, Number(words.at(3)), entries),
                                           Options(), static_cast<uint64_t>(n));
    roles_.erase(n);
    seen_reads_.erase(n);
    Collect();
  }

  void Deliver(bool show) {
    std::deque<Message> wire = std::exchange(wire_, {});
    for (const Message& message : wire) {
      const int to = message.to.node.value();
      if (cut_.contains({message.from.node.value(), to}) || !nodes_.contains(to)) continue;
      if (show) absl::StrAppend(&out_, Describe(message), "\n");
      Message with_data = message;
      if (auto* chunk = std::get_if<SnapshotChunk>(&with_data.body)) {
        chunk->data = Bytes::FromString(std::string(chunk->size, 's'));
      }
      TestNode& node = *nodes_.at(to);
      node.Receive(message.from.node.value(), message.term.value(), with_data.body);
      // The host found the file as it should be.
      if (auto* chunk = std::get_if<SnapshotChunk>(&with_data.body)) {
        node->SnapshotReceived(chunk->id, true, node.now());
        node.Tick();
      }
      Collect();
    }
  }

  // New messages go on their way; changes of roles and answered reads are shown.
  void Collect() {
    for (auto& [n, node] : nodes_) {
      for (Message& message : node->Sent()) wire_.push_back(std::move(message));
      const RoleState role{(*node)->role(), (*node)->term(), std::nullopt};
      auto known = roles_.find(n);
      if (known != roles_.end() && known->second != role) {
        absl::StrAppend(&out_, "  ", n, " is ", RoleName(role.role), " t", role.term.value(), "\n");
      }
      roles_[n] = role;
      for (size_t& seen = seen_reads_[n]; seen < node->reads.size(); ++seen) {
        const ReadResult& read = node->reads[seen];
        absl::StrAppend(&out_, "  ", n, " reads ",
                        read.confirmed ? absl::StrCat("at ", read.index.value()) : "no more", "\n");
      }
    }
  }

  static std::string RoleName(Role role) {
    std::ostringstream out;
    out << role;
    return out.str();
  }

  void Show() {
    for (auto& [n, node] : nodes_) {
      const Log& log = (*node)->log();
      absl::StrAppend(&out_, n, " ", RoleName((*node)->role()), " t", (*node)->term().value(),
                      " commit=", (*node)->commit().value());
      if (log.start().index > LogIndex())
        absl::StrAppend(&out_, " after=", log.start().index.value());
      absl::StrAppend(&out_, " log=", absl::StrJoin(node->LogTerms(), ","), "\n");
    }
  }

  VoterSet founders_;
  std::map<int, std::unique_ptr<TestNode>> nodes_;
  std::deque<Message> wire_;
  std::set<std::pair<int, int>> cut_;
  std::map<int, RoleState> roles_;
  std::map<int, size_t> seen_reads_;
  std::string out_;
};

void ExpectTrace(const std::string& expected) {
  const std::string script = expected.substr(expected.find('$'));
  const std::string seen = Trace::Run(script);
  EXPECT_EQ(seen, script) << "the trace is now:\n" << seen;
}

TEST(Trace, ElectionWithPreVote) {
  ExpectTrace(R"(
$ nodes 1 2 3
$ timeout 1
  1 is pre-candidate t0
$ deliver
1>2 t0 pre-vote? for=t1 last=0:0
1>3 t0 pre-vote? for=t1 last=0:0
$ deliver
2>1 t0 pre-vote yes for=t1
  1 is candidate t1
3>1 t0 pre-vote yes for=t1
$ deliver
1>2 t1 vote? for=t1 last=0:0
  2 is follower t1
1>3 t1 vote? for=t1 last=0:0
  3 is follower t1
$ deliver
2>1 t1 vote yes for=t1
  1 is leader t1
3>1 t1 vote yes for=t1
$ deliver
1>2 t1 append prev=0:0 entries=[1:1/no-op] commit=0
1>3 t1 append prev=0:0 entries=[1:1/no-op] commit=0
$ deliver
2>1 t1 accepted match=1
3>1 t1 accepted match=1
$ deliver
1>2 t1 heartbeat prev=1:1 commit=1
1>3 t1 heartbeat prev=0:0 commit=1
1>3 t1 heartbeat prev=1:1 commit=1
$ deliver
2>1 t1 accepted match=1
3>1 t1 accepted match=0
3>1 t1 accepted match=1
$ show
1 leader t1 commit=1 log=1
2 follower t1 commit=1 log=1
3 follower t1 commit=1 log=1
)");
}

TEST(Trace, ASplitVoteIsSettledByTheNextTimeout) {
  ExpectTrace(R"(
$ nodes 1 2 3
$ cut 3 1
$ cut 3 2
$ timeout 1
  1 is pre-candidate t0
$ timeout 2
  2 is pre-candidate t0
$ deliver
1>2 t0 pre-vote? for=t1 last=0:0
2>1 t0 pre-vote? for=t1 last=0:0
$ deliver
2>1 t0 pre-vote yes for=t1
  1 is candidate t1
1>2 t0 pre-vote yes for=t1
  2 is candidate t1
$ deliver
1>2 t1 vote? for=t1 last=0:0
2>1 t1 vote? for=t1 last=0:0
$ deliver
2>1 t1 vote no for=t1
1>2 t1 vote no for=t1
$ heal
$ timeout 2
  2 is pre-candidate t1
$ settle
  3 is follower t1
  2 is candidate t2
  1 is follower t2
  3 is follower t2
  2 is leader t2
$ show
1 follower t2 commit=1 log=2
2 leader t2 commit=1 log=2
3 follower t2 commit=1 log=2
)");
}

TEST(Trace, AProposalAndARead) {
  ExpectTrace(R"(
$ nodes 1 2 3
$ timeout 1
  1 is pre-candidate t0
$ settle
  1 is candidate t1
  2 is follower t1
  3 is follower t1
  1 is leader t1
$ propose 1 a
$ deliver
1>2 t1 append prev=1:1 entries=[1:2] commit=1
1>3 t1 append prev=1:1 entries=[1:2] commit=1
$ deliver
2>1 t1 accepted match=2
3>1 t1 accepted match=2
$ deliver
1>2 t1 heartbeat prev=1:2 commit=2
1>3 t1 heartbeat prev=1:2 commit=2
$ settle
$ show
1 leader t1 commit=2 log=1,1
2 follower t1 commit=2 log=1,1
3 follower t1 commit=2 log=1,1
$ read 1
$ settle
  1 reads at 2
)");
}

TEST(Trace, Figure7AFollowersLogBecomesTheLeaders) {
  ExpectTrace(R"(
$ nodes 1 2 3
$ node 1 term 7 log 1 1 1 4 4 5 5 6 6 6
$ node 2 term 7 log 1 1 1 2 2 2 3 3 3 3 3
$ node 3 term 7 log 1 1 1 4
$ timeout 1
  1 is pre-candidate t7
$ deliver
1>2 t7 pre-vote? for=t8 last=6:10
1>3 t7 pre-vote? for=t8 last=6:10
$ deliver
2>1 t7 pre-vote yes for=t8
  1 is candidate t8
3>1 t7 pre-vote yes for=t8
$ deliver
1>2 t8 vote? for=t8 last=6:10
  2 is follower t8
1>3 t8 vote? for=t8 last=6:10
  3 is follower t8
$ deliver
2>1 t8 vote yes for=t8
  1 is leader t8
3>1 t8 vote yes for=t8
$ deliver
1>2 t8 append prev=6:10 entries=[8:11/no-op] commit=0
1>3 t8 append prev=6:10 entries=[8:11/no-op] commit=0
$ deliver
2>1 t8 refused prev=10 hint=3:10 last=11
3>1 t8 refused prev=10 hint=4:4 last=4
$ deliver
1>2 t8 append prev=1:3 entries=[4:4 4:5 5:6 5:7 6:8 6:9 6:10 8:11/no-op] commit=0
1>3 t8 append prev=4:4 entries=[4:5 5:6 5:7 6:8 6:9 6:10 8:11/no-op] commit=0
$ settle
$ show
1 leader t8 commit=11 log=1,1,1,4,4,5,5,6,6,6,8
2 follower t8 commit=11 log=1,1,1,4,4,5,5,6,6,6,8
3 follower t8 commit=11 log=1,1,1,4,4,5,5,6,6,6,8
)");
}

TEST(Trace, Figure8AnOldTermsEntryIsCommittedOnlyWithOneOfTheOwn) {
  ExpectTrace(R"(
$ nodes 1 2 3 4 5
$ node 1 term 3 log 1 2
$ node 2 term 2 log 1 2
$ node 3 term 3 log 1
$ node 4 term 3 log 1
$ node 5 term 3 log 1 3
$ cut 1 5
$ timeout 1
  1 is pre-candidate t3
$ settle
  2 is follower t3
  1 is candidate t4
  2 is follower t4
  3 is follower t4
  4 is follower t4
  1 is leader t4
$ show
1 leader t4 commit=3 log=1,2,4
2 follower t4 commit=3 log=1,2,4
3 follower t4 commit=3 log=1,2,4
4 follower t4 commit=3 log=1,2,4
5 follower t3 commit=0 log=1,3
$ heal
$ timeout 5
  5 is pre-candidate t3
$ settle
  5 is follower t4
$ show
1 leader t4 commit=3 log=1,2,4
2 follower t4 commit=3 log=1,2,4
3 follower t4 commit=3 log=1,2,4
4 follower t4 commit=3 log=1,2,4
5 follower t4 commit=0 log=1,3
)");
}

TEST(Trace, ANodeThatWasCutOffComesBackAndDisturbsNobody) {
  ExpectTrace(R"(
$ nodes 1 2 3
$ timeout 1
  1 is pre-candidate t0
$ settle
  1 is candidate t1
  2 is follower t1
  3 is follower t1
  1 is leader t1
$ cut 3 1
$ cut 3 2
$ timeout 3
  3 is pre-candidate t1
$ settle
$ timeout 3
$ settle
$ timeout 1
  1 is follower t1
$ settle
$ heal
$ timeout 3
$ deliver
3>1 t1 pre-vote? for=t2 last=1:1
3>2 t1 pre-vote? for=t2 last=1:1
$ deliver
1>3 t1 pre-vote yes for=t2
  3 is candidate t2
2>3 t1 pre-vote yes for=t2
$ timeout 1
  1 is pre-candidate t1
$ settle
  1 is follower t2
  2 is follower t2
  3 is leader t2
$ show
1 follower t2 commit=2 log=1,2
2 follower t2 commit=2 log=1,2
3 leader t2 commit=2 log=1,2
)");
}

TEST(Trace, AVoterIsAddedAsALearnerAndTheLeaderIsRemoved) {
  ExpectTrace(R"(
$ nodes 1 2 3
$ timeout 1
  1 is pre-candidate t0
$ settle
  1 is candidate t1
  2 is follower t1
  3 is follower t1
  1 is leader t1
$ node 4 term 0 log
$ add 1 4
$ add 1 5
refused: another change of voters is under way; retry when it is done
$ settle
  4 is follower t1
$ promote 1 4
$ settle
$ remove 1 1
$ deliver
1>2 t1 append prev=1:3 entries=[1:4/voters] commit=3
1>3 t1 append prev=1:3 entries=[1:4/voters] commit=3
1>4 t1 append prev=1:3 entries=[1:4/voters] commit=3
$ deliver
2>1 t1 accepted match=4
3>1 t1 accepted match=4
  1 is follower t1
4>1 t1 accepted match=4
$ settle
  2 is candidate t2
  3 is follower t2
  4 is follower t2
  2 is leader t2
$ show
1 follower t1 commit=4 log=1,1,1,1
2 leader t2 commit=5 log=1,1,1,1,2
3 follower t2 commit=5 log=1,1,1,1,2
4 follower t2 commit=5 log=1,1,1,1,2
)");
}

TEST(Trace, LeadershipIsTransferred) {
  ExpectTrace(R"(
$ nodes 1 2 3
$ timeout 1
  1 is pre-candidate t0
$ settle
  1 is candidate t1
  2 is follower t1
  3 is follower t1
  1 is leader t1
$ transfer 1 3
$ propose 1 a
refused: leadership is being handed over; retry
$ deliver
1>3 t1 timeout-now
  3 is candidate t2
$ deliver
3>1 t2 vote? for=t2 last=1:1 transfer
  1 is follower t2
3>2 t2 vote? for=t2 last=1:1 transfer
  2 is follower t2
$ deliver
1>3 t2 vote yes for=t2
  3 is leader t2
2>3 t2 vote yes for=t2
$ settle
$ show
1 follower t2 commit=2 log=1,2
2 follower t2 commit=2 log=1,2
3 leader t2 commit=2 log=1,2
)");
}

TEST(Trace, AFollowerFarBehindIsSentASnapshot) {
  ExpectTrace(R"(
$ nodes 1 2 3
$ cut 1 3
$ timeout 1
  1 is pre-candidate t0
$ settle
  1 is candidate t1
  2 is follower t1
  1 is leader t1
$ propose 1 a
$ settle
$ snapshot 1
$ propose 1 b
$ settle
$ snapshot 1
$ show
1 leader t1 commit=3 after=2 log=1
2 follower t1 commit=3 log=1,1,1
3 follower t0 commit=0 log=
$ heal
$ timeout 1
$ deliver
1>2 t1 heartbeat prev=1:3 commit=3
1>3 t1 snapshot? last=1:3 bytes=10
  3 is follower t1
$ timeout 1
$ deliver
2>1 t1 accepted match=3
3>1 t1 received of=1:3 bytes=0
1>2 t1 heartbeat prev=1:3 commit=3
1>3 t1 snapshot? last=1:3 bytes=10
$ deliver
1>3 t1 chunk of=1:3 bytes=0+10
2>1 t1 accepted match=3
3>1 t1 received of=1:3 bytes=0
$ deliver
3>1 t1 received of=1:3 bytes=10
3>1 t1 accepted match=3
$ deliver
1>3 t1 heartbeat prev=1:3 commit=3
$ settle
$ show
1 leader t1 commit=3 after=2 log=1
2 follower t1 commit=3 log=1,1,1
3 follower t1 commit=3 after=3 log=
)");
}

}  // namespace
}  // namespace millrace::raft

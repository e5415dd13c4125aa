#include "raft/messages.h"

#include "gtest/gtest.h"
#include "raft/testing/test_node.h"

namespace millrace::raft {
namespace {

using testing::E;
using testing::Id;
using testing::V;

TEST(Messages, AreDescribedInOneLineForTraces) {
  const auto describe = [](decltype(Message::body) body) {
    return Describe(Message{V(1), V(2), Term(3), std::move(body)});
  };
  EXPECT_EQ(describe(VoteRequest{true, Term(4), Id(3, 7), false}),
            "1>2 t3 pre-vote? for=t4 last=3:7");
  EXPECT_EQ(describe(VoteRequest{false, Term(3), Id(2, 7), true}),
            "1>2 t3 vote? for=t3 last=2:7 transfer");
  EXPECT_EQ(describe(VoteResponse{false, Term(3), true}), "1>2 t3 vote yes for=t3");
  EXPECT_EQ(describe(AppendRequest{Id(2, 7), {E(3, 8), E(3, 9)}, LogIndex(6), Round(1)}),
            "1>2 t3 append prev=2:7 entries=[3:8 3:9] commit=6");
  EXPECT_EQ(describe(AppendRequest{Id(2, 7), {}, LogIndex(6), Round(1)}),
            "1>2 t3 heartbeat prev=2:7 commit=6");
  EXPECT_EQ(describe(AppendResponse{.accepted = true, .match = LogIndex(9)}),
            "1>2 t3 accepted match=9");
  EXPECT_EQ(describe(AppendResponse{.refused = LogIndex(9), .hint = Id(2, 5), .last = LogIndex(6)}),
            "1>2 t3 refused prev=9 hint=2:5 last=6");
  EXPECT_EQ(describe(SnapshotOffer{SnapshotId{Id(2, 5), 100, 7}, {}, Round(1)}),
            "1>2 t3 snapshot? last=2:5 bytes=100");
  EXPECT_EQ(describe(SnapshotChunk{SnapshotId{Id(2, 5), 100, 7}, 10, 20, {}, Round(1)}),
            "1>2 t3 chunk of=2:5 bytes=10+20");
  EXPECT_EQ(describe(SnapshotResponse{SnapshotId{Id(2, 5), 100, 7}, 30, Round(1)}),
            "1>2 t3 received of=2:5 bytes=30");
  EXPECT_EQ(describe(TimeoutNow{}), "1>2 t3 timeout-now");
}

}  // namespace
}  // namespace millrace::raft

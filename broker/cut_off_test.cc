// Whole brokers whose contact with the controllers ends (S-33): a leader that was replaced stops to
// serve what is not true any more, and one that was not goes on, since its followers confirm it.
#include <optional>

#include "broker/testing/cluster_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::broker {
namespace {

constexpr absl::Duration kSession = absl::Seconds(3);

class CutOffTest : public ::testing::Test {
 protected:
  CutOffTest() {
    f_.CreateTopic(1, {{"min.insync.replicas", "2"}});
    EXPECT_TRUE(f_.ProduceUntilTaken(MakeBatch(2)).outcome.ok());
    // From here on all of them have to hear from the controllers.
    for (const auto& [id, member] : f_.members) Hear(id);
  }
  void Hear(int id) {
    ClusterFixture::Member& member = *f_.members.at(id);
    member.home->RunNow([&] { member.broker->OnContact(member.clock.Now()); });
    // It has to reach the shards.
    f_.Run();
  }
  // What broker 1 answers to acks of the leader alone; nothing, if it does not answer.
  std::optional<ErrorCode> Produce(api::Acks acks = api::Acks::kLeader) {
    std::optional<ErrorCode> code;
    api::ProduceRequest request;
    request.acks = acks;
    request.timeout = absl::Seconds(1);
    request.partitions.push_back({.name = {"t", {}, PartitionIndex(0)}});
    request.partitions[0].batches = MakeBatch(1);
    leader_.shards[0]->RunNow([&] {
      leader_.broker->Produce(std::move(request), {"PUBLIC", {}},
                              [&](const api::ProduceResponse& response) {
                                code = response.partitions.at(0).outcome.code;
                              });
    });
    EXPECT_TRUE(f_.RunUntil([&] { return code.has_value(); }));
    return code;
  }
  ErrorCode Latest() {
    std::optional<ErrorCode> code;
    api::ListOffsetsRequest request;
    request.partitions.push_back(
        {.name = {"t", {}, PartitionIndex(0)}, .position = api::OffsetPosition::kLatest});
    leader_.shards[0]->RunNow([&] {
      leader_.broker->ListOffsets(std::move(request), {"PUBLIC", {}},
                                  [&](const api::ListOffsetsResponse& response) {
                                    code = response.partitions.at(0).outcome.code;
                                  });
    });
    EXPECT_TRUE(f_.RunUntil([&] { return code.has_value(); }));
    return *code;
  }
  // Waits at the end of broker 1's log for longer than anything here takes.
  void WaitAtTheEnd(Offset end) {
    api::FetchRequest request;
    request.max_wait = absl::Minutes(5);
    request.partitions.push_back({.name = {"t", {}, PartitionIndex(0)}, .offset = end});
    leader_.shards[0]->RunNow([&] {
      leader_.broker->Fetch(std::move(request), {"PUBLIC", {}},
                            [&](const api::FetchResponse& response) {
                              fetched_ = response.partitions.at(0).outcome.code;
                            });
    });
  }

  ClusterFixture f_;
  ClusterFixture::Member& leader_ = *f_.members.at(1);
  std::optional<ErrorCode> fetched_;
};

TEST_F(CutOffTest, S33_AReplacedLeaderStopsWithinASessionTimeout) {
  WaitAtTheEnd(Offset(2));
  leader_.is_deaf = true;
  f_.Elect(2, {2, 3});
  EXPECT_EQ(Produce(), ErrorCode::kNone) << "it cannot know yet, and promised little";
  f_.Run(kSession);
  EXPECT_EQ(Produce(), ErrorCode::kNotLeaderOrFollower);
  EXPECT_EQ(Latest(), ErrorCode::kNotLeaderOrFollower);
  EXPECT_TRUE(f_.RunUntil([&] { return fetched_.has_value(); }, absl::Seconds(2)))
      << "a reader is not left waiting for what comes elsewhere";
  EXPECT_EQ(fetched_, ErrorCode::kNotLeaderOrFollower);
  EXPECT_EQ(Produce(api::Acks::kAll), ErrorCode::kRequestTimedOut) << "nobody confirms it";
}

TEST_F(CutOffTest, S33_WithAllControllersGoneNothingChanges) {
  f_.controller_is_away = true;
  WaitAtTheEnd(Offset(2));
  for (int i = 0; i < 20; ++i) {
    f_.Run(kSession / 2);
    ASSERT_EQ(Latest(), ErrorCode::kNone) << i;
  }
  EXPECT_EQ(fetched_, std::nullopt);
  EXPECT_EQ(Produce(), ErrorCode::kNone);
  EXPECT_EQ(Produce(api::Acks::kAll), ErrorCode::kNone);
  // One that is in sync is gone: it may have been elected elsewhere, for all that is known here.
  f_.Kill(3);
  f_.Run(kSession + absl::Milliseconds(1));
  EXPECT_EQ(Produce(), ErrorCode::kNotLeaderOrFollower);
  Hear(1);
  EXPECT_EQ(Produce(), ErrorCode::kNone);
}

TEST_F(CutOffTest, S33_NobodyIsAskedWhileTheControllersAreHeard) {
  f_.network.messages_down = 0;
  for (int i = 0; i < 20; ++i) {
    for (const auto& [id, member] : f_.members) Hear(id);
    f_.Run(kSession / 4);
  }
  EXPECT_EQ(f_.network.messages_down, 0);
  f_.Run(kSession);
  EXPECT_GT(f_.network.messages_down, 0);
}

}  // namespace
}  // namespace millrace::broker

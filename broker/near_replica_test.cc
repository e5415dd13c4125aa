#include "broker/near_replica.h"

#include <optional>

#include "broker/fetch_stream.h"
#include "broker/testing/cluster_fixture.h"

namespace millrace::broker {
namespace {

std::string Rack(int id) { return ClusterFixture::RackOf(id); }

TEST(NearReplica, IsTheActiveInSyncFollowerOfAnotherRackThanTheLeaders) {
  ClusterFixture f;
  f.CreateTopic();
  const auto near = [&](int leader, const std::string& rack) {
    return NearReplicaOf(*f.image, ClusterFixture::Id(), NodeId(leader), rack);
  };
  EXPECT_EQ(near(1, Rack(2)), NodeId(2));
  EXPECT_EQ(near(1, Rack(1)), std::nullopt) << "nothing is nearer";
  EXPECT_EQ(near(1, "elsewhere"), std::nullopt);
  EXPECT_EQ(near(1, ""), std::nullopt);
  EXPECT_EQ(near(3, Rack(2)), std::nullopt) << "it does not lead";
  // Or it would be in sync again soon.
  f.controller_is_away = true;
  f.Elect(1, {1, 3});
  EXPECT_EQ(near(1, Rack(2)), std::nullopt) << "not in sync (KAFKA-14372)";
  EXPECT_EQ(near(1, Rack(3)), NodeId(3));
}

// Reads partition 0 of "t" at a broker, and keeps what comes.
class Reader {
 public:
  Reader(ClusterFixture* f, int broker, const std::string& rack, int64_t offset = 0)
      : f_(f), member_(*f->members.at(broker)) {
    api::FetchStreamRequest request;
    request.assign.push_back({.name = {"t", {}, PartitionIndex(0)}, .offset = Offset(offset)});
    request.credit_bytes = 1 << 20;
    request.rack = rack;
    member_.shards[0]->RunNow([&] {
      stream_ = member_.broker->OpenFetchStream(
          {"PUBLIC", {}}, [this](const api::FetchStreamResponse& response) {
            const api::FetchPartitionResult& result = response.partitions.at(0);
            code = result.outcome.code;
            hint = result.outcome.leader;
            named = result.preferred_read_replica;
            for (const Bytes& piece : result.batches) read += piece.ToString();
          });
      EXPECT_OK(stream_->Handle(std::move(request)));
    });
    f_->Run();
  }
  ~Reader() {
    member_.shards[0]->RunNow([&] { stream_.reset(); });
  }

  std::optional<ErrorCode> code;
  std::optional<LeaderHint> hint;
  std::optional<NodeId> named;
  std::string read;

 private:
  ClusterFixture* const f_;
  ClusterFixture::Member& member_;
  std::unique_ptr<FetchStream> stream_;
};

TEST(NearReplica, IsNamedByTheLeaderBesideWhatItServes) {
  ClusterFixture f;
  f.CreateTopic();
  ASSERT_TRUE(f.Produce(MakeBatch(3)).outcome.ok());
  const Reader far(&f, 1, Rack(2));
  EXPECT_EQ(far.named, NodeId(2));
  EXPECT_FALSE(far.read.empty());
  EXPECT_EQ(Reader(&f, 1, Rack(1)).named, std::nullopt);
  EXPECT_EQ(Reader(&f, 1, "").named, std::nullopt);
}

TEST(NearReplica, ServesItsRackAndPushesWhatIsCommittedAsSoonAsItHears) {
  ClusterFixture f;
  f.CreateTopic();
  ASSERT_TRUE(f.Produce(MakeBatch(3)).outcome.ok());
  const Reader near(&f, 2, Rack(2));
  EXPECT_EQ(near.code, ErrorCode::kNone);
  EXPECT_EQ(near.named, std::nullopt);
  const size_t before = near.read.size();
  EXPECT_GT(before, 0u);
  std::optional<api::ProducePartitionResult> produced;
  f.SendProduce(MakeBatch(3), &produced);
  ASSERT_TRUE(f.RunUntil([&] { return produced.has_value(); }));
  // A few milliseconds: nobody polls. The high watermark follows alone, within one of them.
  ASSERT_TRUE(f.RunUntil([&] { return near.read.size() == 2 * before; }, absl::Milliseconds(10)));
  EXPECT_EQ(near.read, Reader(&f, 1, "").read);
}

TEST(NearReplica, LetsALongPollWaitForTheHighWatermarkToo) {
  ClusterFixture f;
  f.CreateTopic();
  api::FetchRequest request;
  request.partitions.push_back({.name = {"t", {}, PartitionIndex(0)}});
  request.max_wait = absl::Seconds(20);
  request.rack = Rack(3);
  std::optional<api::FetchResponse> response;
  ClusterFixture::Member& member = *f.members.at(3);
  member.shards[0]->RunNow([&] {
    member.broker->Fetch(request, {"PUBLIC", {}},
                         [&](api::FetchResponse answer) { response = std::move(answer); });
  });
  f.Run();
  EXPECT_FALSE(response.has_value());
  ASSERT_TRUE(f.Produce(MakeBatch(3)).outcome.ok());
  ASSERT_TRUE(f.RunUntil([&] { return response.has_value(); }, absl::Seconds(1)));
  EXPECT_TRUE(response->partitions[0].outcome.ok());
  EXPECT_GT(api::TotalBytes(response->partitions[0].batches), 0u);
}

TEST(NearReplica, RefusesReadersOfOtherRacksWithTheLeader) {
  ClusterFixture f;
  f.CreateTopic();
  for (const std::string& rack : {Rack(3), std::string()}) {
    const Reader reader(&f, 2, rack);
    EXPECT_EQ(reader.code, ErrorCode::kNotLeaderOrFollower);
    ASSERT_TRUE(reader.hint.has_value());
    EXPECT_EQ(reader.hint->leader, NodeId(1));
  }
}

TEST(NearReplica, LeavesItsReadersWhenItIsOutOfSyncOrItsLeaderIsGone) {
  ClusterFixture f;
  f.CreateTopic();
  ASSERT_TRUE(f.Produce(MakeBatch(3)).outcome.ok());
  const Reader lagging(&f, 2, Rack(2));
  const Reader orphaned(&f, 3, Rack(3));
  f.Elect(1, {1, 3});
  EXPECT_EQ(lagging.code, ErrorCode::kNotLeaderOrFollower);
  EXPECT_EQ(orphaned.code, ErrorCode::kNotLeaderOrFollower) << "until it is attached again";
  const Reader again(&f, 3, Rack(3));
  EXPECT_EQ(again.code, ErrorCode::kNone);
  f.Kill(1);
  f.Run();
  EXPECT_EQ(again.code, ErrorCode::kNotLeaderOrFollower);
}

}  // namespace
}  // namespace millrace::broker

#include "client/consumer_strand.h"

#include "base/sim/sim_clock.h"
#include "base/sim/sim_executor.h"
#include "base/status_matchers.h"
#include "base/thread_executor.h"

namespace millrace::client {
namespace {

ConsumerInbox::Item Word(int64_t offset) {
  return ConsumerOutput::Resolved{{"t", PartitionIndex(0)}, 1, Offset(offset)};
}

TEST(ConsumerInbox, KeepsTheOrderWhileBothSidesWork) {
  constexpr int64_t kWords = 20'000;
  ConsumerInbox inbox;
  ThreadExecutor strand("strand");
  strand.Post([&] {
    for (int64_t i = 0; i < kWords; ++i) inbox.Put(Word(i));
  });
  int64_t next = 0;
  while (next < kWords) {
    inbox.Wait(absl::Seconds(20));
    for (const ConsumerInbox::Item& item : inbox.TakeAll()) {
      ASSERT_EQ(std::get<ConsumerOutput::Resolved>(item).offset, Offset(next++));
    }
  }
  strand.Shutdown();
}

// Keeps what it is asked for.
class FakeChannel final : public LogChannel {
 public:
  void Watch(std::vector<std::string> topics) override { watched = std::move(topics); }
  void OpenProduce(NodeId, const std::string&) override {}
  void SendProduce(NodeId, const api::ProduceStreamRequest&) override {}
  void CloseProduce(NodeId) override {}
  void OpenFetch(NodeId, const std::string& address) override { opened.push_back(address); }
  void SendFetch(NodeId, const api::FetchStreamRequest& request) override {
    // As the real one: what is sent to nobody is dropped.
    if (!opened.empty()) sent.push_back(request);
  }
  void CloseFetch(NodeId) override {}
  void ListOffsets(const std::string&, const api::ListOffsetsRequest&, absl::Duration,
                   ListOffsetsCallback done) override {
    std::move(done)(MakeError(ErrorCode::kBrokerNotAvailable, "no"));
  }
  void OffsetForLeaderEpoch(const std::string&, const api::OffsetForLeaderEpochRequest&,
                            absl::Duration, EpochEndsCallback) override {}
  void InitProducerId(const std::string&, const std::string&, absl::Duration,
                      ProducerIdCallback) override {}

  std::vector<std::string> watched;
  std::vector<std::string> opened;
  std::vector<api::FetchStreamRequest> sent;
};

api::WatchTopicsResponse PushOf(const std::string& address) {
  api::WatchTopicsResponse push;
  push.topics.push_back({.topic = "t",
                         .topic_id = TopicId(Uuid(1, 1)),
                         .partitions = {{.partition = PartitionIndex(0),
                                         .leader_id = NodeId(1),
                                         .leader_epoch = LeaderEpoch(1)}}});
  if (!address.empty()) push.brokers.push_back({NodeId(1), address, ""});
  return push;
}

TEST(ConsumerStrand, WaitsForTheLeadersAddressAndThenOpensOneStream) {
  sim::SimLoop loop(1);
  sim::SimClock clock(loop.time());
  auto executor = loop.MakeExecutor("strand", &clock);
  TopicNews news;
  ConsumerInbox inbox;
  FakeChannel channel;
  ConsumerStrand strand({}, absl::Seconds(1), executor.get(), &clock, &news, &inbox);
  strand.SetChannel(&channel);
  executor->RunNow([&] {
    strand.Assign({{{"t", PartitionIndex(0)}, {.kind = Position::Kind::kOffset}}}, 1);
    strand.OnTopics(PushOf(""));
  });
  EXPECT_THAT(channel.watched, testing::ElementsAre("t"));
  EXPECT_THAT(channel.opened, testing::IsEmpty());
  executor->RunNow([&] { strand.OnTopics(PushOf("host:1")); });
  loop.RunFor(absl::Seconds(1));
  EXPECT_THAT(channel.opened, testing::ElementsAre("host:1"));
  ASSERT_EQ(channel.sent.size(), 1u);
  EXPECT_EQ(channel.sent[0].format, api::RecordFormat::kBatches);
  EXPECT_NE(news.board.Read()->Find("t"), nullptr);
}

}  // namespace
}  // namespace millrace::client

// What the streams of LogService do when a client takes nothing: what it is owed stays small.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "api/codec/fetch_codec.h"
#include "api/codec/wire_writer.h"
#include "api/watch_topics.h"
#include "broker/service/log_streams.h"
#include "broker/testing/broker_fixture.h"
#include "millrace/v1/log_service.pb.h"

namespace millrace::broker {
namespace {

using ::testing::SizeIs;

// A stream that has no room for what is written on it until the test says so.
class StalledStream : public rpc::ServerStream {
 public:
  void Write(rpc::BytesList message) override {
    std::string bytes;
    for (const Bytes& piece : message) absl::StrAppend(&bytes, Slice(piece));
    written.push_back(std::move(bytes));
  }
  bool writable() const override { return has_room; }
  void Finish(absl::Status status) override { finished = std::move(status); }
  void PauseReading() override { reading = false; }
  void ResumeReading() override { reading = true; }
  const rpc::CallContext& context() const override { return call_context; }

  rpc::CallContext call_context;
  std::vector<std::string> written;
  std::optional<absl::Status> finished;
  bool has_room = false;
  bool reading = true;
};

// Each request for what does not exist is answered with an error, at once.
TEST(StalledClientTest, AFetchStreamIsNotReadWhileItsClientTakesNothing) {
  BrokerFixture f;
  f.Start();
  const auto stream = std::make_shared<StalledStream>();
  std::unique_ptr<rpc::StreamHandler> handler;
  f.OnShard([&] {
    handler = ServeFetchStream(f.broker.get(), stream);
    api::FetchStreamRequest request;
    request.assign.push_back({.name = {"unknown", {}, PartitionIndex(0)}});
    handler->OnMessage(api::Join(api::EncodeFetchStreamRequest(request)));
  });
  EXPECT_FALSE(stream->reading);
  f.OnShard([&] {
    stream->has_room = true;
    handler->OnWritable();
  });
  EXPECT_TRUE(stream->reading);
  EXPECT_THAT(stream->written, SizeIs(1));
  EXPECT_FALSE(stream->finished.has_value());
  f.OnShard([&] { handler->OnDone(true); });
}

TEST(StalledClientTest, AWatchIsToldOnceHowThingsAreWhenItTakesSomethingAgain) {
  BrokerFixture f;
  f.Start();
  const auto stream = std::make_shared<StalledStream>();
  std::unique_ptr<rpc::StreamHandler> handler;
  f.OnShard([&] {
    handler = ServeWatchTopics(f.broker.get(), stream);
    v1::WatchTopicsRequest request;
    // It is told once of each, however often it asks.
    for (const char* topic : {"a", "b", "a"}) request.add_topics(topic);
    handler->OnMessage(Bytes::Copy(request.SerializeAsString()));
  });
  ASSERT_THAT(stream->written, SizeIs(1));
  f.CreateTopic("a", 1, 1);
  f.CreateTopic("b", 1, 2);
  f.RemoveTopic(1);
  EXPECT_THAT(stream->written, SizeIs(1));
  f.OnShard([&] {
    stream->has_room = true;
    handler->OnWritable();
  });
  ASSERT_THAT(stream->written, SizeIs(2));
  v1::WatchTopicsResponse first;
  ASSERT_TRUE(first.ParseFromString(stream->written[0]));
  EXPECT_THAT(first.topics(), SizeIs(2));
  v1::WatchTopicsResponse then;
  ASSERT_TRUE(then.ParseFromString(stream->written[1]));
  ASSERT_THAT(then.topics(), SizeIs(2));
  EXPECT_EQ(then.topics(0).code(), v1::ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION);
  EXPECT_THAT(then.topics(1).partitions(), SizeIs(1));
  f.OnShard([&] { handler->OnDone(true); });
}

}  // namespace
}  // namespace millrace::broker

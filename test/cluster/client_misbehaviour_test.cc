// Clients that vanish, stall, send half a message or come by the hundred: they cost nobody else
// anything, and what they held is given back.
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/coding.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/cluster/batches.h"
#include "test/cluster/shared_server_test.h"
#include "test/cluster/tcp_connection.h"
#include "test/cluster/wait_until.h"

namespace millrace::test {
namespace {

constexpr char kTopic[] = "misbehaved";
constexpr int kConnectionsMax = 50;
constexpr int64_t kBudgetBytes = 32 << 20;

class ClientMisbehaviourTest : public SharedServerTest {
 protected:
  static void SetUpTestSuite() {
    StartServer({absl::StrCat("max.connections.per.ip=", kConnectionsMax),
                 absl::StrCat("memory.budget.bytes=", kBudgetBytes)});
    ASSERT_OK(other_->CreateTopic(kTopic));
  }

  void TearDown() override {
    SharedServerTest::TearDown();
    // Whatever a client held is given back when it is gone.
    EXPECT_TRUE(WaitUntil([] { return BudgetUsed() == 0; }, absl::Seconds(30)))
        << BudgetUsed() << " bytes are still held";
  }

  static double BudgetUsed() {
    return MetricValue(server_->http_port(), "millrace_memory_budget_used_bytes");
  }
  static void ExpectOthersAreServed() {
    for (int i = 0; i < 20; ++i) {
      const auto produced = other_->ProduceValues(kOthersTopic, 0, {"meanwhile"});
      ASSERT_OK(produced);
      const auto fetched = other_->Fetch(kOthersTopic, 0, produced->base_offset());
      ASSERT_OK(fetched);
      EXPECT_GT(fetched->records_size(), 0);
    }
  }

  // Half a megabyte of records, `count` times.
  static void Produce(int count) {
    for (int i = 0; i < count; ++i) {
      ASSERT_OK(other_->ProduceValues(kTopic, 0, {std::string(512 << 10, 'm')}));
    }
  }
};

TEST_F(ClientMisbehaviourTest, AProducerThatVanishesMidStreamLeavesNothingBehind) {
  for (int i = 0; i < 10; ++i) {
    ApiClient client(server_->address());
    auto context = NewContext();
    auto stream = client.log().ProduceStream(context.get());
    v1::ProduceStreamRequest message;
    v1::ProducePartition* to = message.mutable_request()->add_partitions();
    to->set_topic(kTopic);
    to->set_batches(MakeBatch({std::string(100 << 10, 'v')}));
    for (uint64_t number = 0; number < 20; ++number) {
      message.set_request_number(number);
      if (!stream->Write(message)) break;
    }
    context->TryCancel();
    stream->Finish();
  }
  ExpectOthersAreServed();
}

TEST_F(ClientMisbehaviourTest, AReaderThatVanishesWhileItWaitsIsForgotten) {
  const auto end = other_->ListOffsets(kTopic, 0, v1::OFFSET_POSITION_LATEST);
  ASSERT_OK(end);
  for (int i = 0; i < 20; ++i) {
    ApiClient client(server_->address());
    auto context = NewContext(absl::Milliseconds(50));
    v1::FetchRequest request;
    request.set_max_wait_ms(60'000);
    request.set_min_bytes(1 << 20);
    v1::FetchPartition* from = request.add_partitions();
    from->set_topic(kTopic);
    from->set_offset(end->offset());
    v1::FetchResponse response;
    EXPECT_EQ(client.log().Fetch(context.get(), request, &response).error_code(),
              grpc::StatusCode::DEADLINE_EXCEEDED);
  }
  ExpectOthersAreServed();
}

TEST_F(ClientMisbehaviourTest, AReaderThatTakesNothingIsPushedNoMoreThanItsCreditAndItsWindow) {
  Produce(64);
  std::vector<std::unique_ptr<ApiClient>> clients;
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<
      std::unique_ptr<grpc::ClientReaderWriter<v1::FetchStreamRequest, v1::FetchStreamResponse>>>
      streams;
  for (int i = 0; i < 10; ++i) {
    clients.push_back(std::make_unique<ApiClient>(server_->address()));
    // Longer than the other client's patience: nobody is saved by a deadline here.
    contexts.push_back(NewContext(absl::Minutes(5)));
    streams.push_back(clients.back()->log().FetchStream(contexts.back().get()));
    v1::FetchStreamRequest request;
    request.set_credit_bytes(int64_t{1} << 30);
    request.set_format(v1::RECORD_FORMAT_BATCHES);
    v1::FetchPartition* from = request.add_assign();
    from->set_topic(kTopic);
    ASSERT_TRUE(streams.back()->Write(request));
  }
  // Half of the budget is for answers, and they hold all of it that readers share by now, and yet:
  EXPECT_TRUE(WaitUntil([] { return BudgetUsed() > kBudgetBytes * 5 / 16; })) << BudgetUsed();
  ExpectOthersAreServed();
  // All of them together, however many: that half, and one batch that is always let through.
  EXPECT_LE(BudgetUsed(), kBudgetBytes / 2 + (1 << 20));
  for (size_t i = 0; i < streams.size(); ++i) {
    contexts[i]->TryCancel();
    streams[i]->Finish();
  }
}

TEST_F(ClientMisbehaviourTest, AFetchStreamPushesNoMoreThanItsCredit) {
  Produce(4);
  ApiClient client(server_->address());
  auto context = NewContext();
  auto stream = client.log().FetchStream(context.get());
  v1::FetchStreamRequest request;
  request.set_credit_bytes(600 << 10);
  request.set_format(v1::RECORD_FORMAT_BATCHES);
  v1::FetchPartition* from = request.add_assign();
  from->set_topic(kTopic);
  from->set_offset(0);
  ASSERT_TRUE(stream->Write(request));
  v1::FetchStreamResponse response;
  ASSERT_TRUE(stream->Read(&response));
  ASSERT_EQ(response.partitions_size(), 1);
  ASSERT_EQ(response.partitions(0).code(), v1::ERROR_CODE_UNSPECIFIED)
      << response.partitions(0).message();
  // A little at a time from here: it goes on as far as it is allowed to.
  int64_t received = static_cast<int64_t>(response.partitions(0).batches().size());
  int64_t credit = 600 << 10;
  for (int i = 0; i < 3; ++i) {
    v1::FetchStreamRequest more;
    more.set_credit_bytes(600 << 10);
    credit += 600 << 10;
    ASSERT_TRUE(stream->Write(more));
    ASSERT_TRUE(stream->Read(&response));
    for (const auto& result : response.partitions()) received += result.batches().size();
  }
  // At least one batch is returned even if it is larger than what is left of the credit.
  EXPECT_LE(received, credit + (1 << 20));
  context->TryCancel();
  stream->Finish();
}

TEST_F(ClientMisbehaviourTest, HalfAFrameIsWaitedForByNobodyElse) {
  std::vector<TcpConnection> connections;
  const std::string greeting = Http2Greeting();
  // Cut in the preface, in the frame header, and after a header that promises 16 KiB.
  for (const size_t length : {size_t{1}, size_t{10}, size_t{20}, greeting.size() - 3}) {
    connections.emplace_back(server_->port());
    ASSERT_TRUE(connections.back().Send(greeting.substr(0, length)));
  }
  connections.emplace_back(server_->port());
  std::string header(9, '\0');
  StoreBig<uint16_t>(header.data() + 1, 16'000);
  header[3] = 1;  // HEADERS
  header[8] = 1;  // stream 1
  ASSERT_TRUE(connections.back().Send(greeting + header + "half"));
  ExpectOthersAreServed();
}

TEST_F(ClientMisbehaviourTest, WhatIsNotHttp2IsClosed) {
  for (const std::string& text : {std::string("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
                                  std::string("\x16\x03\x01\x02"
                                              "\x00 tls?"),
                                  std::string(4096, '\xFF')}) {
    TcpConnection connection(server_->port());
    ASSERT_TRUE(connection.connected());
    connection.Send(text);
    EXPECT_TRUE(connection.WaitForClose(absl::Seconds(30))) << text.substr(0, 10);
  }
  ExpectOthersAreServed();
}

TEST_F(ClientMisbehaviourTest, ASilentConnectionIsClosedAfterTheHandshakeTimeout) {
  TcpConnection connection(server_->port());
  ASSERT_TRUE(connection.connected());
  EXPECT_TRUE(connection.WaitForClose(absl::Seconds(40)));
}

TEST_F(ClientMisbehaviourTest, ConnectionsBeyondTheLimitOfAnAddressAreClosedAtOnce) {
  const std::string greeting = Http2Greeting();
  std::vector<TcpConnection> connections;
  for (int i = 0; i < 300; ++i) {
    connections.emplace_back(server_->port());
    if (connections.back().connected()) connections.back().Send(greeting);
  }
  // Those let in get the server's own settings; the others get nothing but the end.
  int let_in = 0;
  for (TcpConnection& connection : connections) {
    if (!connection.connected()) continue;
    if (!connection.Receive(absl::Seconds(2), std::string(1, '\4')).empty()) ++let_in;
  }
  EXPECT_GT(let_in, 0);
  EXPECT_LT(let_in, kConnectionsMax);
  // Those that were connected before stay so.
  ExpectOthersAreServed();
  connections.clear();
  EXPECT_TRUE(WaitUntil([] {
    return ApiClient(server_->address()).ProduceValues(kOthersTopic, 0, {"again"}).ok();
  })) << "no new client is let in after the flood";
}

}  // namespace
}  // namespace millrace::test

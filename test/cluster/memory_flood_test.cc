// Many clients push large produces at once into a server with a small memory budget: the server
// stays small, every produce is acknowledged because clients wait instead of being refused, and a
// quiet client is served meanwhile.
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rpc/status_mapping.h"
#include "test/cluster/api_client.h"
#include "test/cluster/batches.h"
#include "test/cluster/server_process.h"
#include "test/cluster/tcp_connection.h"
#include "test/cluster/wait_until.h"

namespace millrace::test {
namespace {

constexpr int kClients = 24;
constexpr int kProducesPerClient = 12;
constexpr int kInFlightPerClient = 6;
constexpr int64_t kBudgetBytes = 16 << 20;
constexpr char kTopic[] = "flooded";

// What became of the produces, over all clients.
class Outcome {
 public:
  void Note(const v1::ProducePartitionResult& result) {
    std::lock_guard<std::mutex> lock(mutex_);
    ++counts_[result.code()];
    if (messages_[result.code()].empty()) messages_[result.code()] = result.message();
  }
  std::map<v1::ErrorCode, int> counts() const { return counts_; }
  std::map<v1::ErrorCode, std::string> messages() const { return messages_; }

 private:
  std::mutex mutex_;
  std::map<v1::ErrorCode, int> counts_;
  std::map<v1::ErrorCode, std::string> messages_;
};

// Pushes batches of a megabyte with several in flight.
void Flood(const std::string& address, int partition, Outcome* outcome) {
  ApiClient client(address);
  auto context = NewContext(absl::Seconds(120));
  // All clients connect at once.
  context->set_wait_for_ready(true);
  auto stream = client.log().ProduceStream(context.get());
  const std::string batch = MakeBatch({std::string(1'000'000, 'f')});
  const auto send = [&](int number) {
    v1::ProduceStreamRequest message;
    message.set_request_number(static_cast<uint64_t>(number));
    v1::ProducePartition* to = message.mutable_request()->add_partitions();
    to->set_topic(kTopic);
    to->set_partition(partition);
    to->set_batches(batch);
    return stream->Write(message);
  };
  int sent = 0;
  while (sent < kInFlightPerClient && send(sent)) ++sent;
  v1::ProduceStreamResponse response;
  for (int answers = 0; answers < kProducesPerClient && stream->Read(&response); ++answers) {
    outcome->Note(response.partitions(0));
    if (sent < kProducesPerClient && send(sent)) ++sent;
  }
  stream->WritesDone();
  EXPECT_OK(rpc::FromGrpcStatus(stream->Finish()));
}

TEST(MemoryFloodTest, MemoryStaysBoundedAndEveryProduceIsAnswered) {
  ServerProcess server({absl::StrCat("memory.budget.bytes=", kBudgetBytes)});
  ASSERT_OK(server.Start());
  ApiClient quiet(server.address());
  ASSERT_OK(quiet.CreateTopic(kTopic, 4));
  ASSERT_OK(quiet.CreateTopic("quiet"));
  ASSERT_OK(quiet.ProduceValues("quiet", 0, {"before"}));
  const int64_t before = server.resident_bytes();

  Outcome outcome;
  std::atomic<int> running{kClients};
  std::vector<std::thread> clients;
  for (int i = 0; i < kClients; ++i) {
    clients.emplace_back([&, i] {
      Flood(server.address(), i % 4, &outcome);
      --running;
    });
  }
  int64_t largest = 0;
  double budget_largest = 0;
  int quiet_produces = 0;
  while (running.load() > 0) {
    EXPECT_OK(quiet.ProduceValues("quiet", 0, {"meanwhile"}));
    ++quiet_produces;
    largest = std::max(largest, server.resident_bytes());
    budget_largest = std::max(budget_largest,
                              MetricValue(server.http_port(), "millrace_memory_budget_used_bytes"));
  }
  for (std::thread& client : clients) client.join();

  // Every one is acknowledged: what does not fit waits, and nothing is refused.
  for (const auto& [code, count] : outcome.counts()) {
    EXPECT_EQ(code, v1::ERROR_CODE_UNSPECIFIED) << count << ": " << outcome.messages()[code];
  }
  const int acknowledged = outcome.counts()[v1::ERROR_CODE_UNSPECIFIED];
  EXPECT_EQ(acknowledged, kClients * kProducesPerClient);
  EXPECT_GT(quiet_produces, 0);
  // One message may be let in beyond the budget.
  EXPECT_LE(budget_largest, static_cast<double>(kBudgetBytes + (2 << 20)));
  // The budget, of which what waits for the disk is part, and what the network library holds for
  // each connection: its windows take all that a client has in flight here, once as frames and, of
  // the message that waits or is being copied, once more.
  const int64_t bound = kBudgetBytes + kClients * int64_t{(kInFlightPerClient + 3) << 20};
  EXPECT_LE(largest - before, bound);
  EXPECT_TRUE(WaitUntil([&] {
    return MetricValue(server.http_port(), "millrace_memory_budget_used_bytes") == 0;
  })) << "memory was not given back";
  int64_t stored = 0;
  for (int partition = 0; partition < 4; ++partition) {
    const auto end = quiet.ListOffsets(kTopic, partition, v1::OFFSET_POSITION_LATEST);
    ASSERT_OK(end);
    stored += end->offset();
  }
  EXPECT_EQ(stored, acknowledged);
}

}  // namespace
}  // namespace millrace::test

// A server that is killed in the middle of durable produces, again and again, keeps every record it
// has acknowledged, at the offset it said.
#include <csignal>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/cluster/api_client.h"
#include "test/cluster/server_process.h"

namespace millrace::test {
namespace {

constexpr int kRounds = 50;
constexpr int kPartitions = 3;
constexpr int kInFlight = 16;
constexpr int kRecordsPerRequest = 4;
// Kills come after so many acknowledgements at most: from the first one on.
constexpr int kAcknowledgementsMax = 150;
constexpr char kTopic[] = "killed";

// All values ever sent and, by partition and offset, those acknowledged.
struct History {
  std::set<std::string> sent;
  std::map<int, std::map<int64_t, std::string>> acknowledged;
};

// A producer without retries: requests over one stream, several in flight, until the server is
// gone.
class Burst {
 public:
  Burst(const std::string& address, int round, History* history)
      : client_(address), round_(round), history_(history), context_(NewContext()) {
    stream_ = client_.log().ProduceStream(context_.get());
  }

  // Kills the server after some acknowledgements, and takes what comes until the stream breaks.
  void RunAndKill(ServerProcess* server, int acknowledgements) {
    for (int i = 0; i < kInFlight; ++i) SendNext();
    v1::ProduceStreamResponse response;
    int seen = 0;
    while (stream_->Read(&response)) {
      Note(response);
      if (++seen == acknowledgements) server->Signal(SIGKILL);
      SendNext();
    }
    stream_->Finish();
    EXPECT_GE(seen, acknowledgements) << "the stream ended before the server was killed";
    server->Kill();
  }

 private:
  void SendNext() {
    v1::ProduceStreamRequest message;
    message.set_request_number(next_);
    message.mutable_request()->set_acks(v1::ACKS_ALL);
    v1::ProducePartition* partition = message.mutable_request()->add_partitions();
    partition->set_topic(kTopic);
    partition->set_partition(static_cast<int>(next_ % kPartitions));
    std::vector<std::string>& values = values_[next_];
    for (int i = 0; i < kRecordsPerRequest; ++i) {
      // Of many sizes, so that batches begin and end anywhere in a page.
      const size_t padding = (next_ * 131 + i * 977) % 3000;
      values.push_back(absl::StrCat("round ", round_, " request ", next_, " record ", i, " ",
                                    std::string(padding, 'x')));
      partition->add_records()->set_value(values.back());
      history_->sent.insert(values.back());
    }
    ++next_;
    stream_->Write(message);
  }

  void Note(const v1::ProduceStreamResponse& response) {
    for (const v1::ProducePartitionResult& result : response.partitions()) {
      ASSERT_EQ(result.code(), v1::ERROR_CODE_UNSPECIFIED) << result.message();
      EXPECT_EQ(result.level(), v1::DURABILITY_LEVEL_DURABLE);
      std::map<int64_t, std::string>& log = history_->acknowledged[result.partition()];
      const std::vector<std::string>& values = values_[response.request_number()];
      for (size_t i = 0; i < values.size(); ++i) {
        const int64_t offset = result.base_offset() + static_cast<int64_t>(i);
        EXPECT_TRUE(log.emplace(offset, values[i]).second) << "offset given twice: " << offset;
      }
    }
  }

  ApiClient client_;
  const int round_;
  History* const history_;
  const std::unique_ptr<grpc::ClientContext> context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::ProduceStreamRequest, v1::ProduceStreamResponse>>
      stream_;
  uint64_t next_ = 0;
  std::map<uint64_t, std::vector<std::string>> values_;
};

// Every acknowledged offset from `from` on holds its record, and nothing is there that nobody sent.
// Returns where the log ends.
int64_t CheckPartition(const std::string& address, int partition, int64_t from,
                       const History& history) {
  ApiClient client(address);
  const auto values = client.ReadValues(kTopic, partition, from);
  EXPECT_OK(values);
  if (!values.ok()) return from;
  for (const std::string& value : *values) {
    EXPECT_EQ(history.sent.count(value), 1u) << "never sent: " << value.substr(0, 60);
  }
  const auto log = history.acknowledged.find(partition);
  if (log == history.acknowledged.end()) return from;
  for (auto it = log->second.lower_bound(from); it != log->second.end(); ++it) {
    const size_t at = static_cast<size_t>(it->first - from);
    EXPECT_LT(at, values->size()) << "lost: partition " << partition << " offset " << it->first;
    if (at >= values->size()) break;
    EXPECT_EQ((*values)[at], it->second) << "partition " << partition << " offset " << it->first;
  }
  return from + static_cast<int64_t>(values->size());
}

TEST(KillTest, EveryAcknowledgedOffsetHoldsItsRecordAfterFiftyKills) {
  ServerProcess server;
  ASSERT_OK(server.Start());
  ASSERT_OK(ApiClient(server.address()).CreateTopic(kTopic, kPartitions));
  History history;
  std::map<int, int64_t> checked;
  std::mt19937 random(20261121);
  for (int round = 0; round < kRounds && !testing::Test::HasFailure(); ++round) {
    SCOPED_TRACE(absl::StrCat("round ", round));
    const int acknowledgements = 1 + static_cast<int>(random() % kAcknowledgementsMax);
    Burst(server.address(), round, &history).RunAndKill(&server, acknowledgements);
    ASSERT_OK(server.Start());
    for (int partition = 0; partition < kPartitions; ++partition) {
      checked[partition] = CheckPartition(server.address(), partition, checked[partition], history);
    }
  }
  // Later rounds have not touched what earlier ones wrote.
  for (int partition = 0; partition < kPartitions; ++partition) {
    EXPECT_EQ(CheckPartition(server.address(), partition, 0, history), checked[partition]);
  }
}

}  // namespace
}  // namespace millrace::test

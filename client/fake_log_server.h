// FakeLogServer: a LogService in memory on a local port, with which the clients' shells are tested:
// one broker, number 1, that leads everything it has.
//
// It keeps the contract of the public API as far as the clients rely on it: order and restarts of
// produce streams (S-23), credit and assignment numbers of fetch streams, pushes of WatchTopics.
// Only tests may depend on this.
//
// Thread: the test's; what is shared with the server's strand is handed over by tasks.
#ifndef CLIENT_FAKE_LOG_SERVER_H_
#define CLIENT_FAKE_LOG_SERVER_H_

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "api/fetch.h"
#include "api/produce.h"
#include "base/counters.h"
#include "base/system_clock.h"
#include "millrace/v1/log_service.grpc.pb.h"
#include "rpc/server.h"
#include "rpc/stream_call.h"
#include "rpc/unary_call.h"

namespace millrace::client {

class FakeLogServer {
 public:
  // Port 0: a free one. CHECKs that it could be bound.
  explicit FakeLogServer(int port = 0);
  ~FakeLogServer();

  int port() const { return server_.listeners().front().port; }
  std::string address() const;

  // All of these take effect before they return.
  // `number` stands for its id; 0: one that was not used before. Replaces one of that name.
  void CreateTopic(const std::string& topic, int partitions, uint64_t number = 0);
  void DeleteTopic(const std::string& topic);
  // The next `count` produce requests for partitions are refused with this.
  void RefuseProduce(int count, ErrorCode code);
  // Watches are refused with this from now on; kNone: no more. Those that are open stay.
  void RefuseWatches(ErrorCode code);
  // The next `count` produce requests get no answer and end their stream.
  void DropProduce(int count);
  // Neither produce requests nor fetches are answered until Resume.
  void Hold(bool hold);
  // Ends all fetch streams.
  void BreakFetchStreams();
  // Forgets the records below `offset`.
  void DeleteRecordsBefore(const std::string& topic, int partition, int64_t offset);
  // The log is cut to `end`, and a new leader epoch begins.
  void ElectUncleanly(const std::string& topic, int partition, int64_t end);
  // Flips a bit in the latest batch.
  void DamageLastBatch(const std::string& topic, int partition);
  // Appends a batch as it is; its base offset and leader epoch are stamped.
  void Append(const std::string& topic, int partition, Bytes batch);

  // The values of all records, in order.
  std::vector<std::string> Values(const std::string& topic, int partition);
  // Bytes that were pushed on fetch streams.
  int64_t bytes_pushed();
  // Partitions that fetch streams read from.
  int fetched_partitions();
  // Produce streams whose first message asked for batches to be passed on.
  int forwarding_streams();

 private:
  using Service =
      v1::LogService::WithRawMethod_ProduceStream<v1::LogService::WithRawMethod_FetchStream<
          v1::LogService::WithRawMethod_WatchTopics<v1::LogService::AsyncService>>>;
  class ProduceHandler;
  class FetchHandler;
  class WatchHandler;

  struct Batch {
    Bytes bytes;
    Offset base;
    Offset next;
    LeaderEpoch epoch;
  };
  struct Partition {
    LeaderEpoch epoch{1};
    std::deque<Batch> batches;
    Offset start;
    Offset end;
  };
  struct Topic {
    TopicId id;
    std::vector<Partition> partitions;
  };

  // Runs on the strand, and waits for it.
  void Run(std::function<void()> task);
  Partition* Find(const api::PartitionName& name);
  void AppendHere(Partition* partition, const Bytes& batch);
  api::ProducePartitionResult Produce(const api::ProducePartition& request);
  v1::ListOffsetsResponse ListOffsets(const v1::ListOffsetsRequest& request);
  v1::OffsetForLeaderEpochResponse EpochEnds(const v1::OffsetForLeaderEpochRequest& request);
  v1::DeleteRecordsResponse DeleteRecords(const v1::DeleteRecordsRequest& request);
  static void Forget(Partition* partition, Offset before);
  void PushTopics();
  void PushRecords();

  const SystemClock clock_;
  MetricRegistry metrics_;
  Service service_;
  // All below belong to the server's strand.
  std::map<std::string, Topic> topics_;
  std::vector<ProduceHandler*> produces_;
  std::vector<FetchHandler*> fetches_;
  std::vector<WatchHandler*> watches_;
  uint64_t next_topic_ = 1;
  int64_t next_producer_ = 1;
  int64_t metadata_index_ = 1;
  int refusals_ = 0;
  ErrorCode refusal_ = ErrorCode::kNone;
  ErrorCode watch_refusal_ = ErrorCode::kNone;
  int drops_ = 0;
  bool hold_ = false;
  int64_t bytes_pushed_ = 0;
  int forwarding_streams_ = 0;

  rpc::Server server_;
};

}  // namespace millrace::client

#endif  // CLIENT_FAKE_LOG_SERVER_H_

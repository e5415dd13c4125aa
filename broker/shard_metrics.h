// ShardMetrics: what one shard counts. Each shard has cells of its own; the scrape merges them.
//
// Thread: its shard's executor; the registry reads from others.
#ifndef BROKER_SHARD_METRICS_H_
#define BROKER_SHARD_METRICS_H_

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "base/counters.h"
#include "base/error_code.h"
#include "base/ids.h"
#include "base/monotonic_time.h"
#include "broker/in_sync_counts.h"

namespace millrace::broker {

// Requests of one kind ("produce", "fetch"), per partition asked for.
class CallMetrics {
 public:
  // `metrics` may be null: nothing is counted. Outlives this.
  CallMetrics(MetricRegistry* metrics, const std::string& call);

  // One partition of one request was answered.
  void Answered(ErrorCode code, absl::Duration latency, int64_t bytes);
  void Records(int64_t count) {
    if (records_ != nullptr) records_->Add(count);
  }

 private:
  MetricRegistry* const metrics_;
  const std::string call_;
  Counter* requests_ = nullptr;
  Counter* bytes_ = nullptr;
  Counter* records_ = nullptr;
  Histogram* seconds_ = nullptr;
  // Cells by code, made when a code is first seen.
  std::map<ErrorCode, Counter*> errors_;
};

// Where the time of a produce goes, one after the other.
enum class ProduceStage {
  kQueue,      // From its arrival at the broker to its partition's shard.
  kAppend,     // Checked and staged in the log.
  kSync,       // Until this broker's log has it: written or durable, as the topic asks for.
  kReplicate,  // Of acks=all: from then on until all in sync have it.
  kReply,      // From the shard to the connection: behind earlier answers of its stream.
};
inline constexpr int kProduceStages = 5;

// The same of a fetch: of each pass over the partitions of one shard, but kWait.
enum class FetchStage {
  kQueue,  // From the edge to the shard.
  kRead,   // From there until all is read, the disk and the wait for memory included.
  kReply,  // From the shard back to the edge.
  kWait,   // Parked until there are records, or time is over; then all is read again.
};
inline constexpr int kFetchStages = 4;

// What is served of one partition, as long as it is held.
class PartitionMetrics {
 public:
  PartitionMetrics(MetricRegistry* metrics, const std::string& topic, PartitionIndex partition);

  void Set(int64_t size_bytes, Offset log_start, Offset log_end);
  // Not with the others: it moves by what other brokers say while the log stands still, so that the
  // replica sets it.
  Gauge* high_watermark() { return high_watermark_.get(); }

 private:
  const std::shared_ptr<Gauge> size_bytes_;
  const std::shared_ptr<Gauge> log_start_;
  const std::shared_ptr<Gauge> high_watermark_;
  const std::shared_ptr<Gauge> log_end_;
};

struct ShardMetrics {
  explicit ShardMetrics(MetricRegistry* metrics);

  // REQUIRES: counted. `told`: of the replicas, those that have metrics of their own.
  void Holds(int held, int led, const InSyncCounts& in_sync, int told);
  void Stage(ProduceStage stage, absl::Duration time) {
    Histogram* const seconds = produce_stages[static_cast<int>(stage)];
    if (seconds != nullptr) seconds->Record(absl::ToDoubleSeconds(time));
  }
  // The stages from `staged` to the answer. `synced`: when this broker's own log had it; zero: it
  // did not wait for others, or that is not known.
  void Acknowledged(MonotonicTime staged, MonotonicTime synced, MonotonicTime answered) {
    const bool split = synced != MonotonicTime();
    Stage(ProduceStage::kSync, (split ? synced : answered) - staged);
    if (split) Stage(ProduceStage::kReplicate, answered - synced);
  }
  void Stage(FetchStage stage, absl::Duration time) {
    Histogram* const seconds = fetch_stages[static_cast<int>(stage)];
    if (seconds != nullptr) seconds->Record(absl::ToDoubleSeconds(time));
  }

  CallMetrics produce;
  CallMetrics fetch;
  // Null without a registry, as all below.
  std::array<Histogram*, kProduceStages> produce_stages{};
  std::array<Histogram*, kFetchStages> fetch_stages{};
  // Bytes of batches that others held when they came to the log, and that had to be copied for it:
  // 0 for what clients send over the network.
  Counter* copied_bytes = nullptr;
  // Set by the shard after each change.
  Gauge* parked_fetches = nullptr;
  Gauge* awaiting_memory = nullptr;
  Gauge* replicas = nullptr;
  Gauge* leaders = nullptr;
  // Of those, how many have fewer replicas in sync than they have.
  Gauge* under_replicated = nullptr;
  // And how many have just as many as min.insync.replicas asks for, or fewer.
  Gauge* at_min_isr = nullptr;
  Gauge* under_min_isr = nullptr;
  // Replicas beyond metrics.partitions.max, which have no gauges of their own.
  Gauge* replicas_untold = nullptr;
};

}  // namespace millrace::broker

#endif  // BROKER_SHARD_METRICS_H_

// ShardMetrics: what one shard counts. Each shard has cells of its own; the scrape merges them.
//
// Thread: its shard's executor; the registry reads from others.
#ifndef BROKER_SHARD_METRICS_H_
#define BROKER_SHARD_METRICS_H_

#include <cstdint>
#include <map>
#include <string>

#include "absl/time/time.h"
#include "base/counters.h"
#include "base/error_code.h"

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

struct ShardMetrics {
  explicit ShardMetrics(MetricRegistry* metrics);

  CallMetrics produce;
  CallMetrics fetch;
  // Null without a registry, as all below. Bytes of batches that others held when they came to the
  // log, and that had to be copied for it: 0 for what clients send over the network.
  Counter* copied_bytes = nullptr;
  // Set by the shard after each change.
  Gauge* parked_fetches = nullptr;
  Gauge* replicas = nullptr;
  Gauge* leaders = nullptr;
};

}  // namespace millrace::broker

#endif  // BROKER_SHARD_METRICS_H_

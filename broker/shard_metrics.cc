#include "broker/shard_metrics.h"

#include "absl/strings/str_cat.h"

namespace millrace::broker {
namespace {

// From 10 us, doubling: the same for all latencies, so that they can be compared.
constexpr double kSecondsUnit = 0.00001;

}  // namespace

CallMetrics::CallMetrics(MetricRegistry* metrics, const std::string& call)
    : metrics_(metrics), call_(call) {
  if (metrics_ == nullptr) return;
  const std::string prefix = absl::StrCat("millrace_broker_", call_, "_");
  requests_ = &metrics_->AddCounter(absl::StrCat(prefix, "requests_total"),
                                    absl::StrCat("Partitions answered in ", call_, " calls."));
  bytes_ = &metrics_->AddCounter(absl::StrCat(prefix, "bytes_total"),
                                 absl::StrCat("Bytes of batches in ", call_, " calls."));
  records_ = &metrics_->AddCounter(absl::StrCat(prefix, "records_total"),
                                   absl::StrCat("Records in ", call_, " calls."));
  seconds_ = &metrics_->AddHistogram(
      absl::StrCat(prefix, "seconds"),
      absl::StrCat("Time from the arrival of a ", call_, " at its shard to its answer."),
      kSecondsUnit);
}

void CallMetrics::Answered(ErrorCode code, absl::Duration latency, int64_t bytes) {
  if (metrics_ == nullptr) return;
  requests_->Add();
  seconds_->Record(absl::ToDoubleSeconds(latency));
  if (code == ErrorCode::kNone) {
    bytes_->Add(bytes);
    return;
  }
  Counter*& errors = errors_[code];
  if (errors == nullptr) {
    errors = &metrics_->AddCounter(absl::StrCat("millrace_broker_", call_, "_errors_total"),
                                   absl::StrCat("Partitions refused in ", call_, " calls."),
                                   {{"code", std::string(ErrorCodeName(code))}});
  }
  errors->Add();
}

ShardMetrics::ShardMetrics(MetricRegistry* metrics)
    : produce(metrics, "produce"), fetch(metrics, "fetch") {
  if (metrics == nullptr) return;
  copied_bytes = &metrics->AddCounter(
      "millrace_broker_produce_copied_bytes_total",
      "Bytes of batches that were copied again behind the copy out of the network's memory.");
  parked_fetches =
      &metrics->AddGauge("millrace_broker_parked_fetches", "Fetches that wait for records.");
  replicas = &metrics->AddGauge("millrace_broker_replicas", "Replicas that are open.");
  leaders = &metrics->AddGauge("millrace_broker_leaders", "Replicas that lead their partition.");
}

}  // namespace millrace::broker

#include "broker/shard_metrics.h"

#include "absl/strings/str_cat.h"

namespace millrace::broker {
namespace {

// From 10 us, doubling: the same for all latencies, so that they can be compared.
constexpr double kSecondsUnit = 0.00001;

MetricLabels LabelsOf(const std::string& topic, PartitionIndex partition) {
  return {{"topic", topic}, {"partition", absl::StrCat(partition.value())}};
}

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
      call_ == "fetch"
          ? "Time from the beginning of a fetch's read to its end, without waiting for records."
          : absl::StrCat("Time from the arrival of a ", call_, " at its shard to its answer."),
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

PartitionMetrics::PartitionMetrics(MetricRegistry* metrics, const std::string& topic,
                                   PartitionIndex partition)
    : size_bytes_(metrics->MakeGauge("millrace_log_size_bytes", "Bytes of a partition's log.",
                                     LabelsOf(topic, partition))),
      log_start_(metrics->MakeGauge("millrace_log_start_offset", "First offset of a partition.",
                                    LabelsOf(topic, partition))),
      high_watermark_(metrics->MakeGauge("millrace_log_high_watermark",
                                         "Offset up to which consumers of a partition see.",
                                         LabelsOf(topic, partition))),
      log_end_(metrics->MakeGauge("millrace_log_end_offset",
                                  "Offset that the next record of a partition gets.",
                                  LabelsOf(topic, partition))) {}

void PartitionMetrics::Set(int64_t size_bytes, Offset log_start, Offset log_end) {
  size_bytes_->Set(static_cast<double>(size_bytes));
  log_start_->Set(static_cast<double>(log_start.value()));
  log_end_->Set(static_cast<double>(log_end.value()));
}

ShardMetrics::ShardMetrics(MetricRegistry* metrics)
    : produce(metrics, "produce"), fetch(metrics, "fetch") {
  if (metrics == nullptr) return;
  constexpr const char* kProduceNames[kProduceStages] = {"queue", "append", "sync", "replicate",
                                                         "reply"};
  for (int i = 0; i < kProduceStages; ++i) {
    produce_stages[i] = &metrics->AddHistogram("millrace_broker_produce_stage_seconds",
                                               "Time of a produce in each of its stages.",
                                               kSecondsUnit, {{"stage", kProduceNames[i]}});
  }
  constexpr const char* kFetchNames[kFetchStages] = {"queue", "read", "reply", "wait"};
  for (int i = 0; i < kFetchStages; ++i) {
    fetch_stages[i] = &metrics->AddHistogram("millrace_broker_fetch_stage_seconds",
                                             "Time of a fetch in each of its stages.", kSecondsUnit,
                                             {{"stage", kFetchNames[i]}});
  }
  copied_bytes = &metrics->AddCounter(
      "millrace_broker_produce_copied_bytes_total",
      "Bytes of batches that were copied again behind the copy out of the network's memory.");
  parked_fetches =
      &metrics->AddGauge("millrace_broker_parked_fetches", "Fetches that wait for records.");
  awaiting_memory = &metrics->AddGauge("millrace_broker_fetches_awaiting_memory",
                                       "Fetches that wait for room in the memory budget.");
  replicas = &metrics->AddGauge("millrace_broker_replicas", "Replicas that are open.");
  leaders = &metrics->AddGauge("millrace_broker_leaders", "Replicas that lead their partition.");
  under_replicated =
      &metrics->AddGauge("millrace_broker_under_replicated_partitions",
                         "Partitions led here with fewer replicas in sync than they have.");
  at_min_isr = &metrics->AddGauge(
      "millrace_broker_at_min_isr_partitions",
      "Partitions led here with just as many replicas in sync as min.insync.replicas.");
  under_min_isr = &metrics->AddGauge(
      "millrace_broker_under_min_isr_partitions",
      "Partitions led here with fewer replicas in sync than min.insync.replicas.");
  replicas_untold = &metrics->AddGauge(
      "millrace_broker_replicas_without_metrics",
      "Replicas beyond metrics.partitions.max, which have no series of their own.");
}

void ShardMetrics::Holds(int held, int led, const InSyncCounts& in_sync, int told) {
  replicas->Set(held);
  leaders->Set(led);
  under_replicated->Set(static_cast<double>(in_sync.under_replicated()));
  at_min_isr->Set(static_cast<double>(in_sync.at_min()));
  under_min_isr->Set(static_cast<double>(in_sync.under_min()));
  replicas_untold->Set(held - told);
}

}  // namespace millrace::broker

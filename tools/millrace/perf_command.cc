#include "tools/millrace/perf_command.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "tools/millrace/option_check.h"
#include "tools/millrace/perf_run.h"
#include "tools/millrace/progress_line.h"

namespace millrace::tools {
namespace {

struct PerfLine {
  PerfOptions run;
  std::string acks = "all";
  int64_t linger_ms = 0;
  int64_t batch_bytes = 0;
  std::string compression = "none";
  std::vector<std::string> properties;
};

double Ms(int64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e6; }

void Print(const PerfResult& result, bool latency, const GlobalOptions& global) {
  const double seconds = result.seconds > 0 ? result.seconds : 1e-9;
  const double rate = static_cast<double>(result.records) / seconds;
  const double mib = static_cast<double>(result.bytes) / 1048576 / seconds;
  const LatencyHistogram& times = result.latency;
  if (global.format() == OutputFormat::kJson) {
    Json json = {{"records", result.records},
                 {"seconds", result.seconds},
                 {"records_per_s", rate},
                 {"mib_per_s", mib}};
    if (latency) {
      json["latency_ms"] = {{"p50", Ms(times.Percentile(0.5))},
                            {"p90", Ms(times.Percentile(0.9))},
                            {"p99", Ms(times.Percentile(0.99))},
                            {"p999", Ms(times.Percentile(0.999))},
                            {"max", Ms(times.max())}};
    }
    json["client_cpu_s"] = result.client_cpu_s;
    json["errors"] = result.errors;
    PrintJson(json);
    return;
  }
  PrintOut(absl::StrFormat("%d records in %.2f s: %.0f records/s, %.1f MiB/s; %.2f s of client CPU",
                           result.records, result.seconds, rate, mib, result.client_cpu_s));
  if (result.errors != 0) PrintOut(absl::StrCat("; ", result.errors, " errors"));
  PrintOut("\n");
  if (latency) {
    PrintOut(absl::StrFormat("latency in ms: p50 %.3f, p90 %.3f, p99 %.3f, p99.9 %.3f, max %.3f\n",
                             Ms(times.Percentile(0.5)), Ms(times.Percentile(0.9)),
                             Ms(times.Percentile(0.99)), Ms(times.Percentile(0.999)),
                             Ms(times.max())));
  }
}

using RunFunction = absl::StatusOr<PerfResult> (*)(const PerfOptions& options);

absl::Status Measure(const PerfLine& line, RunFunction run, bool latency,
                     const GlobalOptions& global) {
  PerfOptions options = line.run;
  options.timeout = global.timeout();
  options.producer = options.consumer = global.connection();
  options.producer["client.id"] = options.consumer["client.id"] = "millrace-perf";
  options.producer["acks"] = line.acks;
  options.producer["linger.ms"] = absl::StrCat(line.linger_ms);
  options.producer["compression.type"] = line.compression;
  if (line.batch_bytes != 0) options.producer["batch.size"] = absl::StrCat(line.batch_bytes);
  // Of the consumer where there is no producer.
  ConfigValues* properties = run == &PerfConsume ? &options.consumer : &options.producer;
  for (const std::string& text : line.properties) {
    ASSIGN_OR_RETURN(auto setting, SplitSetting(text, "--property"));
    (*properties)[setting.first] = setting.second;
  }
  if (run == &PerfEndToEnd && options.rate <= 0 && options.producers > 1) {
    return MakeError(ErrorCode::kInvalidRequest,
                     "--producers: without a --rate, e2e sends one record at a time, which takes "
                     "one producer",
                     {.name = "--producers", .value = absl::StrCat(options.producers)});
  }
  ProgressLine progress;
  options.progress = [&](int64_t records) {
    progress.Update([&] { return CountOf(records, options.records) + " records"; });
  };
  RETURN_IF_ERROR(ExpectServer(global));
  const absl::StatusOr<PerfResult> result = run(options);
  progress.Clear();
  RETURN_IF_ERROR(WithNearestTopic(result.status(), options.topic, global));
  Print(*result, latency, global);
  return WithNearestTopic(result->error, options.topic, global);
}

void AddProducerOptions(CLI::App* command, PerfLine* line) {
  command->add_option("--size", line->run.size, "Bytes of each value")
      ->check(WholeNumber(0, int64_t{64} << 20))
      ->capture_default_str();
  command->add_option("--acks", line->acks, "When a record counts as sent")
      ->check(OneOf({"all", "leader", "none", "-1", "0", "1"}))
      ->capture_default_str();
  command->add_option("--linger-ms", line->linger_ms, "How long a batch waits for more records")
      ->check(WholeNumber(0))
      ->capture_default_str();
  command->add_option("--batch-bytes", line->batch_bytes, "Largest batch (default: batch.size)")
      ->check(WholeNumber(1));
  command->add_option("--compression", line->compression, "Codec of the batches")
      ->check(OneOf({"none", "gzip", "snappy", "lz4", "zstd"}))
      ->capture_default_str();
  command->add_option("--producers", line->run.producers, "Threads, each with its own producer")
      ->check(WholeNumber(1, 1024))
      ->capture_default_str();
  command->add_option("--property", line->properties,
                      "Producer config, name=value; may be repeated");
}

void AddTopicAndRecords(CLI::App* command, PerfLine* line) {
  command->add_option("topic", line->run.topic, "Topic to use")->required();
  command->add_option("-n,--records", line->run.records, "How many records")
      ->required()
      ->check(WholeNumber(1));
}

}  // namespace

void AddPerfCommands(CLI::App* app, GlobalOptions* global) {
  CLI::App* perf = app->add_subcommand("perf", "Measure throughput and latency");
  perf->require_subcommand(1);

  auto produce_line = std::make_shared<PerfLine>();
  CLI::App* produce =
      AddCommand(perf, "produce", "Send records at a rate or flat out; latency until acknowledged",
                 "  millrace perf produce load --records 5000000 --size 100\n"
                 "  millrace perf produce load --records 50000 --size 1024 --rate 5000 -o json\n"
                 "Latency counts from when a record was due, also if it left later.\n",
                 global, [=] { return Measure(*produce_line, &PerfProduce, true, *global); });
  AddTopicAndRecords(produce, produce_line.get());
  AddProducerOptions(produce, produce_line.get());
  produce->add_option("--rate", produce_line->run.rate, "Records per second; 0: as fast as they go")
      ->check(NumberFromZero())
      ->capture_default_str();
  auto consume_line = std::make_shared<PerfLine>();
  CLI::App* consume =
      AddCommand(perf, "consume", "Read records from the beginning of all partitions",
                 "  millrace perf consume load --records 5000000 -o json\n", global,
                 [=] { return Measure(*consume_line, &PerfConsume, false, *global); });
  AddTopicAndRecords(consume, consume_line.get());
  consume->add_option("--property", consume_line->properties,
                      "Consumer config, name=value; may be repeated");

  auto e2e_line = std::make_shared<PerfLine>();
  CLI::App* e2e =
      AddCommand(perf, "e2e", "Send and read in one process; latency from due to received",
                 "  millrace perf e2e load --records 10000 --rate 1000 -o json\n"
                 "  millrace perf e2e load --records 1000 --rate 0    (one at a time)\n",
                 global, [=] { return Measure(*e2e_line, &PerfEndToEnd, true, *global); });
  AddTopicAndRecords(e2e, e2e_line.get());
  AddProducerOptions(e2e, e2e_line.get());
  e2e->get_option("--size")->check(WholeNumber(kStampBytes, int64_t{64} << 20));
  e2e->add_option("--rate", e2e_line->run.rate,
                  "Records per second; 0: each when the one before has arrived")
      ->check(NumberFromZero())
      ->capture_default_str();

  for (CLI::App* command : {produce, consume, e2e}) AddConnectionOptions(command, global);
}

}  // namespace millrace::tools

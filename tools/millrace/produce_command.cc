#include "tools/millrace/produce_command.h"

#include <atomic>
#include <chrono>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "client/producer.h"
#include "tools/millrace/key_rule.h"
#include "tools/millrace/option_check.h"
#include "tools/millrace/progress_line.h"
#include "tools/millrace/record_input.h"
#include "tools/millrace/record_splitter.h"
#include "tools/millrace/stop_signals.h"

namespace millrace::tools {
namespace {

constexpr size_t kRecordBytesMax = 64 << 20;

struct ProduceOptions {
  std::string topic;
  std::string file;
  std::string delimiter = "\\n";
  std::string key_separator;
  std::string key_regex;
  std::string null_marker;
  std::vector<std::string> headers;
  int32_t partition = -1;
  std::string acks = "all";
  std::string compression = "none";
  std::vector<std::string> properties;
  // For what was given on the line, and what is a default.
  const CLI::App* command = nullptr;

  // An empty marker is one, too, where it was given.
  bool IsNull(Slice text) const {
    return command->count("--null-marker") != 0 && text == Slice(null_marker);
  }
};

// What has become of the records so far; written on the producer's thread, read on main.
struct Deliveries {
  std::atomic<int64_t> acknowledged{0};
  std::atomic<int64_t> failed{0};
  // The first failure; set before `failed` becomes 1.
  absl::Status first_error;
};

absl::Status Stopped() {
  return MakeError(
      ErrorCode::kCancelled,
      "stopped by a signal before the end of the input: the complete records that were "
      "read are sent, and nothing after them");
}

absl::StatusOr<std::vector<client::RecordHeader>> HeadersOf(const ProduceOptions& options) {
  std::vector<client::RecordHeader> headers;
  for (const std::string& text : options.headers) {
    ASSIGN_OR_RETURN(auto header, SplitSetting(text, "--header"));
    client::RecordHeader& added = headers.emplace_back();
    added.key = std::move(header.first);
    if (!options.IsNull(header.second)) added.value = std::move(header.second);
  }
  return headers;
}

// Reads, cuts, keys and sends until the input ends or a record fails. Errors also: CANCELLED at a
// stop signal.
absl::Status SendAll(const ProduceOptions& options, RecordInput* input, client::Producer* producer,
                     Deliveries* deliveries, ProgressLine* progress, int64_t* bytes) {
  ASSIGN_OR_RETURN(std::string delimiter, Unescape(options.delimiter));
  if (delimiter.empty()) {
    return MakeError(ErrorCode::kInvalidRequest, "--delimiter must not be empty");
  }
  ASSIGN_OR_RETURN(const std::string separator, Unescape(options.key_separator));
  ASSIGN_OR_RETURN(const KeyRule rule, KeyRule::Make(separator, options.key_regex));
  ASSIGN_OR_RETURN(const std::vector<client::RecordHeader> headers, HeadersOf(options));
  RecordSplitter splitter(std::move(delimiter), kRecordBytesMax);
  std::optional<PartitionIndex> partition;
  if (options.partition >= 0) partition = PartitionIndex(options.partition);

  auto send = [&](Slice text) -> absl::Status {
    ASSIGN_OR_RETURN(KeyRule::Split split, rule.Apply(text));
    client::Record record{.headers = headers};
    if (split.key.has_value() && !options.IsNull(*split.key)) record.key = std::move(split.key);
    if (!options.IsNull(split.value)) {
      record.value = std::string(split.value);
      *bytes += static_cast<int64_t>(split.value.size());
    }
    return producer->Send(options.topic, std::move(record), partition,
                          [deliveries](const client::DeliveryReport& report) {
                            if (report.status.ok()) {
                              deliveries->acknowledged.fetch_add(1, std::memory_order_relaxed);
                              return;
                            }
                            if (deliveries->failed.load() == 0) {
                              deliveries->first_error = report.status;
                            }
                            deliveries->failed.fetch_add(1);
                          });
  };
  int64_t read = 0;
  for (;;) {
    ASSIGN_OR_RETURN(const Slice piece, input->Read());
    if (piece.empty()) {
      if (StopRequested()) return Stopped();
      break;
    }
    RETURN_IF_ERROR(splitter.Feed(piece, send));
    if (deliveries->failed.load() != 0) return deliveries->first_error;
    read += static_cast<int64_t>(piece.size());
    progress->Update([&] {
      return absl::StrCat(deliveries->acknowledged.load(), " records acknowledged, ",
                          CountOf(read >> 20, input->size() >> 20), " MiB read");
    });
  }
  return splitter.Finish(send);
}

void Report(const ProduceOptions& options, const GlobalOptions& global,
            const Deliveries& deliveries, double seconds, int64_t bytes) {
  const int64_t records = deliveries.acknowledged.load();
  const double rate = seconds > 0 ? static_cast<double>(records) / seconds : 0;
  if (global.format() == OutputFormat::kJson) {
    PrintJson({{"topic", options.topic},
               {"records", records},
               {"failed", deliveries.failed.load()},
               {"bytes", bytes},
               {"seconds", seconds},
               {"records_per_s", rate}});
    return;
  }
  const std::string text =
      absl::StrFormat("produced %d records, %.1f MiB in %.2f s (%.0f records/s)\n", records,
                      bytes / 1048576.0, seconds, rate);
  std::fputs(text.c_str(), stderr);
}

std::string TimeoutMs(const GlobalOptions& global) {
  return absl::StrCat(absl::ToInt64Milliseconds(global.timeout()));
}

absl::Status Produce(const ProduceOptions& options, const GlobalOptions& global) {
  ConfigValues config = global.connection();
  config["acks"] = options.acks;
  config["compression.type"] = options.compression;
  config["client.id"] = "millrace-produce";
  config["max.block.ms"] = TimeoutMs(global);
  if (options.command->count("--timeout") != 0) config["delivery.timeout.ms"] = TimeoutMs(global);
  for (const std::string& text : options.properties) {
    ASSIGN_OR_RETURN(auto setting, SplitSetting(text, "--property"));
    config[setting.first] = setting.second;
  }
  ASSIGN_OR_RETURN(RecordInput input, RecordInput::Open(options.file));
  RETURN_IF_ERROR(ExpectServer(global));
  // The deliveries outlive the producer, whose destructor still calls back.
  Deliveries deliveries;
  ASSIGN_OR_RETURN(auto producer, client::Producer::Create(config));
  const auto begin = std::chrono::steady_clock::now();
  ProgressLine progress;
  int64_t bytes = 0;
  CatchStopSignals();
  absl::Status status = SendAll(options, &input, producer.get(), &deliveries, &progress, &bytes);
  // What was sent before an error is still delivered: the count printed must be true.
  status.Update(producer->Close(absl::InfiniteDuration()));
  producer.reset();
  progress.Clear();
  if (deliveries.failed.load() != 0) status = deliveries.first_error;
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  // Of a line that was refused as a whole there is nothing to tell.
  const bool begun = status.ok() || deliveries.acknowledged.load() + deliveries.failed.load() != 0;
  if (begun) Report(options, global, deliveries, took.count(), bytes);
  return status;
}

}  // namespace

void AddProduceCommand(CLI::App* app, GlobalOptions* global) {
  auto options = std::make_shared<ProduceOptions>();
  CLI::App* command = AddCommand(
      app, "produce", "Send records from standard input or a file",
      "  seq 100 | millrace produce numbers\n"
      "  millrace produce users --file users.txt --key-separator ':'\n"
      "  apt-cache dumpavail | millrace produce packages --delimiter '\\n\\n' --key-regex "
      "'^Package: (.*)$'\n"
      "  echo '17:NULL' | millrace produce users --key-separator ':' --null-marker NULL --header "
      "source=shell\n",
      global,
      [=] { return WithNearestTopic(Produce(*options, *global), options->topic, *global); });
  command->add_option("topic", options->topic, "Topic to send to")->required();
  command->add_option("-f,--file", options->file, "Read from this file instead of standard input");
  command
      ->add_option("-d,--delimiter", options->delimiter,
                   "What stands between two records; \\n \\t \\0 \\\\ \\xNN are escapes")
      ->capture_default_str();
  CLI::Option* separator =
      command->add_option("--key-separator", options->key_separator,
                          "The key is what stands before the first one of these; escapes as in "
                          "--delimiter");
  command
      ->add_option("--key-regex", options->key_regex,
                   "The key is this expression's first group, found in the record")
      ->excludes(separator);
  command->add_option("--null-marker", options->null_marker,
                      "A key, value or header's value that is this text is null; in a compacted "
                      "topic a null value deletes its key");
  command->add_option("--header", options->headers,
                      "A header of every record, key=value; may be repeated");
  command->add_option("-p,--partition", options->partition, "Send to this partition only")
      ->check(WholeNumber(0, INT32_MAX));
  command->add_option("--acks", options->acks, "When a record counts as sent")
      ->check(OneOf({"all", "leader", "none", "-1", "0", "1"}))
      ->capture_default_str();
  command->add_option("--compression", options->compression, "Codec of the batches")
      ->check(OneOf({"none", "gzip", "snappy", "lz4", "zstd"}))
      ->capture_default_str();
  command->add_option("--property", options->properties,
                      "Producer config, name=value (see docs/configuration.md); may be repeated");
  AddConnectionOptions(command, global);
  command->get_option("--timeout")
      ->description("Seconds to wait for the topic, and if given for each acknowledgement");
  options->command = command;
}

}  // namespace millrace::tools

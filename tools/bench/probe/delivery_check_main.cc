// Sends numbered records to all partitions of a topic at a steady rate until it is told to stop
// (SIGTERM, SIGINT or --seconds), then reads all of them back and says what became of them, as one
// JSON object on stdout. Exits with 1 if any acknowledged record is lost, moved, twice or out of
// order. For tests that break a cluster meanwhile.
#include <chrono>
#include <csignal>
#include <cstdio>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "base/system_clock.h"
#include "client/consumer.h"
#include "client/position.h"
#include "client/producer.h"
#include "tools/bench/probe/delivery_check.h"

namespace millrace::bench {
namespace {

volatile std::sig_atomic_t stop_asked = 0;

struct Options {
  std::string bootstrap = "localhost:9092";
  std::string topic;
  double rate = 2000;
  double seconds = 1e9;
  size_t size = 200;
  int64_t delivery_timeout_ms = 120'000;
  bool once = false;
  // The one server that the producer talks to; empty: it finds the leaders by `bootstrap`.
  std::string send_through;
};

// What the callbacks, on the producer's own thread, share with the one who sends.
struct Told {
  explicit Told(int partitions) : check(partitions) {}
  std::mutex mutex;
  DeliveryCheck check;
  std::map<std::string, int64_t> failures;
};

absl::Status SendAll(const Options& options, int partitions, Told* told, int64_t* sent) {
  std::map<std::string, std::string> configs = {
      {"bootstrap.servers", options.bootstrap},
      {"delivery.timeout.ms", absl::StrCat(options.delivery_timeout_ms)},
      {"enable.idempotence", options.once ? "false" : "true"},
      {"client.id", "delivery-check"}};
  if (options.once) configs["retries"] = "0";
  if (!options.send_through.empty()) {
    configs["bootstrap.servers"] = options.send_through;
    configs["send.through.bootstrap"] = "true";
  }
  ASSIGN_OR_RETURN(const auto producer, client::Producer::Create(configs));
  const SystemClock clock;
  const MonotonicTime begin = clock.Now();
  std::vector<int64_t> next(static_cast<size_t>(partitions), 0);
  while (stop_asked == 0) {
    const double elapsed_s = absl::ToDoubleSeconds(clock.Now() - begin);
    if (elapsed_s > options.seconds) break;
    const auto due = static_cast<int64_t>(elapsed_s * options.rate);
    for (; *sent < due && stop_asked == 0; ++*sent) {
      const PartitionIndex partition(static_cast<int32_t>(*sent % partitions));
      const int64_t number = next[static_cast<size_t>(partition.value())]++;
      const std::string value = DeliveryCheck::Payload(partition, number, options.size);
      RETURN_IF_ERROR(producer->SendBorrowed(
          options.topic, {.value = Slice(value)}, partition,
          [told, partition, number, &clock](const client::DeliveryReport& report) {
            const std::lock_guard<std::mutex> lock(told->mutex);
            if (report.status.ok()) {
              told->check.OnAcknowledged(partition, number, report.offset, clock.Now());
            } else {
              ++told->failures[std::string(ErrorCodeName(CodeOf(report.status)))];
            }
          }));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return producer->Close(absl::Milliseconds(options.delivery_timeout_ms));
}

absl::Status ReadAll(const Options& options, int partitions, DeliveryCheck* check) {
  ASSIGN_OR_RETURN(const auto consumer,
                   client::Consumer::Create({{"bootstrap.servers", options.bootstrap}}));
  std::vector<client::NamedPartition> names;
  std::map<client::NamedPartition, client::Position> from;
  for (int i = 0; i < partitions; ++i) {
    names.push_back({options.topic, PartitionIndex(i)});
    from[names.back()] = {.kind = client::Position::Kind::kEarliest};
  }
  ASSIGN_OR_RETURN(auto range, consumer->OffsetRange(names, absl::Seconds(60)));
  int64_t left = 0;
  for (const auto& [name, offsets] : range) left += offsets.second - offsets.first;
  RETURN_IF_ERROR(consumer->Assign(std::move(from)));
  const SystemClock clock;
  MonotonicTime heard = clock.Now();
  while (left > 0) {
    ASSIGN_OR_RETURN(
        const int64_t count,
        consumer->PollBorrowed(absl::Seconds(1), [&](const client::BorrowedConsumedRecord& record) {
          check->OnRead(record.partition, record.record.offset,
                        record.record.value.value_or(Slice()));
        }));
    left -= count;
    if (count > 0) heard = clock.Now();
    if (clock.Now() - heard > absl::Seconds(60)) {
      return MakeError(ErrorCode::kRequestTimedOut,
                       absl::StrCat(left, " records that should be there are not delivered"));
    }
  }
  return absl::OkStatus();
}

// The number of partitions, once the cluster tells of the topic.
absl::StatusOr<int> CountPartitions(const Options& options) {
  ASSIGN_OR_RETURN(const auto consumer,
                   client::Consumer::Create({{"bootstrap.servers", options.bootstrap}}));
  ASSIGN_OR_RETURN(const auto partitions, consumer->Partitions(options.topic, absl::Seconds(60)));
  return static_cast<int>(partitions.size());
}

int Run(const Options& options) {
  const absl::StatusOr<int> partitions = CountPartitions(options);
  if (!partitions.ok()) {
    std::fprintf(stderr, "delivery_check: %s\n", partitions.status().ToString().c_str());
    return 2;
  }
  Told told(*partitions);
  int64_t sent = 0;
  const absl::Status sending = SendAll(options, *partitions, &told, &sent);
  if (!sending.ok()) std::fprintf(stderr, "delivery_check: %s\n", sending.ToString().c_str());
  const absl::Status reading = ReadAll(options, *partitions, &told.check);
  if (!reading.ok()) std::fprintf(stderr, "delivery_check: %s\n", reading.ToString().c_str());
  const DeliveryCheck::Verdict verdict = told.check.Judge();
  std::printf(
      "{\"sent\": %lld, \"acknowledged\": %lld, \"read\": %lld, \"lost\": %lld, \"moved\": %lld, "
      "\"duplicates\": %lld, \"out_of_order\": %lld, \"foreign\": %lld, \"longest_gap_ms\": %.1f, "
      "\"longest_partition_gap_ms\": %.1f, \"failed\": {%s}}\n",
      static_cast<long long>(sent), static_cast<long long>(verdict.acknowledged),
      static_cast<long long>(verdict.read), static_cast<long long>(verdict.lost),
      static_cast<long long>(verdict.moved), static_cast<long long>(verdict.duplicates),
      static_cast<long long>(verdict.out_of_order), static_cast<long long>(verdict.foreign),
      verdict.longest_gap_ms, verdict.longest_partition_gap_ms,
      absl::StrJoin(told.failures, ", ", [](std::string* out, const auto& failure) {
        absl::StrAppend(out, "\"", failure.first, "\": ", failure.second);
      }).c_str());
  return reading.ok() && verdict.ok() && verdict.acknowledged > 0 ? 0 : 1;
}

}  // namespace
}  // namespace millrace::bench

int main(int argc, char** argv) {
  millrace::bench::Options options;
  CLI::App app("Sends numbered records until told to stop, and checks that all are there.");
  app.add_option("--bootstrap", options.bootstrap, "addresses of the cluster");
  app.add_option("--topic", options.topic, "an existing topic that nobody else writes to")
      ->required();
  app.add_option("--rate", options.rate, "records per second, over all partitions");
  app.add_option("--seconds", options.seconds, "how long to send");
  app.add_option("--size", options.size, "bytes of a record");
  app.add_option("--delivery-timeout-ms", options.delivery_timeout_ms,
                 "how long a record is tried again");
  app.add_flag("--once", options.once, "never try again, so that each refusal is a failure");
  app.add_option("--send-through", options.send_through,
                 "a server that passes on to the leaders what is sent, instead of sending to them");
  CLI11_PARSE(app, argc, argv);
  std::signal(SIGTERM, [](int) { millrace::bench::stop_asked = 1; });
  std::signal(SIGINT, [](int) { millrace::bench::stop_asked = 1; });
  return millrace::bench::Run(options);
}

// PerfRun: load on a topic, and what came of it: the measurements behind `millrace perf`.
//
// Open loop: with a rate, every record has a time at which it is due, and its latency counts from
// there, however late the sender is (no coordinated omission). Flat out, a record is due when Send
// is called, so time spent waiting for room in the producer counts.
//
// Thread: main; the runs make and join their own.
#ifndef TOOLS_MILLRACE_PERF_RUN_H_
#define TOOLS_MILLRACE_PERF_RUN_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/config.h"
#include "tools/millrace/latency_histogram.h"

namespace millrace::tools {

struct PerfOptions {
  std::string topic;
  int64_t records = 0;
  // Bytes of each value.
  int64_t size = 100;
  // Records per second over all producers; 0: flat out (e2e: one record at a time).
  double rate = 0;
  // Threads, each with a producer of its own; their records are due in turn.
  int producers = 1;
  // For client::Producer and client::Consumer.
  ConfigValues producer;
  ConfigValues consumer;
  // Without any progress for so long a run gives up.
  absl::Duration timeout = absl::Seconds(30);
  // Called on the calling thread now and then with how many records are done; may be null.
  std::function<void(int64_t records)> progress;
};

struct PerfResult {
  // Acknowledged, or read.
  int64_t records = 0;
  int64_t bytes = 0;
  int64_t errors = 0;
  // The first of them.
  absl::Status error;
  // From the first record on its way to the last one's end.
  double seconds = 0;
  // User and system time of this process meanwhile.
  double client_cpu_s = 0;
  LatencyHistogram latency;
};

// Latency: until the record is acknowledged. A producer ends early where nothing is accepted.
absl::StatusOr<PerfResult> PerfProduce(const PerfOptions& options);
// Reads from the beginning of all partitions. Errors: REQUEST_TIMED_OUT if fewer than
// options.records come.
absl::StatusOr<PerfResult> PerfConsume(const PerfOptions& options);
// Latency: until a consumer of this process has the record. Other records in the topic are left
// out. REQUIRES: options.size >= kStampBytes; options.producers == 1 unless there is a rate.
// Errors: as PerfConsume.
absl::StatusOr<PerfResult> PerfEndToEnd(const PerfOptions& options);

// What a record of PerfEndToEnd must hold: the run's number and the time it was due.
inline constexpr int64_t kStampBytes = 16;

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_PERF_RUN_H_

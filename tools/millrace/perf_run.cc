#include "tools/millrace/perf_run.h"

#include <sys/prctl.h>
#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "client/consumer.h"
#include "client/producer.h"

namespace millrace::tools {
namespace {

constexpr absl::Duration kPollTimeout = absl::Milliseconds(200);
constexpr size_t kPoolBytes = 1 << 20;
constexpr std::chrono::milliseconds kProgressInterval{250};

int64_t NowNs() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

double CpuSeconds() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// Values of one size out of a pool of letters that no codec shrinks much, each another one: a
// compressor must not find a batch that is the same record again and again.
class ValuePool {
 public:
  explicit ValuePool(size_t size) : size_(size), pool_(kPoolBytes + size, '\0') {
    uint64_t state = 0x9e3779b97f4a7c15;
    for (char& c : pool_) {
      state = state * 6364136223846793005 + 1442695040888963407;
      c = static_cast<char>('!' + (state >> 58));
    }
  }
  std::string Value(int64_t i) const {
    return pool_.substr(static_cast<size_t>(i) * 4099 % kPoolBytes, size_);
  }

 private:
  const size_t size_;
  std::string pool_;
};

// When the records of one sender are due.
class Pace {
 public:
  Pace(double rate, int64_t start_ns) : rate_(rate), start_ns_(start_ns) {
    // Sleeps end when they should: the kernel's 50 us of slack are latency that nobody meant.
    prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
  }
  // Waits until record `i` is due, and returns that time; never waits if it has passed.
  int64_t WaitFor(int64_t i) const {
    if (rate_ <= 0) return NowNs();
    const int64_t due = start_ns_ + static_cast<int64_t>(static_cast<double>(i) * 1e9 / rate_);
    const int64_t ahead = due - NowNs();
    if (ahead > 0) std::this_thread::sleep_for(std::chrono::nanoseconds(ahead));
    return due;
  }

 private:
  const double rate_;
  const int64_t start_ns_;
};

// One thread with its producer. Its fields belong to the producer's I/O thread while it runs.
struct Sender {
  std::unique_ptr<client::Producer> producer;
  // Written by one thread, read by another for progress.
  std::atomic<int64_t> acknowledged{0};
  std::atomic<int64_t> errors{0};
  // The run has failed: that the end of the producer leaves records unacknowledged is no error.
  std::atomic<bool> abandoned{false};
  absl::Status error;
  LatencyHistogram latency;
  // Of the sending thread: what Send itself refused.
  int64_t refused = 0;
  absl::Status refusal;

  void OnDelivery(const absl::Status& status, int64_t due_ns) {
    if (status.ok()) {
      acknowledged.store(acknowledged.load(std::memory_order_relaxed) + 1,
                         std::memory_order_relaxed);
      latency.Record(NowNs() - due_ns);
    } else if (!abandoned) {
      ++errors;
      error.Update(status);
    }
  }
  // False: nothing is to be expected of the next one either, which may take as long: Send itself
  // has refused this one while no other was accepted, or nothing but errors came back so far.
  bool Send(const std::string& topic, std::string value, int64_t due_ns) {
    const int64_t before = acknowledged.load(std::memory_order_relaxed);
    if (before == 0 && errors.load(std::memory_order_relaxed) > 0) return false;
    client::Record record;
    record.value = std::move(value);
    const absl::Status status =
        producer->Send(topic, std::move(record), std::nullopt,
                       [this, due_ns](const client::DeliveryReport& report) {
                         OnDelivery(report.status, due_ns);
                       });
    if (status.ok()) return true;
    ++refused;
    refusal.Update(status);
    return acknowledged.load(std::memory_order_relaxed) > before;
  }
};

// The records of sender `k` of a run, each as the Pace says: with a rate, the senders take turns.
template <class Send>
void SendShare(const PerfOptions& options, int k, int64_t start_ns, const Send& send) {
  const int64_t count =
      options.records / options.producers + (k < options.records % options.producers ? 1 : 0);
  const int64_t turn_ns =
      options.rate > 0 ? static_cast<int64_t>(static_cast<double>(k) * 1e9 / options.rate) : 0;
  const Pace pace(options.rate / options.producers, start_ns + turn_ns);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t due = pace.WaitFor(i);
    if (!send(i, due)) return;
  }
}

using Senders = std::vector<std::unique_ptr<Sender>>;

absl::StatusOr<Senders> MakeSenders(const PerfOptions& options) {
  Senders senders;
  for (int k = 0; k < options.producers; ++k) {
    senders.push_back(std::make_unique<Sender>());
    ASSIGN_OR_RETURN(senders.back()->producer, client::Producer::Create(options.producer));
  }
  return senders;
}

int64_t Acknowledged(const Senders& senders) {
  int64_t records = 0;
  for (const auto& sender : senders) {
    records += sender->acknowledged.load(std::memory_order_relaxed);
  }
  return records;
}

// Ends the senders' I/O threads, after which their counts are ours.
void CollectErrors(const Senders& senders, PerfResult* result) {
  for (const auto& sender : senders) {
    sender->producer.reset();
    result->errors += sender->errors.load() + sender->refused;
    result->error.Update(sender->error);
    result->error.Update(sender->refusal);
  }
}

struct Reading {
  std::unique_ptr<client::Consumer> consumer;
  std::vector<client::NamedPartition> partitions;
};

absl::StatusOr<Reading> OpenReading(const PerfOptions& options) {
  Reading reading;
  ASSIGN_OR_RETURN(reading.consumer, client::Consumer::Create(options.consumer));
  ASSIGN_OR_RETURN(const auto partitions,
                   reading.consumer->Partitions(options.topic, options.timeout));
  for (PartitionIndex partition : partitions) {
    reading.partitions.push_back({options.topic, partition});
  }
  return reading;
}

absl::Status TooFew(const PerfOptions& options, int64_t records) {
  return MakeError(
      ErrorCode::kRequestTimedOut,
      absl::StrCat("only ", records, " of ", options.records, " records came from topic '",
                   options.topic, "', and none for ", absl::FormatDuration(options.timeout),
                   "; ask for fewer with --records, or produce more first"),
      {.name = "--records", .value = absl::StrCat(options.records)});
}

std::string Stamped(std::string value, int64_t run, int64_t due_ns) {
  std::memcpy(value.data(), &run, sizeof(run));
  std::memcpy(value.data() + sizeof(run), &due_ns, sizeof(due_ns));
  return value;
}

// The time in the stamp; nullopt if the record is of another run.
std::optional<int64_t> DueOf(const client::ConsumedRecord& consumed, int64_t run) {
  const std::optional<std::string>& value = consumed.record.value;
  if (!value.has_value() || value->size() < static_cast<size_t>(kStampBytes)) return std::nullopt;
  int64_t stamp[2];
  std::memcpy(stamp, value->data(), sizeof(stamp));
  if (stamp[0] != run) return std::nullopt;
  return stamp[1];
}

// Begins at what is the end now, so that nothing sent from here on is missed.
absl::Status AssignEnd(const PerfOptions& options, const Reading& reading) {
  ASSIGN_OR_RETURN(const auto ranges,
                   reading.consumer->OffsetRange(reading.partitions, options.timeout));
  std::map<client::NamedPartition, client::Position> positions;
  for (const auto& [partition, range] : ranges) {
    positions[partition] = {.kind = client::Position::Kind::kOffset, .offset = range.second};
  }
  return reading.consumer->Assign(std::move(positions));
}

int64_t BytesOf(const record::RecordView& record) {
  return static_cast<int64_t>((record.key ? record.key->size() : 0) +
                              (record.value ? record.value->size() : 0));
}

void Finish(double cpu_before, int64_t start_ns, int64_t end_ns, PerfResult* result) {
  result->client_cpu_s = CpuSeconds() - cpu_before;
  result->seconds = static_cast<double>(end_ns - start_ns) / 1e9;
}

}  // namespace

absl::StatusOr<PerfResult> PerfProduce(const PerfOptions& options) {
  const ValuePool values(static_cast<size_t>(options.size));
  ASSIGN_OR_RETURN(const Senders senders, MakeSenders(options));
  const double cpu = CpuSeconds();
  const int64_t start_ns = NowNs();
  std::vector<std::future<void>> threads;
  for (int k = 0; k < options.producers; ++k) {
    threads.push_back(std::async(std::launch::async, [&, k] {
      Sender* const sender = senders[static_cast<size_t>(k)].get();
      SendShare(options, k, start_ns, [&](int64_t i, int64_t due) {
        return sender->Send(options.topic, values.Value(i), due);
      });
      sender->refusal.Update(sender->producer->Close(absl::InfiniteDuration()));
    }));
  }
  for (const std::future<void>& thread : threads) {
    while (thread.wait_for(kProgressInterval) != std::future_status::ready) {
      if (options.progress != nullptr) options.progress(Acknowledged(senders));
    }
  }
  PerfResult result;
  Finish(cpu, start_ns, NowNs(), &result);
  CollectErrors(senders, &result);
  result.records = Acknowledged(senders);
  for (const auto& sender : senders) result.latency.Merge(sender->latency);
  result.bytes = result.records * options.size;
  return result;
}

absl::StatusOr<PerfResult> PerfConsume(const PerfOptions& options) {
  ASSIGN_OR_RETURN(const Reading reading, OpenReading(options));
  std::map<client::NamedPartition, client::Position> positions;
  for (const auto& partition : reading.partitions) positions[partition] = {};
  PerfResult result;
  const double cpu = CpuSeconds();
  const int64_t start_ns = NowNs();
  int64_t last_ns = start_ns;
  RETURN_IF_ERROR(reading.consumer->Assign(std::move(positions)));
  while (result.records < options.records) {
    ASSIGN_OR_RETURN(const int64_t records,
                     reading.consumer->PollBorrowed(
                         kPollTimeout, [&](const client::BorrowedConsumedRecord& record) {
                           result.bytes += BytesOf(record.record);
                         }));
    const int64_t now_ns = NowNs();
    if (records > 0) last_ns = now_ns;
    if (absl::Nanoseconds(now_ns - last_ns) > options.timeout) {
      return TooFew(options, result.records);
    }
    result.records += records;
    if (options.progress != nullptr) options.progress(result.records);
  }
  Finish(cpu, start_ns, last_ns, &result);
  return result;
}

absl::StatusOr<PerfResult> PerfEndToEnd(const PerfOptions& options) {
  const ValuePool values(static_cast<size_t>(options.size));
  ASSIGN_OR_RETURN(const Reading reading, OpenReading(options));
  RETURN_IF_ERROR(AssignEnd(options, reading));
  ASSIGN_OR_RETURN(const Senders senders, MakeSenders(options));
  PerfResult result;
  const double cpu = CpuSeconds();
  const int64_t start_ns = NowNs();
  const int64_t run = start_ns;
  int64_t last_ns = start_ns;
  const auto send = [&](int k, int64_t i, int64_t due) {
    return senders[static_cast<size_t>(k)]->Send(options.topic, Stamped(values.Value(i), run, due),
                                                 due);
  };
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int k = 0; options.rate > 0 && k < options.producers; ++k) {
    threads.emplace_back([&, k] {
      SendShare(options, k, start_ns,
                [&](int64_t i, int64_t due) { return send(k, i, due) && !stop; });
    });
  }
  if (options.rate <= 0) send(0, 0, NowNs());
  absl::Status status;
  while (result.records < options.records) {
    absl::StatusOr<std::vector<client::ConsumedRecord>> records =
        reading.consumer->Poll(kPollTimeout);
    if (status = records.status(); !status.ok()) break;
    const int64_t now_ns = NowNs();
    for (const client::ConsumedRecord& record : *records) {
      const std::optional<int64_t> due = DueOf(record, run);
      if (!due.has_value()) continue;
      result.latency.Record(now_ns - *due);
      last_ns = now_ns;
      ++result.records;
      if (options.rate <= 0 && result.records < options.records) send(0, result.records, NowNs());
    }
    if (options.progress != nullptr) options.progress(result.records);
    if (absl::Nanoseconds(now_ns - last_ns) <= options.timeout) continue;
    status = TooFew(options, result.records);
    break;
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  Finish(cpu, start_ns, last_ns, &result);
  for (const auto& sender : senders) {
    if (status.ok()) {
      // A record may be read before its sender hears of it.
      sender->refusal.Update(sender->producer->Close(options.timeout));
    } else {
      sender->abandoned = true;
    }
  }
  CollectErrors(senders, &result);
  // What was refused cannot come: that is said, and not that nothing came.
  if (!status.ok()) return result.error.ok() ? status : result.error;
  result.bytes = result.records * options.size;
  return result;
}

}  // namespace millrace::tools

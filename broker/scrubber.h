// Scrubber: reads the logs of one shard from their files, slowly and from time to time, so that
// damage is found while there are other replicas to repair it from, and not only by the reader who
// needs what it hit.
//
// Leaders and followers alike, from the first segment's beginning to the high watermark; what lies
// above is not committed, and is read in the next pass. Each read is checked as every read is. Not
// here: what is done about damage (repair_queue.h).
//
// Thread: its shard's executor.
#ifndef BROKER_SCRUBBER_H_
#define BROKER_SCRUBBER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/counters.h"
#include "base/deadline_timer.h"
#include "base/executor.h"
#include "base/ids.h"
#include "broker/shard.h"

namespace millrace::broker {

struct ScrubPace {
  // From the begin of one pass over all logs to that of the next; zero: there is none.
  absl::Duration interval;
  // Of this shard.
  int64_t bytes_per_second = 0;

  friend bool operator==(const ScrubPace&, const ScrubPace&) = default;
};

class Scrubber : public std::enable_shared_from_this<Scrubber> {
 public:
  // The first pass begins this long after the start, or after the interval if that is shorter: a
  // broker that is restarted often is scrubbed all the same.
  static constexpr absl::Duration kFirstPassAfter = absl::Minutes(10);

  // `metrics` may be null. Nothing is read before SetPace.
  Scrubber(const std::shared_ptr<Shard>& shard, MetricRegistry* metrics);

  // Holds from the next read on.
  void SetPace(const ScrubPace& pace);

 private:
  struct Metrics {
    Counter* bytes = nullptr;
    Counter* passes = nullptr;
  };
  static Metrics MakeMetrics(MetricRegistry* registry);

  void OnTimer();
  void BeginPass(Shard& shard);
  // The next read, if any is left in this pass.
  void ReadNext();
  absl::StatusOr<LogRead> BeginRead(Shard& shard);
  void OnRead(const absl::StatusOr<storage::ReadResult>& read);
  void SkipSegment(Shard& shard);
  void EndPass();

  const std::weak_ptr<Shard> shard_;
  const Clock& clock_;
  Executor* const executor_;
  const Metrics metrics_;
  const MonotonicTime started_;
  ScrubPace pace_;
  // Of the pass under way, or of the last.
  MonotonicTime pass_began_;
  bool any_pass_ = false;
  // What is left of the pass, the present one last; empty: none is under way.
  std::vector<TopicPartition> left_;
  // Where the next read of it begins; nullopt: at its beginning.
  std::optional<Offset> next_;
  MonotonicTime read_began_;
  bool reading_ = false;
  DeadlineTimer timer_;
};

}  // namespace millrace::broker

#endif  // BROKER_SCRUBBER_H_

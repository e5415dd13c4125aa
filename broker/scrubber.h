// Scrubber: reads the logs of one shard from their files, slowly and from time to time, so that
// damage is found while there are other replicas to repair it from, and not only by the reader who
// needs what it hit.
//
// Leaders and followers alike, from the first segment's beginning to the high watermark; what lies
// above is not committed, and is read in the next pass. Each read is checked as every read is. A
// disk that does not answer is passed over, with all its logs, until it does (S-37). Not here: what
// is done about damage (repair_queue.h).
//
// Thread: its shard's executor.
#ifndef BROKER_SCRUBBER_H_
#define BROKER_SCRUBBER_H_

#include <cstddef>
#include <cstdint>
#include <map>
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
  // A disk that takes longer for a read hangs: nobody waits for this one, and it may be busy.
  static constexpr absl::Duration kPatience = absl::Seconds(30);

  // `metrics` may be null. Nothing is read before SetPace.
  Scrubber(const std::shared_ptr<Shard>& shard, MetricRegistry* metrics);

  // Holds from the next read on.
  void SetPace(const ScrubPace& pace);

 private:
  struct Metrics {
    Counter* bytes = nullptr;
    Counter* passes = nullptr;
  };
  // A read that is not waited for any more.
  struct Late {
    Executor* cold_reads = nullptr;
    TopicPartition partition;
    Offset from;
  };
  static Metrics MakeMetrics(MetricRegistry* registry);

  void OnTimer();
  void BeginPass(Shard& shard);
  // The next read, if any is left in this pass.
  void ReadNext();
  absl::StatusOr<LogRead> BeginRead(Shard& shard);
  void OnRead(uint64_t number, const absl::StatusOr<storage::ReadResult>& read);
  // The read under way takes too long.
  void OnHang();
  // One that was given up has ended.
  void OnLate(uint64_t number, const absl::StatusOr<storage::ReadResult>& read);
  // The present log is at its end, as far as this pass goes.
  void NextLog() {
    left_.pop_back();
    next_.reset();
  }
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
  // The read under way, by the pool of its directory; null: there is none.
  Executor* reading_ = nullptr;
  uint64_t read_number_ = 0;
  // By the number of the read; one for each directory that hangs.
  std::map<uint64_t, Late> late_;
  DeadlineTimer timer_;
};

}  // namespace millrace::broker

#endif  // BROKER_SCRUBBER_H_

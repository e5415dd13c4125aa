// OffsetLookup: asks leaders for offsets on behalf of a caller who waits: where partitions begin,
// where they end, and where a time lies in them.
//
// Not the lookups by which a consumer's own positions are found: those are ConsumerCore's, which
// waits for nobody. What a leader refuses for now, and what has no leader now, is asked again until
// the deadline.
//
// Thread: Ask: one caller at a time, not the strand.
#ifndef CLIENT_OFFSET_LOOKUP_H_
#define CLIENT_OFFSET_LOOKUP_H_

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "api/fetch.h"
#include "base/clock.h"
#include "base/executor.h"
#include "client/consumer_strand.h"
#include "client/position.h"
#include "client/topic_news.h"

namespace millrace::client {

class OffsetLookup {
 public:
  struct Options {
    api::IsolationLevel isolation_level = api::IsolationLevel::kReadCommitted;
    absl::Duration request_timeout;
    absl::Duration retry_backoff;
  };
  using Wanted = std::map<NamedPartition, Position>;
  // kNoOffset where no record is at or after the time.
  using Found = std::map<NamedPartition, OffsetAndTime>;

  // All but the options outlive the lookup.
  OffsetLookup(Options options, Executor* executor, ConsumerStrand* strand, TopicNews* news,
               const Clock* clock)
      : options_(options), executor_(executor), strand_(strand), news_(news), clock_(clock) {}

  // Has the topics watched, and waits until the cluster has told of them. Errors: as AwaitTopic.
  absl::Status AwaitTopics(const std::set<std::string>& topics, MonotonicTime deadline);

  // An entry for each partition asked for. REQUIRES: no position is kOffset. Errors: as
  // AwaitTopics; UNKNOWN_TOPIC_OR_PARTITION naming the partition; REQUEST_TIMED_OUT or the latest
  // refusal at the deadline.
  absl::StatusOr<Found> Ask(Wanted wanted, MonotonicTime deadline);

 private:
  // One try; what was answered goes from `wanted` to `found`. Errors: why some were not, if any.
  absl::Status Try(absl::Duration timeout, Wanted* wanted, Found* found);

  const Options options_;
  Executor* const executor_;
  ConsumerStrand* const strand_;
  TopicNews* const news_;
  const Clock* const clock_;
};

}  // namespace millrace::client

#endif  // CLIENT_OFFSET_LOOKUP_H_

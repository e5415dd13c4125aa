// Consumer: reads partitions that the caller assigns, over one FetchStream per broker, ahead of the
// caller within a byte budget.
//
// The logic is in consumer_core.h (pure); this is its shell.
//
// Thread: one caller at a time, from any thread: calls must not overlap. Nothing of the caller's
// runs on the consumer's own I/O thread.
#ifndef CLIENT_CONSUMER_H_
#define CLIENT_CONSUMER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/config.h"
#include "client/position.h"
#include "client/record.h"

namespace millrace::client {

struct ConsumerConfig {
  std::vector<std::string> bootstrap_servers;
  std::string client_id;
  std::string security_protocol;  // "PLAINTEXT", "SSL".
  std::string ssl_truststore_location;
  std::string ssl_keystore_location;
  std::string client_rack;
  std::string isolation_level;    // "read_committed", "read_uncommitted".
  std::string auto_offset_reset;  // "earliest", "latest", "none": for positions out of range.
  int64_t fetch_max_bytes = 0;
  int64_t max_partition_fetch_bytes = 0;
  int64_t max_poll_records = 0;
  // Bytes fetched ahead of the caller, over all partitions.
  int64_t prefetch_bytes = 0;
  int64_t request_timeout_ms = 0;
  int64_t retry_backoff_ms = 0;
  bool check_crcs = true;
};

const ConfigSchema<ConsumerConfig>& ConsumerSchema();

class Consumer {
 public:
  // Starts connecting when it is first asked for something. Errors: INVALID_CONFIG.
  static absl::StatusOr<std::unique_ptr<Consumer>> Create(const ConfigValues& config);
  virtual ~Consumer() = default;

  // The partitions of a topic now. Errors: UNKNOWN_TOPIC_OR_PARTITION, REQUEST_TIMED_OUT.
  virtual absl::StatusOr<std::vector<PartitionIndex>> Partitions(const std::string& topic,
                                                                 absl::Duration timeout) = 0;
  // Which topic of that name it is now: for whoever keeps positions, since those of one that was
  // deleted mean other records in one that was made again. Errors: as Partitions.
  virtual absl::StatusOr<TopicId> TopicIdOf(const std::string& topic, absl::Duration timeout) = 0;
  // Replaces the assignment. Records of partitions no longer assigned are not returned any more.
  virtual absl::Status Assign(std::map<NamedPartition, Position> partitions) = 0;
  // Nothing from before it is returned after it. Also ends the failure of a partition.
  // REQUIRES of the three: assigned, else INVALID_REQUEST.
  virtual absl::Status Seek(const NamedPartition& partition, Position position) = 0;
  // Stops fetching and returning; what was fetched ahead is dropped and fetched again. Where a
  // partition begins is looked up nevertheless: "latest" is the end of when it was assigned or
  // sought, not of when it is resumed.
  virtual absl::Status Pause(const std::vector<NamedPartition>& partitions) = 0;
  // Goes on where it was paused, or where it was sought to meanwhile.
  virtual absl::Status Resume(const std::vector<NamedPartition>& partitions) = 0;

  // Up to max.poll.records records, as soon as there is one; empty after `timeout`. Errors that
  // need the caller (OFFSET_OUT_OF_RANGE with reset none, CORRUPT_LOG, a topic deleted) name the
  // partition, and come after the records before it, until it is sought or assigned anew. An
  // OFFSET_OUT_OF_RANGE for which TruncatedAt (read_position.h) tells an offset says that records
  // which were returned are not in the log any more, after an unclean election.
  virtual absl::StatusOr<std::vector<ConsumedRecord>> Poll(absl::Duration timeout) = 0;
  // The same without copies: calls `take` with each record, where it lies, and returns how many
  // there were. `take` must not call the consumer.
  virtual absl::StatusOr<int64_t> PollBorrowed(
      absl::Duration timeout, absl::FunctionRef<void(const BorrowedConsumedRecord&)> take) = 0;

  // Offset of the next record that Poll would return; kNoOffset while it is being looked up.
  virtual absl::StatusOr<Offset> PositionOf(const NamedPartition& partition) = 0;
  // The same for Assign or Seek, with the leader epoch of the record before it. To go on there
  // after a restart, keep it once the records before it have been dealt with: then it is noticed,
  // too, if an unclean election takes these records away meanwhile.
  virtual absl::StatusOr<Position> ResumePositionOf(const NamedPartition& partition) = 0;

  // The four below are asked from the leaders, for partitions assigned or not. Errors:
  // UNKNOWN_TOPIC_OR_PARTITION; REQUEST_TIMED_OUT or BROKER_NOT_AVAILABLE after `timeout`.
  //
  // First offset, and the end as a reader sees it (the last stable offset).
  virtual absl::StatusOr<std::map<NamedPartition, std::pair<Offset, Offset>>> OffsetRange(
      const std::vector<NamedPartition>& partitions, absl::Duration timeout) = 0;
  virtual absl::StatusOr<std::map<NamedPartition, Offset>> BeginningOffsets(
      const std::vector<NamedPartition>& partitions, absl::Duration timeout) = 0;
  virtual absl::StatusOr<std::map<NamedPartition, Offset>> EndOffsets(
      const std::vector<NamedPartition>& partitions, absl::Duration timeout) = 0;
  // The first record at or after each time (milliseconds since the Unix epoch). Partitions without
  // one are left out.
  virtual absl::StatusOr<std::map<NamedPartition, OffsetAndTime>> OffsetsForTimes(
      const std::map<NamedPartition, int64_t>& times_ms, absl::Duration timeout) = 0;
};

}  // namespace millrace::client

#endif  // CLIENT_CONSUMER_H_

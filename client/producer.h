// Producer: sends records to topics, in batches, pipelined over one ProduceStream per broker.
//
// A batch leaves at once when nothing is in flight for its partition's broker and fills while a
// request is (linger_ms only adds to that). Retriable failures are sent again, in order per
// partition (S-23), until delivery_timeout_ms; leaders are followed by WatchTopics and by hints.
// Keys choose the partition by murmur2 as Kafka's Java client does; records without a key stick to
// one partition for a batch's bytes (partitioner.h).
//
// The logic is in producer_core.h (pure); this is its shell.
//
// Thread: one caller at a time, from any thread: calls must not overlap (make a producer per
// thread). Delivery callbacks run on the producer's own I/O thread, one at a time; those of a
// partition in the order of Send, but for records that expire while earlier ones are unanswered.
// They must not block and must not call the producer. All have run, and what they hold is gone,
// when Close or the destructor returns.
#ifndef CLIENT_PRODUCER_H_
#define CLIENT_PRODUCER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/config.h"
#include "client/partitioner.h"
#include "client/record.h"

namespace millrace::client {

// Kafka's names and meanings; see ProducerSchema for defaults and ranges.
struct ProducerConfig {
  std::vector<std::string> bootstrap_servers;
  std::string client_id;
  std::string security_protocol;  // "PLAINTEXT", "SSL".
  std::string ssl_truststore_location;
  std::string ssl_keystore_location;
  bool enable_idempotence = true;
  std::string acks;  // "none"/"0", "leader"/"1", "all"/"-1".
  std::string compression_type;
  int64_t linger_ms = 0;
  int64_t batch_size = 0;
  int64_t buffer_memory = 0;
  int64_t max_request_size = 0;
  int64_t max_in_flight = 0;
  int64_t max_block_ms = 0;
  int64_t delivery_timeout_ms = 0;
  int64_t request_timeout_ms = 0;
  int64_t retries = 0;
  int64_t retry_backoff_ms = 0;
  std::string partitioner_class;  // "default", "round_robin".
  bool partitioner_ignore_keys = false;
  bool partitioner_adaptive = true;
  bool send_through_bootstrap = false;
};

const ConfigSchema<ProducerConfig>& ProducerSchema();

class Producer {
 public:
  using DeliveryCallback = absl::AnyInvocable<void(const DeliveryReport&) &&>;

  // Starts connecting in the background. `partitioner`, if there is one, decides for every record
  // that no partition is asked for, in place of partitioner.class. Errors: INVALID_CONFIG.
  static absl::StatusOr<std::unique_ptr<Producer>> Create(const ConfigValues& config,
                                                          CustomPartitioner partitioner = nullptr);
  // Close with no time to spare: what is not acknowledged fails with CANCELLED.
  virtual ~Producer() = default;

  // Queues a record. `partition` overrides key and partitioner. `done` may be null; else it is
  // called once, with the record's fate. Waits up to max_block_ms for a topic that is not known yet
  // and while buffer_memory is full. Errors (then the callback is not called): RESOURCE_EXHAUSTED
  // still full; MESSAGE_TOO_LARGE; UNKNOWN_TOPIC_OR_PARTITION; BROKER_NOT_AVAILABLE or
  // REQUEST_TIMED_OUT if nobody tells of the topic; AUTHORIZATION_FAILED, at once, if every server
  // refuses this client; SHUTTING_DOWN after Close.
  virtual absl::Status Send(const std::string& topic, Record record,
                            std::optional<PartitionIndex> partition, DeliveryCallback done) = 0;
  // The same for a record whose parts lie elsewhere: they are encoded into the batch before this
  // returns, and nothing is allocated for the record itself.
  virtual absl::Status SendBorrowed(const std::string& topic, const BorrowedRecord& record,
                                    std::optional<PartitionIndex> partition,
                                    DeliveryCallback done) = 0;

  // Sends all that is queued without waiting for linger, and waits until each has been acknowledged
  // or has failed. Errors: REQUEST_TIMED_OUT if `timeout` passes first.
  virtual absl::Status Flush(absl::Duration timeout) = 0;

  // Flush, then stop. Sending is refused from here on. What is not acknowledged after `timeout` is
  // told CANCELLED by its callback; its outcome is then unknown. Errors: as Flush.
  virtual absl::Status Close(absl::Duration timeout) = 0;
};

}  // namespace millrace::client

#endif  // CLIENT_PRODUCER_H_

// ApiClient: the public API as a test calls it: generated stubs, one connection of its own, no
// retries and no cleverness, so that what the server answers is what the test sees.
//
// Thread: any; the helpers are blocking calls.
#ifndef TEST_CLUSTER_API_CLIENT_H_
#define TEST_CLUSTER_API_CLIENT_H_

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "millrace/v1/admin_service.grpc.pb.h"
#include "millrace/v1/log_service.grpc.pb.h"

namespace millrace::test {

inline constexpr absl::Duration kCallTimeout = absl::Seconds(30);

// A context with a deadline; calls of it fail at once when there is no connection.
std::unique_ptr<grpc::ClientContext> NewContext(absl::Duration timeout = kCallTimeout);

class ApiClient {
 public:
  // "host:port". Connects at the first call.
  explicit ApiClient(const std::string& address);

  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  v1::LogService::Stub& log() { return *log_; }
  v1::AdminService::Stub& admin() { return *admin_; }

  // Each of these makes one call; errors are those of the call, or of its only result. CreateTopic
  // also waits until all partitions are served: what was created is open a moment later.
  absl::Status CreateTopic(const std::string& topic, int partitions = 1,
                           const std::map<std::string, std::string>& configs = {});
  absl::StatusOr<v1::ProducePartitionResult> Produce(const v1::ProducePartition& partition,
                                                     v1::Acks acks = v1::ACKS_ALL);
  // Plain records with these values.
  absl::StatusOr<v1::ProducePartitionResult> ProduceValues(const std::string& topic, int partition,
                                                           const std::vector<std::string>& values);
  // Encoded batches, as they are.
  absl::StatusOr<v1::ProducePartitionResult> ProduceBatches(const std::string& topic, int partition,
                                                            const std::string& batches);
  absl::StatusOr<v1::FetchPartitionResult> Fetch(
      const std::string& topic, int partition, int64_t offset,
      v1::RecordFormat format = v1::RECORD_FORMAT_RECORDS, int max_wait_ms = 0);
  absl::StatusOr<v1::ListOffsetsPartitionResult> ListOffsets(const std::string& topic,
                                                             int partition,
                                                             v1::OffsetPosition position,
                                                             int64_t timestamp_ms = 0);
  // Sets one config of a topic.
  absl::Status SetTopicConfig(const std::string& topic, const std::string& name,
                              const std::string& value, bool validate_only = false);
  absl::StatusOr<v1::ConfigDescription> DescribeTopicConfig(const std::string& topic,
                                                            const std::string& name);
  // The 16 bytes of a topic's id.
  absl::StatusOr<std::string> TopicIdOf(const std::string& topic);

  // All values from `offset` to the high watermark.
  absl::StatusOr<std::vector<std::string>> ReadValues(const std::string& topic, int partition,
                                                      int64_t offset = 0);

 private:
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<v1::LogService::Stub> log_;
  const std::unique_ptr<v1::AdminService::Stub> admin_;
};

// The error of a result; OK for ERROR_CODE_UNSPECIFIED.
absl::Status ResultError(v1::ErrorCode code, const std::string& message);

}  // namespace millrace::test

#endif  // TEST_CLUSTER_API_CLIENT_H_

#include "metadata/image_parts.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "metadata/image_records.h"
#include "millrace/internal/v1/metadata_image.pb.h"

namespace millrace::metadata {
namespace {

namespace stored = ::millrace::internal::v1;

template <class Message>
absl::Status Parse(absl::string_view what, Slice value, Message* message) {
  if (message->ParseFromArray(value.data(), static_cast<int>(value.size()))) {
    return absl::OkStatus();
  }
  return MakeError(ErrorCode::kCorruptLog, absl::StrCat("a stored ", what, " cannot be parsed"));
}

absl::Status CheckId(absl::string_view what, const std::string& id) {
  if (id.size() == Uuid::kSize) return absl::OkStatus();
  return MakeError(ErrorCode::kCorruptLog,
                   absl::StrCat("a stored ", what, " has an id that is not 16 bytes"));
}

}  // namespace

std::string EncodeBroker(const BrokerImage& broker) {
  stored::StoredBroker message;
  *message.mutable_registration() = RegistrationRecordOf(broker);
  message.set_broker_epoch(broker.epoch.value());
  message.set_state(StateToRecord(broker.state));
  message.set_was_active(broker.was_active);
  message.set_cordoned(broker.cordoned);
  return message.SerializeAsString();
}

std::string EncodeTopic(const TopicImage& topic) {
  records::TopicRecord message;
  message.set_topic_id(topic.id.ToBytes());
  message.set_name(topic.name);
  return message.SerializeAsString();
}

std::string EncodePartition(const TopicPartition& id, const PartitionImage& partition) {
  return PartitionRecordOf(id, partition).SerializeAsString();
}

std::string EncodeConfig(const ConfigOwner& owner, const std::string& key,
                         const std::string& value) {
  return ConfigRecordOf(owner, key, &value).SerializeAsString();
}

std::string EncodeRequestClient(RequestClientId id, const RequestClient& client) {
  stored::StoredRequestClient message;
  message.set_client_id(id.ToBytes());
  message.set_forgotten_through(client.forgotten_through);
  message.set_time_ms(client.time_ms);
  message.set_index(client.index.value());
  return message.SerializeAsString();
}

std::string EncodeCompletedRequest(const RequestKey& key, const CompletedRequest& request) {
  stored::StoredCompletedRequest message;
  *message.mutable_record() = CompletedRequestRecordOf(key, request);
  message.set_index(request.index.value());
  return message.SerializeAsString();
}

absl::Status AddBroker(Slice value, ImageEditor* editor) {
  stored::StoredBroker message;
  RETURN_IF_ERROR(Parse("broker", value, &message));
  // The same checks that a record of the log passes.
  RETURN_IF_ERROR(CheckId("broker", message.registration().incarnation_id()));
  for (const auto& dir : message.registration().log_dirs()) {
    RETURN_IF_ERROR(CheckId("broker", dir.directory_id()));
  }
  BrokerImage broker = BrokerFrom(message.registration(), BrokerEpoch(message.broker_epoch()));
  broker.state = StateFromRecord(message.state());
  broker.was_active = message.was_active();
  broker.cordoned = message.cordoned();
  editor->SetBroker(std::move(broker));
  return absl::OkStatus();
}

absl::StatusOr<TopicId> AddTopic(Slice value, ImageEditor* editor) {
  records::TopicRecord message;
  RETURN_IF_ERROR(Parse("topic", value, &message));
  RETURN_IF_ERROR(CheckId("topic", message.topic_id()));
  const TopicId id = IdFrom<TopicId>(message.topic_id());
  editor->AddTopic(id, message.name());
  return id;
}

absl::StatusOr<TopicPartition> AddPartition(Slice value, ImageEditor* editor) {
  records::PartitionRecord message;
  RETURN_IF_ERROR(Parse("partition", value, &message));
  RETURN_IF_ERROR(CheckId("partition", message.topic_id()));
  for (const auto& replica : message.replicas()) {
    RETURN_IF_ERROR(CheckId("partition", replica.directory_id()));
  }
  const TopicPartition id{IdFrom<TopicId>(message.topic_id()), PartitionIndex(message.partition())};
  editor->SetPartition(id, PartitionFrom(message));
  return id;
}

absl::Status AddConfig(Slice value, ImageEditor* editor) {
  records::ConfigRecord message;
  RETURN_IF_ERROR(Parse("config", value, &message));
  editor->SetConfig(OwnerFrom(message), message.key(), &message.value());
  return absl::OkStatus();
}

absl::StatusOr<RequestClientId> AddRequestClient(Slice value, ImageEditor* editor) {
  stored::StoredRequestClient message;
  RETURN_IF_ERROR(Parse("client of requests", value, &message));
  RETURN_IF_ERROR(CheckId("client of requests", message.client_id()));
  const auto id = IdFrom<RequestClientId>(message.client_id());
  editor->completed_requests().RestoreClient(id, {.forgotten_through = message.forgotten_through(),
                                                  .time_ms = message.time_ms(),
                                                  .index = LogIndex(message.index()),
                                                  .requests = {}});
  return id;
}

absl::StatusOr<RequestKey> AddCompletedRequest(Slice value, ImageEditor* editor) {
  stored::StoredCompletedRequest message;
  RETURN_IF_ERROR(Parse("completed request", value, &message));
  RETURN_IF_ERROR(CheckId("completed request", message.record().client_id()));
  const RequestKey key = RequestKeyFrom(message.record());
  if (editor->completed_requests().FindClient(key.client) == nullptr) {
    return MakeError(ErrorCode::kCorruptLog,
                     absl::StrCat("a stored completed request is out of its place: its client ",
                                  key.client.ToString(), " is not there"));
  }
  editor->completed_requests().RestoreRequest(
      key, CompletedRequestFrom(message.record(), LogIndex(message.index())));
  return key;
}

}  // namespace millrace::metadata

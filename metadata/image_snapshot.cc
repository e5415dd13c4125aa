#include "metadata/image_snapshot.h"

#include <cstdint>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/coding.h"
#include "base/status.h"
#include "metadata/image_editor.h"
#include "metadata/image_parts.h"
#include "metadata/image_records.h"
#include "millrace/internal/v1/metadata_image.pb.h"

namespace millrace::metadata {
namespace {

namespace stored = ::millrace::internal::v1;

constexpr char kFormatVersion = 1;

// The first byte of a part says what it is; in this order.
constexpr char kHeadPart = 'h';
constexpr char kBrokerPart = 'b';
constexpr char kTopicPart = 't';  // Followed by its partitions.
constexpr char kPartitionPart = 'p';
constexpr char kConfigPart = 'c';
constexpr char kRequestClientPart = 'u';  // Followed by its requests.
constexpr char kCompletedRequestPart = 'r';

void AppendPart(char kind, Slice value, std::string* out) {
  out->push_back(kind);
  AppendVarint(value.size(), out);
  out->append(value.data(), value.size());
}

class Decoder {
 public:
  explicit Decoder(Slice bytes) : reader_(bytes) {}

  absl::StatusOr<Image> Run() {
    RETURN_IF_ERROR(ReadHead());
    while (!reader_.empty()) {
      const size_t at = reader_.position();
      RETURN_IF_ERROR(At(at, ReadPart()));
    }
    Image image = std::move(editor_).Finish();
    RETURN_IF_ERROR(CheckCount("brokers", brokers_, head_.broker_count()));
    RETURN_IF_ERROR(CheckCount("topics", topics_, head_.topic_count()));
    RETURN_IF_ERROR(CheckCount("partitions", partitions_, head_.partition_count()));
    RETURN_IF_ERROR(CheckCount("configs", configs_, head_.config_count()));
    RETURN_IF_ERROR(
        CheckCount("clients of requests", request_clients_, head_.request_client_count()));
    RETURN_IF_ERROR(
        CheckCount("completed requests", completed_requests_, head_.completed_request_count()));
    // The same one twice.
    RETURN_IF_ERROR(CheckCount("brokers", image.broker_count(), brokers_));
    RETURN_IF_ERROR(CheckCount("topics", image.topic_count(), topics_));
    const CompletedRequests& requests = image.completed_requests();
    RETURN_IF_ERROR(CheckCount("clients of requests", requests.client_count(), request_clients_));
    RETURN_IF_ERROR(CheckCount("completed requests", requests.reply_count(), completed_requests_));
    return image;
  }

 private:
  static absl::Status Corrupt(absl::string_view what) {
    return MakeError(ErrorCode::kCorruptLog, absl::StrCat("the image is damaged: ", what));
  }
  static absl::Status CheckCount(absl::string_view what, uint64_t found, uint64_t said) {
    if (found == said) return absl::OkStatus();
    return Corrupt(absl::StrCat("it has ", found, " ", what, " instead of ", said));
  }
  static absl::Status At(size_t position, const absl::Status& status) {
    return Annotate(status, absl::StrCat("part at byte ", position));
  }
  static absl::Status Unsupported(absl::string_view what, int64_t found, int64_t known) {
    return MakeError(
        ErrorCode::kUnsupportedVersion,
        absl::StrCat("the image is of ", what, " ", found, ", but this program knows none above ",
                     known, ": run a newer one"),
        {.name = std::string(what), .value = absl::StrCat(found)});
  }

  absl::Status ReadPiece(char* kind, Slice* value) {
    Slice byte;
    uint64_t size = 0;
    if (!reader_.ReadBytes(1, &byte) || !reader_.ReadVarint64(&size) ||
        !reader_.ReadBytes(size, value)) {
      return Corrupt("it ends within a part");
    }
    *kind = byte[0];
    return absl::OkStatus();
  }

  absl::Status ReadHead() {
    Slice version;
    if (!reader_.ReadBytes(1, &version)) return Corrupt("it is empty");
    if (version[0] != kFormatVersion) {
      return Unsupported("format", static_cast<uint8_t>(version[0]), kFormatVersion);
    }
    char kind = 0;
    Slice value;
    RETURN_IF_ERROR(ReadPiece(&kind, &value));
    if (kind != kHeadPart || !head_.ParseFromArray(value.data(), static_cast<int>(value.size())) ||
        head_.cluster_id().size() != Uuid::kSize || head_.index() < 0 ||
        head_.feature_level() < 0) {
      return Corrupt("it does not begin with its head");
    }
    if (head_.feature_level() > kFeatureLevelMax) {
      return Unsupported("feature level", head_.feature_level(), kFeatureLevelMax);
    }
    editor_.SetIndex(LogIndex(head_.index()));
    editor_.SetClusterId(IdFrom<ClusterId>(head_.cluster_id()));
    editor_.SetFeatureLevel(head_.feature_level());
    editor_.SetNextProducerId(ProducerId(head_.next_producer_id()));
    return absl::OkStatus();
  }

  absl::Status ReadPart() {
    char kind = 0;
    Slice value;
    RETURN_IF_ERROR(ReadPiece(&kind, &value));
    switch (kind) {
      case kBrokerPart:
        ++brokers_;
        return AddBroker(value, &editor_);
      case kTopicPart: {
        ++topics_;
        next_partition_ = PartitionIndex(0);
        ASSIGN_OR_RETURN(topic_, AddTopic(value, &editor_));
        return absl::OkStatus();
      }
      case kPartitionPart:
        return ReadPartition(value);
      case kConfigPart:
        ++configs_;
        return AddConfig(value, &editor_);
      case kRequestClientPart: {
        ++request_clients_;
        ASSIGN_OR_RETURN(request_client_, AddRequestClient(value, &editor_));
        return absl::OkStatus();
      }
      case kCompletedRequestPart:
        return ReadCompletedRequest(value);
      default:
        return Corrupt(absl::StrCat("there is no part of kind ", static_cast<uint8_t>(kind)));
    }
  }

  // Partitions are dense: the next one of the topic before.
  absl::Status ReadPartition(Slice value) {
    ASSIGN_OR_RETURN(const TopicPartition id, AddPartition(value, &editor_));
    if (topic_ != id.topic_id || id.partition != next_partition_) {
      return Corrupt(absl::StrCat("partition ", id.partition.value(), " of topic ",
                                  id.topic_id.ToString(), " is out of its place"));
    }
    ++next_partition_;
    ++partitions_;
    return absl::OkStatus();
  }

  absl::Status ReadCompletedRequest(Slice value) {
    ASSIGN_OR_RETURN(const RequestKey key, AddCompletedRequest(value, &editor_));
    if (request_client_ != key.client) {
      return Corrupt(absl::StrCat("request ", key.sequence, " of client ", key.client.ToString(),
                                  " is out of its place"));
    }
    ++completed_requests_;
    return absl::OkStatus();
  }

  Reader reader_;
  stored::ImageSnapshotHead head_;
  ImageEditor editor_{Image()};
  std::optional<TopicId> topic_;
  PartitionIndex next_partition_{0};
  std::optional<RequestClientId> request_client_;
  // Parts read so far.
  uint64_t brokers_ = 0;
  uint64_t topics_ = 0;
  uint64_t partitions_ = 0;
  uint64_t configs_ = 0;
  uint64_t request_clients_ = 0;
  uint64_t completed_requests_ = 0;
};

}  // namespace

std::string EncodeImageSnapshot(const Image& image) {
  int64_t partitions = 0;
  int64_t configs = 0;
  std::string parts;
  image.ForEachBroker(
      [&](const BrokerImage& broker) { AppendPart(kBrokerPart, EncodeBroker(broker), &parts); });
  image.ForEachTopic([&](const TopicImage& topic) {
    AppendPart(kTopicPart, EncodeTopic(topic), &parts);
    topic.ForEachPartition([&](PartitionIndex index, const PartitionImage& partition) {
      ++partitions;
      AppendPart(kPartitionPart, EncodePartition({topic.id, index}, partition), &parts);
    });
  });
  image.ForEachConfig([&](const ConfigOwner& owner, const ConfigValues& values) {
    for (const auto& [key, value] : values) {
      ++configs;
      AppendPart(kConfigPart, EncodeConfig(owner, key, value), &parts);
    }
  });
  const CompletedRequests& requests = image.completed_requests();
  requests.ForEachClient([&](RequestClientId id, const RequestClient& client) {
    AppendPart(kRequestClientPart, EncodeRequestClient(id, client), &parts);
    client.requests.ForEach([&](int64_t sequence, const CompletedRequest& request) {
      AppendPart(kCompletedRequestPart, EncodeCompletedRequest({id, sequence}, request), &parts);
    });
  });

  stored::ImageSnapshotHead head;
  head.set_index(image.index().value());
  head.set_cluster_id(image.cluster_id().ToBytes());
  head.set_feature_level(image.feature_level());
  head.set_next_producer_id(image.next_producer_id().value());
  head.set_broker_count(static_cast<int64_t>(image.broker_count()));
  head.set_topic_count(static_cast<int64_t>(image.topic_count()));
  head.set_partition_count(partitions);
  head.set_config_count(configs);
  head.set_request_client_count(static_cast<int64_t>(requests.client_count()));
  head.set_completed_request_count(static_cast<int64_t>(requests.reply_count()));
  std::string out(1, kFormatVersion);
  AppendPart(kHeadPart, head.SerializeAsString(), &out);
  out.append(parts);
  return out;
}

absl::StatusOr<Image> DecodeImageSnapshot(Slice bytes) { return Decoder(bytes).Run(); }

}  // namespace millrace::metadata

#include "metadata/image_store.h"

#include <map>
#include <string>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/coding.h"
#include "base/status.h"
#include "metadata/image_editor.h"
#include "metadata/image_parts.h"
#include "metadata/image_records.h"
#include "millrace/internal/v1/metadata_image.pb.h"

namespace millrace::metadata {

namespace {

namespace stored = ::millrace::internal::v1;

constexpr int kFormatVersion = 1;

// The first byte of a key says what it is about; the position sorts first and is read first.
constexpr char kPositionKey[] = "0";
constexpr char kBrokerPrefix = 'b';
constexpr char kConfigPrefix = 'c';
constexpr char kPartitionPrefix = 'p';
constexpr char kCompletedRequestPrefix = 'r';
constexpr char kTopicPrefix = 't';
constexpr char kRequestClientPrefix = 'u';

// Big-endian, so that keys sort as the numbers do.
std::string BigEndian(int32_t value) {
  const auto bits = static_cast<uint32_t>(value);
  return {static_cast<char>(bits >> 24), static_cast<char>(bits >> 16),
          static_cast<char>(bits >> 8), static_cast<char>(bits)};
}

std::string BrokerKey(NodeId id) {
  return absl::StrCat(std::string(1, kBrokerPrefix), BigEndian(id.value()));
}
std::string TopicKey(TopicId id) {
  return absl::StrCat(std::string(1, kTopicPrefix), id.ToBytes());
}
std::string PartitionPrefixOf(TopicId id) {
  return absl::StrCat(std::string(1, kPartitionPrefix), id.ToBytes());
}
std::string PartitionKey(const TopicPartition& id) {
  return absl::StrCat(PartitionPrefixOf(id.topic_id), BigEndian(id.partition.value()));
}
std::string RequestClientKey(RequestClientId id) {
  return absl::StrCat(std::string(1, kRequestClientPrefix), id.ToBytes());
}
std::string CompletedRequestKey(const RequestKey& key) {
  char sequence[sizeof(int64_t)];
  StoreBig<int64_t>(sequence, key.sequence);
  return absl::StrCat(std::string(1, kCompletedRequestPrefix), key.client.ToBytes(),
                      Slice(sequence, sizeof(sequence)));
}
// Neither owners' names nor config keys hold a zero byte.
std::string ConfigPrefixOf(const ConfigOwner& owner) {
  std::string key(1, kConfigPrefix);
  key += static_cast<char>('0' + static_cast<int>(owner.scope));
  absl::StrAppend(&key, owner.name);
  key += '\0';
  return key;
}

std::string PositionValue(const Image& image, const LogPosition& position) {
  stored::StoredPosition message;
  message.set_format_version(kFormatVersion);
  message.set_index(position.index.value());
  message.set_term(position.term.value());
  message.set_hash(position.hash);
  message.set_cluster_id(image.cluster_id().ToBytes());
  message.set_feature_level(image.feature_level());
  message.set_next_producer_id(image.next_producer_id().value());
  message.set_image_index(image.index().value());
  message.set_broker_count(static_cast<int64_t>(image.broker_count()));
  message.set_topic_count(static_cast<int64_t>(image.topic_count()));
  const CompletedRequests& requests = image.completed_requests();
  message.set_request_client_count(static_cast<int64_t>(requests.client_count()));
  message.set_completed_request_count(static_cast<int64_t>(requests.reply_count()));
  return message.SerializeAsString();
}

void PutConfigs(const ConfigOwner& owner, const ConfigValues& values, storage::WriteBatch* batch) {
  const std::string prefix = ConfigPrefixOf(owner);
  for (const auto& [key, value] : values) {
    batch->Put(prefix + key, EncodeConfig(owner, key, value));
  }
}

void PutRequests(const CompletedRequests& requests, const Delta& delta,
                 storage::WriteBatch* batch) {
  for (const RequestClientId id : delta.request_clients_changed) {
    if (const RequestClient* client = requests.FindClient(id)) {
      batch->Put(RequestClientKey(id), EncodeRequestClient(id, *client));
    } else {
      batch->Delete(RequestClientKey(id));
    }
  }
  for (const RequestKey& key : delta.completed_requests_changed) {
    if (const CompletedRequest* request = requests.Find(key)) {
      batch->Put(CompletedRequestKey(key), EncodeCompletedRequest(key, *request));
    } else {
      batch->Delete(CompletedRequestKey(key));
    }
  }
}

absl::Status LoadTopic(Slice value, ImageEditor* editor) {
  return AddTopic(value, editor).status();
}
absl::Status LoadPartition(Slice value, ImageEditor* editor) {
  return AddPartition(value, editor).status();
}
absl::Status LoadRequestClient(Slice value, ImageEditor* editor) {
  return AddRequestClient(value, editor).status();
}
absl::Status LoadCompletedRequest(Slice value, ImageEditor* editor) {
  return AddCompletedRequest(value, editor).status();
}

// The number of each kind is what the position says. Errors: CORRUPT_LOG.
absl::Status CheckCounts(const Image& image, const stored::StoredPosition& position) {
  const CompletedRequests& requests = image.completed_requests();
  const std::tuple<absl::string_view, size_t, int64_t> counts[] = {
      {"brokers", image.broker_count(), position.broker_count()},
      {"topics", image.topic_count(), position.topic_count()},
      {"clients of requests", requests.client_count(), position.request_client_count()},
      {"completed requests", requests.reply_count(), position.completed_request_count()}};
  for (const auto& [what, found, said] : counts) {
    if (static_cast<int64_t>(found) == said) continue;
    return MakeError(ErrorCode::kCorruptLog, absl::StrCat("the image store has ", found, " ", what,
                                                          ", but says it has ", said));
  }
  return absl::OkStatus();
}

// Everything but the position, into an image at `position`.
absl::StatusOr<Image> LoadAll(const storage::KvStore& store,
                              const stored::StoredPosition& position) {
  ImageEditor editor{Image()};
  editor.SetIndex(LogIndex(position.image_index()));
  editor.SetClusterId(IdFrom<ClusterId>(position.cluster_id()));
  editor.SetFeatureLevel(position.feature_level());
  editor.SetNextProducerId(ProducerId(position.next_producer_id()));
  using Loader = absl::Status (*)(Slice, ImageEditor*);
  // Topics before the partitions that belong to them, clients before their requests.
  const std::pair<char, Loader> loaders[] = {{kBrokerPrefix, AddBroker},
                                             {kTopicPrefix, LoadTopic},
                                             {kPartitionPrefix, LoadPartition},
                                             {kConfigPrefix, AddConfig},
                                             {kRequestClientPrefix, LoadRequestClient},
                                             {kCompletedRequestPrefix, LoadCompletedRequest}};
  for (const auto& [prefix, load] : loaders) {
    const Loader loader = load;
    RETURN_IF_ERROR(store.ForEach(Slice(&prefix, 1), [&editor, loader](Slice, Slice value) {
      return loader(value, &editor);
    }));
  }
  Image image = std::move(editor).Finish();
  RETURN_IF_ERROR(CheckCounts(image, position));
  return image;
}

absl::StatusOr<std::optional<StoredImage>> LoadIfUsable(
    const storage::KvStore& store, const ImageStore::HistoryCheck& on_history) {
  ASSIGN_OR_RETURN(const std::optional<std::string> value, store.Get(kPositionKey));
  if (!value.has_value()) return std::nullopt;
  stored::StoredPosition message;
  if (!message.ParseFromString(*value)) {
    return MakeError(ErrorCode::kCorruptLog, "the image store's position cannot be parsed");
  }
  if (message.format_version() != kFormatVersion || message.feature_level() > kFeatureLevelMax) {
    return std::nullopt;
  }
  if (message.cluster_id().size() != Uuid::kSize) {
    return MakeError(ErrorCode::kCorruptLog, "the image store's cluster id is not 16 bytes");
  }
  const LogPosition position{LogIndex(message.index()), Term(message.term()), message.hash()};
  if (!on_history(position)) return std::nullopt;
  ASSIGN_OR_RETURN(Image image, LoadAll(store, message));
  return StoredImage{std::move(image), position};
}

}  // namespace

absl::StatusOr<std::optional<StoredImage>> ImageStore::Load(const HistoryCheck& on_history) {
  absl::StatusOr<std::optional<StoredImage>> loaded = LoadIfUsable(*store_, on_history);
  // Damage costs only time: the log has it all.
  if (!loaded.ok() && CodeOf(loaded.status()) != ErrorCode::kCorruptLog) return loaded.status();
  if (loaded.ok() && loaded->has_value()) return loaded;
  RETURN_IF_ERROR(store_->Clear());
  return std::nullopt;
}

absl::Status ImageStore::Save(const Image& image, const Delta& delta, const LogPosition& position) {
  CHECK_EQ(delta.to, image.index());
  storage::WriteBatch batch;
  for (const NodeId id : delta.brokers_removed) batch.Delete(BrokerKey(id));
  for (const NodeId id : delta.brokers_changed) {
    if (const BrokerImage* broker = image.FindBroker(id)) {
      batch.Put(BrokerKey(id), EncodeBroker(*broker));
    }
  }
  for (const std::set<RemovedTopic>* gone : {&delta.topics_removed, &delta.topics_absent}) {
    for (const RemovedTopic& topic : *gone) RETURN_IF_ERROR(DeleteTopic(topic.id, &batch));
  }
  for (const TopicId id : delta.topics_created) {
    batch.Put(TopicKey(id), EncodeTopic(*image.FindTopic(id)));
  }
  for (const TopicPartition& id : delta.partitions_changed) {
    batch.Put(PartitionKey(id), EncodePartition(id, *image.FindPartition(id)));
  }
  for (const ConfigOwner& owner : delta.configs_changed) {
    RETURN_IF_ERROR(DeletePrefix(ConfigPrefixOf(owner), &batch));
    PutConfigs(owner, image.ConfigsOf(owner), &batch);
  }
  PutRequests(image.completed_requests(), delta, &batch);
  batch.Put(kPositionKey, PositionValue(image, position));
  return store_->Write(batch);
}

absl::Status ImageStore::SaveWhole(const Image& image, const LogPosition& position) {
  // A crash in between leaves an empty store, which is a legal one.
  RETURN_IF_ERROR(store_->Clear());
  return Save(image, DeltaBetween(Image(), image), position);
}

absl::Status ImageStore::DeleteTopic(TopicId id, storage::WriteBatch* batch) {
  batch->Delete(TopicKey(id));
  return DeletePrefix(PartitionPrefixOf(id), batch);
}

absl::Status ImageStore::DeletePrefix(const std::string& prefix, storage::WriteBatch* batch) {
  return store_->ForEach(prefix, [batch](Slice key, Slice) {
    batch->Delete(key);
    return absl::OkStatus();
  });
}

}  // namespace millrace::metadata

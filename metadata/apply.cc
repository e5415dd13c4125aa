#include "metadata/apply.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/status.h"
#include "metadata/image_editor.h"
#include "metadata/image_records.h"
#include "metadata/record_types.h"

namespace millrace::metadata {

namespace {

// Puts one fact into the image. A fact about something that is not there changes nothing: the thing
// was removed earlier in the same log.
struct Applier {
  ImageEditor& image;
  LogIndex index;

  void operator()(const records::NoOpRecord&) {}

  void operator()(const records::ClusterFoundedRecord& record) {
    image.SetClusterId(IdFrom<ClusterId>(record.cluster_id()));
    image.SetFeatureLevel(record.feature_level());
  }

  void operator()(const records::FeatureLevelRecord& record) {
    image.SetFeatureLevel(record.feature_level());
  }

  void operator()(const records::BrokerRegistrationRecord& record) {
    // The broker epoch is not in the record: the log's own index cannot be forged or repeated.
    BrokerImage after = BrokerFrom(record, BrokerEpoch(index.value()));
    // People cordon a broker, not a process of it.
    const BrokerImage* before = image.FindBroker(after.id);
    after.cordoned = before != nullptr && before->cordoned;
    image.SetBroker(std::move(after));
  }

  void operator()(const records::BrokerChangeRecord& record) {
    const BrokerImage* before = image.FindBroker(NodeId(record.broker_id()));
    if (before == nullptr || before->epoch != BrokerEpoch(record.broker_epoch())) return;
    BrokerImage after = *before;
    after.state = StateFromRecord(record.state());
    after.was_active = after.was_active || after.state == BrokerState::kActive;
    const bool knows_absent = image.feature_level() >= kAbsentDirectoriesLevel;
    for (const std::string& bytes : record.failed_directories()) {
      for (LogDirImage& dir : after.log_dirs) {
        if (dir.failed || dir.id != IdFrom<DirectoryId>(bytes)) continue;
        dir.failed = true;
        // Nothing had been counted on in it: it is as if it had not been opened.
        if (knows_absent && !before->was_active) dir.last_registered_epoch = before->epoch;
      }
    }
    if (record.has_slow_directories()) {
      for (LogDirImage& dir : after.log_dirs) {
        const auto& slow = record.slow_directories().ids();
        dir.slow = std::find(slow.begin(), slow.end(), dir.id.ToBytes()) != slow.end();
      }
    }
    image.SetBroker(std::move(after));
  }

  void operator()(const records::TopicRecord& record) {
    image.AddTopic(IdFrom<TopicId>(record.topic_id()), record.name());
  }

  void operator()(const records::TopicRemovedRecord& record) {
    image.RemoveTopic(IdFrom<TopicId>(record.topic_id()));
  }

  void operator()(const records::PartitionRecord& record) {
    image.SetPartition({IdFrom<TopicId>(record.topic_id()), PartitionIndex(record.partition())},
                       PartitionFrom(record));
  }

  void operator()(const records::PartitionChangeRecord& record) {
    const TopicPartition id{IdFrom<TopicId>(record.topic_id()), PartitionIndex(record.partition())};
    const PartitionImage* before = image.FindPartition(id);
    if (before != nullptr) image.SetPartition(id, ChangedPartition(*before, record));
  }

  void operator()(const records::ConfigRecord& record) {
    image.SetConfig(OwnerFrom(record), record.key(),
                    record.has_value() ? &record.value() : nullptr);
  }

  void operator()(const records::ProducerIdBlockRecord& record) {
    image.SetNextProducerId(
        std::max(image.next_producer_id(), ProducerId(record.next_producer_id())));
  }

  void operator()(const records::CompletedRequestRecord& record) {
    image.completed_requests().Add(RequestKeyFrom(record), CompletedRequestFrom(record, index));
  }

  void operator()(const records::BrokerCordonRecord& record) {
    const BrokerImage* before = image.FindBroker(NodeId(record.broker_id()));
    if (before == nullptr) return;
    BrokerImage after = *before;
    after.cordoned = record.cordoned();
    image.SetBroker(std::move(after));
  }

  void operator()(const records::BrokerRemovedRecord& record) {
    const BrokerImage* before = image.FindBroker(NodeId(record.broker_id()));
    if (before == nullptr || before->epoch != BrokerEpoch(record.broker_epoch())) return;
    image.RemoveBroker(before->id);
  }
};

}  // namespace

absl::Status CheckKnown(absl::Span<const rsm::Record> records) {
  for (const rsm::Record& record : records) {
    absl::StatusOr<AnyRecord> decoded = Decode(record);
    if (!decoded.ok()) return decoded.status();
    const auto* feature = std::get_if<records::FeatureLevelRecord>(&*decoded);
    const auto* founded = std::get_if<records::ClusterFoundedRecord>(&*decoded);
    const int level = feature != nullptr   ? feature->feature_level()
                      : founded != nullptr ? founded->feature_level()
                                           : kFeatureLevelMax;
    if (level > kFeatureLevelMax) {
      return MakeError(ErrorCode::kUnsupportedVersion,
                       "the cluster is at feature level " + std::to_string(level) +
                           ", this program knows levels up to " + std::to_string(kFeatureLevelMax) +
                           "; run a newer version of the program",
                       {.name = "feature level", .value = std::to_string(level)});
    }
  }
  return absl::OkStatus();
}

Image Apply(const Image& image, LogIndex index, absl::Span<const rsm::Record> records) {
  CHECK_GT(index, image.index());
  ImageEditor editor(image);
  editor.SetIndex(index);
  Applier applier{editor, index};
  for (const rsm::Record& record : records) {
    const absl::StatusOr<AnyRecord> decoded = Decode(record);
    CHECK(decoded.ok()) << "at metadata index " << index << ": "
                        << std::string(decoded.status().message());
    std::visit(applier, *decoded);
  }
  return std::move(editor).Finish();
}

}  // namespace millrace::metadata

#include "metadata/record_types.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"
#include "base/uuid.h"

namespace millrace::metadata {

namespace {

constexpr absl::string_view kNames[] = {
    "NoOp",
    "ClusterFounded",
    "FeatureLevel",
    "BrokerRegistration",
    "BrokerChange",
    "Topic",
    "TopicRemoved",
    "Partition",
    "PartitionChange",
    "Config",
    "ProducerIdBlock",
    "CompletedRequest",
    "BrokerCordon",
    "BrokerRemoved",
};
constexpr int kTypes = std::variant_size_v<AnyRecord>;
static_assert(std::size(kNames) == kTypes);

bool IsId(const std::string& bytes) { return bytes.size() == Uuid::kSize; }

bool AreReplicas(const google::protobuf::RepeatedPtrField<records::PartitionReplica>& replicas) {
  for (const records::PartitionReplica& replica : replicas) {
    if (!IsId(replica.directory_id())) return false;
  }
  return true;
}

// Whether every id in the message has its 16 bytes, so that apply.cc need not ask.
bool HasGoodIds(const records::NoOpRecord&) { return true; }
bool HasGoodIds(const records::ClusterFoundedRecord& r) { return IsId(r.cluster_id()); }
bool HasGoodIds(const records::FeatureLevelRecord&) { return true; }
bool HasGoodIds(const records::BrokerRegistrationRecord& r) {
  for (const records::BrokerLogDir& dir : r.log_dirs()) {
    if (!IsId(dir.directory_id())) return false;
  }
  return IsId(r.incarnation_id());
}
bool HasGoodIds(const records::BrokerChangeRecord& r) {
  const auto& slow = r.slow_directories().ids();
  return std::all_of(r.failed_directories().begin(), r.failed_directories().end(), IsId) &&
         std::all_of(slow.begin(), slow.end(), IsId);
}
bool HasGoodIds(const records::TopicRecord& r) { return IsId(r.topic_id()); }
bool HasGoodIds(const records::TopicRemovedRecord& r) { return IsId(r.topic_id()); }
bool HasGoodIds(const records::PartitionRecord& r) {
  return IsId(r.topic_id()) && AreReplicas(r.replicas());
}
bool HasGoodIds(const records::PartitionChangeRecord& r) {
  return IsId(r.topic_id()) && AreReplicas(r.replicas().replicas());
}
bool HasGoodIds(const records::ConfigRecord&) { return true; }
bool HasGoodIds(const records::ProducerIdBlockRecord&) { return true; }
bool HasGoodIds(const records::CompletedRequestRecord& r) { return IsId(r.client_id()); }
bool HasGoodIds(const records::BrokerCordonRecord&) { return true; }
bool HasGoodIds(const records::BrokerRemovedRecord&) { return true; }

// Parses `payload` as the alternative of AnyRecord whose position is the record type's number.
template <int kType = 0>
absl::StatusOr<AnyRecord> ParseAs(int type, Slice payload) {
  if constexpr (kType < kTypes) {
    if (type != kType) return ParseAs<kType + 1>(type, payload);
    std::variant_alternative_t<kType, AnyRecord> message;
    if (!message.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
      return MakeError(ErrorCode::kCorruptLog,
                       absl::StrCat("the metadata log has a ", kNames[kType], " record of ",
                                    payload.size(), " bytes that cannot be parsed"),
                       {.name = std::string(kNames[kType])});
    }
    if (!HasGoodIds(message)) {
      return MakeError(ErrorCode::kCorruptLog,
                       absl::StrCat("the metadata log has a ", kNames[kType],
                                    " record with an id that is not ", Uuid::kSize, " bytes"),
                       {.name = std::string(kNames[kType])});
    }
    return AnyRecord(std::move(message));
  } else {
    return MakeError(ErrorCode::kUnsupportedVersion,
                     absl::StrCat("the metadata log has a record of type ", type,
                                  ", which this program does not know: it was written at a newer "
                                  "feature level; run a newer version of the program"),
                     {.name = "record type", .value = absl::StrCat(type)});
  }
}

}  // namespace

rsm::Record Encode(const AnyRecord& record) {
  const bool good_ids = std::visit([](const auto& m) { return HasGoodIds(m); }, record);
  CHECK(good_ids) << "an id in a " << std::string(kNames[record.index()]) << " is not 16 bytes";
  std::string payload = std::visit([](const auto& m) { return m.SerializeAsString(); }, record);
  return {.type = rsm::RecordType(static_cast<int16_t>(record.index())),
          .version = kRecordVersion,
          .key = {},
          .payload = Bytes::FromString(std::move(payload))};
}

absl::StatusOr<AnyRecord> Decode(const rsm::Record& record) {
  if (record.version != kRecordVersion) {
    return MakeError(
        ErrorCode::kUnsupportedVersion,
        absl::StrCat("the metadata log has a ", RecordTypeName(record.type), " record (type ",
                     record.type.value(), ") of version ", record.version,
                     "; this program knows version ", kRecordVersion,
                     ": it was written at a newer feature level; run a newer version of the "
                     "program"),
        {.name = "record version", .value = absl::StrCat(record.version)});
  }
  return ParseAs(record.type.value(), record.payload);
}

absl::string_view RecordTypeName(rsm::RecordType type) {
  if (type.value() < 0 || type.value() >= kTypes) return "Unknown";
  return kNames[type.value()];
}

}  // namespace millrace::metadata

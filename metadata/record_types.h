// The record types of the metadata log: numbers, versions, and the way between the generated
// messages and rsm::Record.
//
// The messages are data without behaviour; ids and epochs in them become strong types in apply.cc
// and nowhere else.
//
// Thread: any (pure functions).
// Format: docs/formats/metadata_records.md.
#ifndef METADATA_RECORD_TYPES_H_
#define METADATA_RECORD_TYPES_H_

#include <cstdint>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "millrace/internal/v1/metadata_records.pb.h"
#include "rsm/record.h"

namespace millrace::metadata {

namespace records = ::millrace::internal::v1;

// Never reused, never renumbered.
inline constexpr rsm::RecordType kNoOp{0};
inline constexpr rsm::RecordType kClusterFounded{1};
inline constexpr rsm::RecordType kFeatureLevel{2};
inline constexpr rsm::RecordType kBrokerRegistration{3};
inline constexpr rsm::RecordType kBrokerChange{4};
inline constexpr rsm::RecordType kTopic{5};
inline constexpr rsm::RecordType kTopicRemoved{6};
inline constexpr rsm::RecordType kPartition{7};
inline constexpr rsm::RecordType kPartitionChange{8};
inline constexpr rsm::RecordType kConfig{9};
inline constexpr rsm::RecordType kProducerIdBlock{10};
// From feature level 2 on.
inline constexpr rsm::RecordType kCompletedRequest{11};
// From feature level 3 on.
inline constexpr rsm::RecordType kBrokerCordon{12};
inline constexpr rsm::RecordType kBrokerRemoved{13};

// All types are at this version in all feature levels so far.
inline constexpr int16_t kRecordVersion = 0;

using AnyRecord =
    std::variant<records::NoOpRecord, records::ClusterFoundedRecord, records::FeatureLevelRecord,
                 records::BrokerRegistrationRecord, records::BrokerChangeRecord,
                 records::TopicRecord, records::TopicRemovedRecord, records::PartitionRecord,
                 records::PartitionChangeRecord, records::ConfigRecord,
                 records::ProducerIdBlockRecord, records::CompletedRequestRecord,
                 records::BrokerCordonRecord, records::BrokerRemovedRecord>;

// The same message always gives the same bytes. Strings of 16 bytes where ids belong: REQUIRES.
rsm::Record Encode(const AnyRecord& record);

// Errors: UNSUPPORTED_VERSION for a type or version of a newer feature level; CORRUPT_LOG for a
// payload that is not such a message, or has an id that is not 16 bytes.
absl::StatusOr<AnyRecord> Decode(const rsm::Record& record);

// "PartitionChange"; "Unknown" for a number of a newer feature level.
absl::string_view RecordTypeName(rsm::RecordType type);

}  // namespace millrace::metadata

#endif  // METADATA_RECORD_TYPES_H_

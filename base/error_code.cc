#include "base/error_code.h"

#include <algorithm>
#include <array>
#include <iterator>

namespace millrace {
namespace {

struct Entry {
  ErrorCode code;
  absl::string_view name;
  bool retriable;
  absl::StatusCode canonical;
};

using S = absl::StatusCode;

constexpr Entry kEntries[] = {
    {ErrorCode::kNone, "NONE", false, S::kOk},
    {ErrorCode::kUnknownServerError, "UNKNOWN_SERVER_ERROR", false, S::kInternal},
    {ErrorCode::kInvalidRequest, "INVALID_REQUEST", false, S::kInvalidArgument},
    {ErrorCode::kCorruptMessage, "CORRUPT_MESSAGE", true, S::kInvalidArgument},
    {ErrorCode::kUnknownTopicOrPartition, "UNKNOWN_TOPIC_OR_PARTITION", true, S::kNotFound},
    {ErrorCode::kUnknownTopicId, "UNKNOWN_TOPIC_ID", true, S::kNotFound},
    {ErrorCode::kOffsetOutOfRange, "OFFSET_OUT_OF_RANGE", false, S::kOutOfRange},
    {ErrorCode::kNotLeaderOrFollower, "NOT_LEADER_OR_FOLLOWER", true, S::kFailedPrecondition},
    {ErrorCode::kFencedLeaderEpoch, "FENCED_LEADER_EPOCH", true, S::kFailedPrecondition},
    {ErrorCode::kUnknownLeaderEpoch, "UNKNOWN_LEADER_EPOCH", true, S::kFailedPrecondition},
    {ErrorCode::kMessageTooLarge, "MESSAGE_TOO_LARGE", false, S::kInvalidArgument},
    {ErrorCode::kInvalidRecord, "INVALID_RECORD", false, S::kInvalidArgument},
    {ErrorCode::kInvalidTimestamp, "INVALID_TIMESTAMP", false, S::kInvalidArgument},
    {ErrorCode::kUnsupportedCompressionType, "UNSUPPORTED_COMPRESSION_TYPE", false,
     S::kInvalidArgument},
    {ErrorCode::kInvalidRequiredAcks, "INVALID_REQUIRED_ACKS", false, S::kInvalidArgument},
    {ErrorCode::kNotEnoughReplicas, "NOT_ENOUGH_REPLICAS", true, S::kUnavailable},
    {ErrorCode::kNotEnoughReplicasAfterAppend, "NOT_ENOUGH_REPLICAS_AFTER_APPEND", true,
     S::kUnavailable},
    {ErrorCode::kRequestTimedOut, "REQUEST_TIMED_OUT", true, S::kDeadlineExceeded},
    {ErrorCode::kOutOfOrderSequenceNumber, "OUT_OF_ORDER_SEQUENCE_NUMBER", false,
     S::kFailedPrecondition},
    {ErrorCode::kDuplicateSequenceNumber, "DUPLICATE_SEQUENCE_NUMBER", false, S::kAlreadyExists},
    {ErrorCode::kInvalidProducerEpoch, "INVALID_PRODUCER_EPOCH", false, S::kFailedPrecondition},
    {ErrorCode::kUnknownProducerId, "UNKNOWN_PRODUCER_ID", false, S::kFailedPrecondition},
    {ErrorCode::kOffsetNotAvailable, "OFFSET_NOT_AVAILABLE", true, S::kUnavailable},
    {ErrorCode::kStorageError, "STORAGE_ERROR", true, S::kUnavailable},
    {ErrorCode::kStorageFull, "STORAGE_FULL", true, S::kResourceExhausted},
    {ErrorCode::kCorruptLog, "CORRUPT_LOG", false, S::kDataLoss},
    {ErrorCode::kStreamOrderBroken, "STREAM_ORDER_BROKEN", true, S::kAborted},
    {ErrorCode::kWrongTopicChecksum, "WRONG_TOPIC_CHECKSUM", false, S::kInvalidArgument},
    {ErrorCode::kTopicAlreadyExists, "TOPIC_ALREADY_EXISTS", false, S::kAlreadyExists},
    {ErrorCode::kInvalidTopicName, "INVALID_TOPIC_NAME", false, S::kInvalidArgument},
    {ErrorCode::kInvalidPartitions, "INVALID_PARTITIONS", false, S::kInvalidArgument},
    {ErrorCode::kInvalidReplicationFactor, "INVALID_REPLICATION_FACTOR", false,
     S::kInvalidArgument},
    {ErrorCode::kInvalidReplicaAssignment, "INVALID_REPLICA_ASSIGNMENT", false,
     S::kInvalidArgument},
    {ErrorCode::kInvalidConfig, "INVALID_CONFIG", false, S::kInvalidArgument},
    {ErrorCode::kNotController, "NOT_CONTROLLER", true, S::kFailedPrecondition},
    {ErrorCode::kStaleBrokerEpoch, "STALE_BROKER_EPOCH", false, S::kFailedPrecondition},
    {ErrorCode::kBrokerIdNotRegistered, "BROKER_ID_NOT_REGISTERED", false, S::kNotFound},
    {ErrorCode::kOutcomeUnknown, "OUTCOME_UNKNOWN", false, S::kUnknown},
    {ErrorCode::kTopicDeletionDisabled, "TOPIC_DELETION_DISABLED", false, S::kFailedPrecondition},
    {ErrorCode::kEntryTooLarge, "ENTRY_TOO_LARGE", false, S::kInvalidArgument},
    {ErrorCode::kUnsupportedVersion, "UNSUPPORTED_VERSION", false, S::kUnimplemented},
    {ErrorCode::kInvalidUpdateVersion, "INVALID_UPDATE_VERSION", false, S::kAborted},
    {ErrorCode::kIneligibleReplica, "INELIGIBLE_REPLICA", true, S::kFailedPrecondition},
    {ErrorCode::kInconsistentClusterId, "INCONSISTENT_CLUSTER_ID", false, S::kFailedPrecondition},
    {ErrorCode::kInconsistentNodeId, "INCONSISTENT_NODE_ID", false, S::kFailedPrecondition},
    {ErrorCode::kDirectoryLocked, "DIRECTORY_LOCKED", false, S::kFailedPrecondition},
    {ErrorCode::kInvalidDirectory, "INVALID_DIRECTORY", false, S::kFailedPrecondition},
    {ErrorCode::kUnsupportedFormatVersion, "UNSUPPORTED_FORMAT_VERSION", false,
     S::kFailedPrecondition},
    {ErrorCode::kDirectoryUnavailable, "DIRECTORY_UNAVAILABLE", false, S::kFailedPrecondition},
    {ErrorCode::kAddressInUse, "ADDRESS_IN_USE", false, S::kFailedPrecondition},
    {ErrorCode::kResourceExhausted, "RESOURCE_EXHAUSTED", true, S::kResourceExhausted},
    {ErrorCode::kShuttingDown, "SHUTTING_DOWN", true, S::kUnavailable},
    {ErrorCode::kBrokerNotAvailable, "BROKER_NOT_AVAILABLE", true, S::kUnavailable},
    {ErrorCode::kCancelled, "CANCELLED", false, S::kCancelled},
    {ErrorCode::kAuthorizationFailed, "AUTHORIZATION_FAILED", false, S::kPermissionDenied},
};

const Entry* Find(ErrorCode code) {
  const Entry* entry =
      std::lower_bound(std::begin(kEntries), std::end(kEntries), code,
                       [](const Entry& e, ErrorCode wanted) { return e.code < wanted; });
  return entry != std::end(kEntries) && entry->code == code ? entry : nullptr;
}

}  // namespace

absl::string_view ErrorCodeName(ErrorCode code) {
  const Entry* entry = Find(code);
  return entry == nullptr ? absl::string_view("UNKNOWN_CODE") : entry->name;
}

bool IsRetriable(ErrorCode code) {
  const Entry* entry = Find(code);
  return entry != nullptr && entry->retriable;
}

absl::StatusCode CanonicalCode(ErrorCode code) {
  const Entry* entry = Find(code);
  return entry == nullptr ? absl::StatusCode::kUnknown : entry->canonical;
}

absl::Span<const ErrorCode> AllErrorCodes() {
  static constexpr auto kCodes = [] {
    std::array<ErrorCode, std::size(kEntries)> codes{};
    for (size_t i = 0; i < codes.size(); ++i) codes[i] = kEntries[i].code;
    return codes;
  }();
  return kCodes;
}

std::ostream& operator<<(std::ostream& out, ErrorCode code) { return out << ErrorCodeName(code); }

}  // namespace millrace

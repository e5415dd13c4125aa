// ErrorCode: what went wrong, as far as a caller would act differently on it.
//
// Meanings and names follow Kafka's where Kafka has the error. The numbers are those of
// millrace.v1.ErrorCode (a test in rpc/ holds them together) and are never reused.
//
// Thread: any (values and pure functions).
#ifndef BASE_ERROR_CODE_H_
#define BASE_ERROR_CODE_H_

#include <cstdint>
#include <ostream>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace millrace {

enum class ErrorCode : int32_t {
  kNone = 0,
  kUnknownServerError = 1,
  kInvalidRequest = 2,
  // A batch or message whose checksum or structure is wrong.
  kCorruptMessage = 3,
  kUnknownTopicOrPartition = 4,
  kUnknownTopicId = 5,
  kOffsetOutOfRange = 6,
  kNotLeaderOrFollower = 7,
  kFencedLeaderEpoch = 8,
  kUnknownLeaderEpoch = 9,
  kMessageTooLarge = 10,
  kInvalidRecord = 11,
  kInvalidTimestamp = 12,
  kUnsupportedCompressionType = 13,
  kInvalidRequiredAcks = 14,
  kNotEnoughReplicas = 15,
  kNotEnoughReplicasAfterAppend = 16,
  kRequestTimedOut = 17,
  kOutOfOrderSequenceNumber = 18,
  kDuplicateSequenceNumber = 19,
  kInvalidProducerEpoch = 20,
  kUnknownProducerId = 21,
  kOffsetNotAvailable = 22,
  // A log directory failed: its partitions are offline.
  kStorageError = 23,
  // A log directory has no room left but its reserve: produce is refused, all else goes on.
  kStorageFull = 24,
  // Stored data is damaged where it was acknowledged; never served, never cut silently.
  kCorruptLog = 25,
  // An earlier batch for this partition on this stream failed: restart it (S-23).
  kStreamOrderBroken = 26,
  // The batch was made for another topic or partition (S-24).
  kWrongTopicChecksum = 27,
  kTopicAlreadyExists = 30,
  kInvalidTopicName = 31,
  kInvalidPartitions = 32,
  kInvalidReplicationFactor = 33,
  kInvalidReplicaAssignment = 34,
  kInvalidConfig = 35,
  kNotController = 36,
  kStaleBrokerEpoch = 37,
  kBrokerIdNotRegistered = 38,
  // Appended, but leadership was lost before commit: it may or may not take effect (S-11).
  kOutcomeUnknown = 39,
  kTopicDeletionDisabled = 40,
  // An atomic metadata entry beyond the stated maximum (S-41).
  kEntryTooLarge = 41,
  kUnsupportedVersion = 42,
  // The change starts from a state that is no longer the present one (a partition epoch).
  kInvalidUpdateVersion = 43,
  // A broker may not join an ISR as things are (KIP-841, KIP-903).
  kIneligibleReplica = 44,
  kInconsistentClusterId = 50,
  kInconsistentNodeId = 51,
  kDirectoryLocked = 52,
  // Not a data directory of this program, or one whose files contradict each other.
  kInvalidDirectory = 53,
  kUnsupportedFormatVersion = 54,
  kDirectoryUnavailable = 55,
  kAddressInUse = 56,
  // A bound of this server (memory budget, connections, queue) is reached.
  kResourceExhausted = 60,
  kShuttingDown = 61,
  kBrokerNotAvailable = 62,
  kCancelled = 63,
  // The principal may not do this.
  kAuthorizationFailed = 64,
};

// "UNKNOWN_TOPIC_OR_PARTITION"; "UNKNOWN_CODE" for a number of a newer version.
absl::string_view ErrorCodeName(ErrorCode code);

// Whether the same request may succeed when sent again, unchanged, perhaps to another node.
bool IsRetriable(ErrorCode code);

// The canonical status code under which this error leaves a gRPC API.
absl::StatusCode CanonicalCode(ErrorCode code);

// All codes, in order of number; for tests and generated docs.
absl::Span<const ErrorCode> AllErrorCodes();

std::ostream& operator<<(std::ostream& out, ErrorCode code);

}  // namespace millrace

#endif  // BASE_ERROR_CODE_H_

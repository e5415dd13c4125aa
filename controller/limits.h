// The bounds of what one command may ask for and one cluster may hold.
//
// They keep every decision, the worst being the registration of a broker with all its replicas,
// inside one atomic entry of the log (S-41).
//
// Thread: any (constants).
#ifndef CONTROLLER_LIMITS_H_
#define CONTROLLER_LIMITS_H_

#include <cstddef>

#include "rsm/entry_codec.h"

namespace millrace::controller {

// Room is left for the entry's own header.
inline constexpr size_t kDecisionBytesMax = rsm::kEntryBytesMax - 4096;
inline constexpr size_t kDecisionRecordsMax = rsm::kEntryRecordsMax - 16;

// A registration that costs each of them a change still fits into one entry.
inline constexpr int kReplicasPerBrokerMax = 100'000;

inline constexpr int kPartitionsPerRequestMax = 10'000;
inline constexpr int kTopicsPerRequestMax = 10'000;
inline constexpr int kReplicationFactorMax = 32;
inline constexpr int kTopicNameCharactersMax = 249;
inline constexpr size_t kConfigValueBytesMax = 32 << 10;
inline constexpr int kConfigAlterationsPerRequestMax = 10'000;
// Of a description: each resource takes some 10 KiB.
inline constexpr int kConfigResourcesPerRequestMax = 1'000;
inline constexpr int kConfigNamesPerRequestMax = 1'000;
inline constexpr int kListenersPerBrokerMax = 32;
inline constexpr int kLogDirsPerBrokerMax = 256;

// Ids given out per request of a broker.
inline constexpr int kProducerIdBlock = 1000;

}  // namespace millrace::controller

#endif  // CONTROLLER_LIMITS_H_

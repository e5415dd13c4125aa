// The parts of an image as bytes: broker, topic, partition, config, remembered request. One
// encoding for all places where images are kept: a value each in the image store (image_store.h), a
// run of them in a snapshot (image_snapshot.h).
//
// Thread: any (pure functions).
// Format: docs/formats/image_store.md (values).
#ifndef METADATA_IMAGE_PARTS_H_
#define METADATA_IMAGE_PARTS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/bytes.h"
#include "base/ids.h"
#include "metadata/image.h"
#include "metadata/image_editor.h"

namespace millrace::metadata {

// The same part always gives the same bytes. A topic is its id and name; its partitions are parts
// of their own.
std::string EncodeBroker(const BrokerImage& broker);
std::string EncodeTopic(const TopicImage& topic);
std::string EncodePartition(const TopicPartition& id, const PartitionImage& partition);
std::string EncodeConfig(const ConfigOwner& owner, const std::string& key,
                         const std::string& value);
// A client without its requests, which are parts of their own.
std::string EncodeRequestClient(RequestClientId id, const RequestClient& client);
std::string EncodeCompletedRequest(const RequestKey& key, const CompletedRequest& request);

// Add the part to the image that `editor` makes. Errors: CORRUPT_LOG for what is not such a part,
// or has an id that is not 16 bytes.
absl::Status AddBroker(Slice value, ImageEditor* editor);
// Returns whose it is.
absl::StatusOr<TopicId> AddTopic(Slice value, ImageEditor* editor);
// Returns which it is; it is dropped if its topic was not added before.
absl::StatusOr<TopicPartition> AddPartition(Slice value, ImageEditor* editor);
absl::Status AddConfig(Slice value, ImageEditor* editor);
// Returns which it is.
absl::StatusOr<RequestClientId> AddRequestClient(Slice value, ImageEditor* editor);
// Returns which it is. Errors: also if its client was not added before.
absl::StatusOr<RequestKey> AddCompletedRequest(Slice value, ImageEditor* editor);

}  // namespace millrace::metadata

#endif  // METADATA_IMAGE_PARTS_H_

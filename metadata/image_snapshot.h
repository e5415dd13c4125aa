// The whole image as one run of bytes: the body of a snapshot of the metadata log.
//
// Equal images give equal bytes, whatever their history: brokers, topics, configs and requests
// stand in order of their ids, each in the same encoding as in the image store. Checksums are those
// of the snapshot's file (raft/host/snapshot_format.h); what is checked here is structure.
//
// Thread: any (pure functions).
// Format: docs/formats/metadata_image.md.
#ifndef METADATA_IMAGE_SNAPSHOT_H_
#define METADATA_IMAGE_SNAPSHOT_H_

#include <string>

#include "absl/status/statusor.h"
#include "base/bytes.h"
#include "metadata/image.h"

namespace millrace::metadata {

std::string EncodeImageSnapshot(const Image& image);

// Uses memory in proportion to the bytes given. Errors: UNSUPPORTED_VERSION for a format or a
// feature level that this program does not know; CORRUPT_LOG for damage, with its place.
absl::StatusOr<Image> DecodeImageSnapshot(Slice bytes);

}  // namespace millrace::metadata

#endif  // METADATA_IMAGE_SNAPSHOT_H_

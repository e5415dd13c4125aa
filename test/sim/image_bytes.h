// The metadata image as bytes and back, for the snapshots of a simulated quorum: the content of an
// image store.
//
// Thread: any (pure functions).
#ifndef TEST_SIM_IMAGE_BYTES_H_
#define TEST_SIM_IMAGE_BYTES_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "metadata/image.h"

namespace millrace::sim {

// Equal images give equal bytes.
absl::StatusOr<std::string> EncodeImage(const metadata::Image& image);
absl::StatusOr<metadata::Image> DecodeImage(absl::string_view bytes);

}  // namespace millrace::sim

#endif  // TEST_SIM_IMAGE_BYTES_H_

// CheckFeatureLevel: whether the cluster's feature level has the records that a command needs.
//
// Thread: any (pure functions).
#ifndef CONTROLLER_FEATURE_LEVEL_H_
#define CONTROLLER_FEATURE_LEVEL_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status.h"
#include "metadata/image.h"

namespace millrace::controller {

// Errors: UNSUPPORTED_VERSION, naming both levels, where the cluster is below `level`, at which
// `what` came.
inline absl::Status CheckFeatureLevel(const metadata::Image& image, int level,
                                      absl::string_view what) {
  if (image.feature_level() >= level) return absl::OkStatus();
  return MakeError(
      ErrorCode::kUnsupportedVersion,
      absl::StrCat(what, " needs feature level ", level, ", the cluster is at ",
                   image.feature_level(), ": raise it when all nodes run this version"),
      {.name = "feature_level", .value = absl::StrCat(image.feature_level())});
}

}  // namespace millrace::controller

#endif  // CONTROLLER_FEATURE_LEVEL_H_

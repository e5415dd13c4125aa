// CheckNamed: refuses a request that names more than it may, before any of it is looked up.
//
// A decision holds up all others, and a request may have some 100 MiB: without a bound one that
// only asks would take gigabytes, and so long that another controller is elected, which is asked
// the same again.
//
// Thread: any (pure functions).
#ifndef CONTROLLER_REQUEST_BOUNDS_H_
#define CONTROLLER_REQUEST_BOUNDS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status.h"

namespace millrace::controller {

// `what`: in words, many of them ("topics"). Errors: INVALID_REQUEST, with both numbers.
inline absl::Status CheckNamed(absl::string_view what, int count, int max) {
  if (count <= max) return absl::OkStatus();
  return MakeError(
      ErrorCode::kInvalidRequest,
      absl::StrCat("a request may name ", max, " ", what, ", not ", count, ": send several"),
      {.name = std::string(what), .value = absl::StrCat(count)});
}

}  // namespace millrace::controller

#endif  // CONTROLLER_REQUEST_BOUNDS_H_

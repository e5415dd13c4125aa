// The way from an error of ours to a result of one resource in a proto response.
//
// Thread: any (pure functions).
#ifndef CONTROLLER_RESULTS_H_
#define CONTROLLER_RESULTS_H_

#include <string>

#include "absl/status/status.h"
#include "base/status.h"
#include "millrace/v1/admin_service.pb.h"

namespace millrace::controller {

// The two enums have the same numbers.
inline v1::ErrorCode ToProto(ErrorCode code) {
  return static_cast<v1::ErrorCode>(static_cast<int>(code));
}

// Puts code and message of `status` into a result message.
template <class Result>
void SetError(const absl::Status& status, Result* result) {
  result->set_code(ToProto(CodeOf(status)));
  result->set_message(std::string(status.message()));
}

}  // namespace millrace::controller

#endif  // CONTROLLER_RESULTS_H_

// absl::Status that carries an ErrorCode and its details, and the macros that pass one on.
//
// An operating error is made with MakeError: the message says what was wrong, with which value, and
// what to do. The details (code, offending name and value, leader hint) travel as a payload of the
// status, so that rpc/ can turn them into a millrace.v1.ErrorInfo.
//
// Thread: any (values).
#ifndef BASE_STATUS_H_
#define BASE_STATUS_H_

#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/error_code.h"
#include "base/ids.h"

namespace millrace {

// Who leads now, as far as the refusing node knows (S-40).
struct LeaderHint {
  NodeId leader = kNoNode;
  LeaderEpoch leader_epoch = kNoLeaderEpoch;
  std::string address;  // "host:port" of the listener asked for; may be empty.

  friend bool operator==(const LeaderHint&, const LeaderHint&) = default;
};

// What accompanies an error beside its message. All optional.
struct ErrorDetail {
  std::string name = {};   // The offending field, config key, file...
  std::string value = {};  // ...and its value, shortened where long.
  std::optional<LeaderHint> leader = std::nullopt;

  friend bool operator==(const ErrorDetail&, const ErrorDetail&) = default;
};

// REQUIRES: code is not kNone.
absl::Status MakeError(ErrorCode code, absl::string_view message, ErrorDetail detail = {});

// kNone for an OK status; for one made elsewhere, the closest code to its canonical code.
ErrorCode CodeOf(const absl::Status& status);
ErrorDetail DetailOf(const absl::Status& status);

// `status` with "`context`: " before its message; code and details are kept. OK stays OK.
absl::Status Annotate(const absl::Status& status, absl::string_view context);

}  // namespace millrace

// Returns from the enclosing function if the expression is not OK.
#define RETURN_IF_ERROR(expression)                                                        \
  do {                                                                                     \
    if (absl::Status status_of_it = (expression); !status_of_it.ok()) return status_of_it; \
  } while (false)

#define MILLRACE_CONCAT_INNER_(a, b) a##b
#define MILLRACE_CONCAT_(a, b) MILLRACE_CONCAT_INNER_(a, b)

// ASSIGN_OR_RETURN(auto x, F()): x is F()'s value, or F()'s error is returned.
#define ASSIGN_OR_RETURN(declaration, expression) \
  ASSIGN_OR_RETURN_(MILLRACE_CONCAT_(status_or_, __LINE__), declaration, expression)
#define ASSIGN_OR_RETURN_(status_or, declaration, expression) \
  auto status_or = (expression);                              \
  if (!status_or.ok()) return std::move(status_or).status();  \
  declaration = *std::move(status_or)

#endif  // BASE_STATUS_H_

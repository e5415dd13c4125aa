#include "base/status.h"

#include <vector>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/check.h"

namespace millrace {
namespace {

constexpr char kCodeUrl[] = "millrace/code";
constexpr char kNameUrl[] = "millrace/name";
constexpr char kValueUrl[] = "millrace/value";
constexpr char kLeaderUrl[] = "millrace/leader";

std::string Payload(const absl::Status& status, absl::string_view url) {
  absl::optional<absl::Cord> payload = status.GetPayload(url);
  return payload.has_value() ? std::string(*payload) : std::string();
}

// The code that fits a status which was not made by MakeError.
ErrorCode ClosestCode(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kOk:
      return ErrorCode::kNone;
    case absl::StatusCode::kInvalidArgument:
      return ErrorCode::kInvalidRequest;
    case absl::StatusCode::kDeadlineExceeded:
      return ErrorCode::kRequestTimedOut;
    case absl::StatusCode::kResourceExhausted:
      return ErrorCode::kResourceExhausted;
    case absl::StatusCode::kUnavailable:
      return ErrorCode::kBrokerNotAvailable;
    case absl::StatusCode::kCancelled:
      return ErrorCode::kCancelled;
    case absl::StatusCode::kUnimplemented:
      return ErrorCode::kUnsupportedVersion;
    case absl::StatusCode::kDataLoss:
      return ErrorCode::kCorruptLog;
    default:
      return ErrorCode::kUnknownServerError;
  }
}

}  // namespace

absl::Status MakeError(ErrorCode code, absl::string_view message, ErrorDetail detail) {
  CHECK(code != ErrorCode::kNone) << message;
  absl::Status status(CanonicalCode(code), message);
  status.SetPayload(kCodeUrl, absl::Cord(absl::StrCat(static_cast<int32_t>(code))));
  if (!detail.name.empty()) status.SetPayload(kNameUrl, absl::Cord(detail.name));
  if (!detail.value.empty()) status.SetPayload(kValueUrl, absl::Cord(detail.value));
  if (detail.leader.has_value()) {
    status.SetPayload(kLeaderUrl, absl::Cord(absl::StrCat(detail.leader->leader.value(), " ",
                                                          detail.leader->leader_epoch.value(), " ",
                                                          detail.leader->address)));
  }
  return status;
}

ErrorCode CodeOf(const absl::Status& status) {
  int32_t number = 0;
  if (absl::SimpleAtoi(Payload(status, kCodeUrl), &number)) return static_cast<ErrorCode>(number);
  return ClosestCode(status.code());
}

ErrorDetail DetailOf(const absl::Status& status) {
  ErrorDetail detail{.name = Payload(status, kNameUrl), .value = Payload(status, kValueUrl)};
  const std::string leader = Payload(status, kLeaderUrl);
  const std::vector<std::string> parts = absl::StrSplit(leader, absl::MaxSplits(' ', 2));
  int32_t id = 0;
  int32_t epoch = 0;
  if (parts.size() == 3 && absl::SimpleAtoi(parts[0], &id) && absl::SimpleAtoi(parts[1], &epoch)) {
    detail.leader =
        LeaderHint{.leader = NodeId(id), .leader_epoch = LeaderEpoch(epoch), .address = parts[2]};
  }
  return detail;
}

absl::Status Annotate(const absl::Status& status, absl::string_view context) {
  if (status.ok()) return status;
  absl::Status annotated(status.code(), absl::StrCat(context, ": ", status.message()));
  status.ForEachPayload([&](absl::string_view url, const absl::Cord& payload) {
    annotated.SetPayload(url, payload);
  });
  return annotated;
}

}  // namespace millrace

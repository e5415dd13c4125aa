#include "rpc/status_mapping.h"

#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "millrace/v1/errors.pb.h"
#include "rpc_status.pb.h"

namespace millrace::rpc {
namespace {

// gRPC carries trailers in a few KiB of headers: longer texts are cut.
constexpr size_t kMessageBytesMax = 2048;
constexpr size_t kDetailBytesMax = 512;

std::string Cut(absl::string_view text, size_t bytes_max) {
  if (text.size() <= bytes_max) return std::string(text);
  size_t end = bytes_max;
  // Not in the middle of a UTF-8 character.
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return absl::StrCat(text.substr(0, end), "...");
}

// Protocol Buffers refuse strings that are not UTF-8; offending values may be any bytes.
std::string Printable(absl::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7F) c = '?';
  }
  return out;
}

v1::ErrorInfo ToErrorInfo(const absl::Status& status, const std::string& message) {
  const ErrorCode code = CodeOf(status);
  const ErrorDetail detail = DetailOf(status);
  v1::ErrorInfo info;
  info.set_code(static_cast<v1::ErrorCode>(code));
  info.set_message(message);
  info.set_retriable(IsRetriable(code));
  info.set_name(Cut(Printable(detail.name), kDetailBytesMax));
  info.set_value(Cut(Printable(detail.value), kDetailBytesMax));
  if (detail.leader.has_value()) {
    info.mutable_leader()->set_leader_id(detail.leader->leader.value());
    info.mutable_leader()->set_leader_epoch(detail.leader->leader_epoch.value());
    info.mutable_leader()->set_address(Printable(detail.leader->address));
  }
  return info;
}

absl::Status FromErrorInfo(const v1::ErrorInfo& info, const std::string& message) {
  ErrorDetail detail{.name = info.name(), .value = info.value()};
  if (info.has_leader()) {
    detail.leader = LeaderHint{.leader = NodeId(info.leader().leader_id()),
                               .leader_epoch = LeaderEpoch(info.leader().leader_epoch()),
                               .address = info.leader().address()};
  }
  return MakeError(static_cast<ErrorCode>(info.code()), message, std::move(detail));
}

// TLS to a server that has another certificate, or none, or one that is not believed.
bool IsHandshakeFailure(const std::string& message) {
  // gRPC says Ssl or Tls, by the kind of its credentials.
  return absl::StrContains(message, "handshake failed: SSL_ERROR_SSL") ||
         absl::StrContains(message, "Custom verification check failed") ||
         absl::StrContains(message, "Hostname Verification Check failed");
}

// The code of a status that gRPC itself made.
ErrorCode CodeOfForeign(const grpc::Status& status) {
  switch (status.error_code()) {
    case grpc::StatusCode::CANCELLED:
      return ErrorCode::kCancelled;
    case grpc::StatusCode::INVALID_ARGUMENT:
      return ErrorCode::kInvalidRequest;
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return ErrorCode::kRequestTimedOut;
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return absl::StrContains(status.error_message(), "larger than max")
                 ? ErrorCode::kMessageTooLarge
                 : ErrorCode::kResourceExhausted;
    case grpc::StatusCode::UNIMPLEMENTED:
      return ErrorCode::kUnsupportedVersion;
    case grpc::StatusCode::UNAVAILABLE:
      return ErrorCode::kBrokerNotAvailable;
    default:
      return ErrorCode::kUnknownServerError;
  }
}

}  // namespace

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const std::string message = Cut(status.message(), kMessageBytesMax);
  // The two enumerations have the same numbers by definition.
  const auto code = static_cast<grpc::StatusCode>(static_cast<int>(status.code()));
  RpcStatus details;
  details.set_code(static_cast<int32_t>(code));
  details.set_message(Printable(message));
  details.add_details()->PackFrom(ToErrorInfo(status, details.message()));
  return grpc::Status(code, message, details.SerializeAsString());
}

absl::Status FromGrpcStatus(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  RpcStatus details;
  if (details.ParseFromString(status.error_details())) {
    for (const google::protobuf::Any& detail : details.details()) {
      v1::ErrorInfo info;
      if (detail.UnpackTo(&info) && info.code() != v1::ERROR_CODE_UNSPECIFIED) {
        return FromErrorInfo(info, status.error_message());
      }
    }
  }
  const std::string message =
      status.error_message().empty() ? "the server gave no reason" : status.error_message();
  // Another server may be the one that was meant.
  ErrorDetail detail;
  if (IsHandshakeFailure(message)) detail.name = kUntrustedName;
  return MakeError(CodeOfForeign(status), message, std::move(detail));
}

}  // namespace millrace::rpc

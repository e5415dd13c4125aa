#include "rpc/status_mapping.h"

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "millrace/v1/errors.pb.h"
#include "rpc_status.pb.h"

namespace millrace::rpc {
namespace {

TEST(StatusMapping, EveryCodeHasTheProtosNumberAndName) {
  for (const ErrorCode code : AllErrorCodes()) {
    const int number = static_cast<int>(code);
    ASSERT_TRUE(v1::ErrorCode_IsValid(number)) << ErrorCodeName(code);
    const std::string name = v1::ErrorCode_Name(static_cast<v1::ErrorCode>(number));
    if (code == ErrorCode::kNone) {
      EXPECT_EQ(name, "ERROR_CODE_UNSPECIFIED");
    } else {
      EXPECT_EQ(name, absl::StrCat("ERROR_CODE_", ErrorCodeName(code)));
    }
  }
  EXPECT_EQ(static_cast<size_t>(v1::ErrorCode_descriptor()->value_count()), AllErrorCodes().size());
}

TEST(StatusMapping, EveryErrorComesBackAsItWent) {
  for (const ErrorCode code : AllErrorCodes()) {
    if (code == ErrorCode::kNone) continue;
    const absl::Status status = MakeError(
        code, "what, which, and what to do",
        {.name = "topic",
         .value = "orders",
         .leader = LeaderHint{
             .leader = NodeId(3), .leader_epoch = LeaderEpoch(7), .address = "there:9092"}});
    const grpc::Status wire = ToGrpcStatus(status);
    EXPECT_EQ(static_cast<int>(wire.error_code()), static_cast<int>(CanonicalCode(code)));
    EXPECT_EQ(wire.error_message(), "what, which, and what to do");
    const absl::Status back = FromGrpcStatus(wire);
    EXPECT_EQ(CodeOf(back), code);
    EXPECT_EQ(back.message(), status.message());
    EXPECT_EQ(DetailOf(back), DetailOf(status));
  }
}

TEST(StatusMapping, DetailIsAStandardStatusWithErrorInfo) {
  const grpc::Status wire =
      ToGrpcStatus(MakeError(ErrorCode::kNotLeaderOrFollower, "elsewhere", {.name = "p"}));
  RpcStatus details;
  ASSERT_TRUE(details.ParseFromString(wire.error_details()));
  EXPECT_EQ(details.code(), static_cast<int>(wire.error_code()));
  ASSERT_EQ(details.details_size(), 1);
  EXPECT_EQ(details.details(0).type_url(), "type.googleapis.com/millrace.v1.ErrorInfo");
  v1::ErrorInfo info;
  ASSERT_TRUE(details.details(0).UnpackTo(&info));
  EXPECT_TRUE(info.retriable());
  EXPECT_EQ(info.message(), "elsewhere");
}

TEST(StatusMapping, OkIsOk) {
  EXPECT_TRUE(ToGrpcStatus(absl::OkStatus()).ok());
  EXPECT_OK(FromGrpcStatus(grpc::Status::OK));
}

TEST(StatusMapping, ForeignStatusesGetTheClosestCode) {
  using G = grpc::StatusCode;
  EXPECT_THAT(FromGrpcStatus({G::UNAVAILABLE, "connection refused"}),
              HasCode(ErrorCode::kBrokerNotAvailable));
  EXPECT_THAT(FromGrpcStatus({G::DEADLINE_EXCEEDED, "late"}), HasCode(ErrorCode::kRequestTimedOut));
  EXPECT_THAT(FromGrpcStatus({G::CANCELLED, ""}), HasCode(ErrorCode::kCancelled));
  EXPECT_THAT(FromGrpcStatus({G::RESOURCE_EXHAUSTED, "Received message larger than max (9 vs. 5)"}),
              HasCode(ErrorCode::kMessageTooLarge));
  EXPECT_THAT(FromGrpcStatus({G::RESOURCE_EXHAUSTED, "quota"}),
              HasCode(ErrorCode::kResourceExhausted));
  EXPECT_THAT(FromGrpcStatus({G::INTERNAL, "boom"}), HasCode(ErrorCode::kUnknownServerError));
  EXPECT_THAT(FromGrpcStatus({G::INTERNAL, "boom", "not a status"}),
              HasCode(ErrorCode::kUnknownServerError));
}

TEST(StatusMapping, OffendingValuesMayBeAnyBytes) {
  const absl::Status status = MakeError(ErrorCode::kInvalidTopicName, "bad name \xff\xfe",
                                        {.name = "topic", .value = std::string("a\0\xff", 3)});
  EXPECT_EQ(DetailOf(FromGrpcStatus(ToGrpcStatus(status))).value, "a??");
}

TEST(StatusMapping, LongTextsAreCutToFitTrailers) {
  const std::string longer(100'000, 'x');
  const grpc::Status wire =
      ToGrpcStatus(MakeError(ErrorCode::kInvalidRequest, longer, {.value = longer}));
  EXPECT_LT(wire.error_message().size() + wire.error_details().size(), 8000u);
  EXPECT_THAT(FromGrpcStatus(wire), HasCode(ErrorCode::kInvalidRequest));
}

TEST(StatusMapping, AServerThatIsNotTrustedIsNotThereAndSaysWhy) {
  for (const char* kind : {"Ssl", "Tls"}) {
    const absl::Status status = FromGrpcStatus(grpc::Status(
        grpc::StatusCode::UNAVAILABLE,
        absl::StrCat("failed to connect to all addresses; last error: UNKNOWN: ", kind,
                     " handshake failed: SSL_ERROR_SSL: error:0A000086:SSL routines::certificate "
                     "verify failed")));
    EXPECT_THAT(status, IsError(ErrorCode::kBrokerNotAvailable, "certificate verify failed"));
    EXPECT_EQ(DetailOf(status).name, kUntrustedName);
  }
  EXPECT_EQ(DetailOf(FromGrpcStatus(grpc::Status(grpc::StatusCode::UNAVAILABLE, "reset"))).name,
            "");
}

}  // namespace
}  // namespace millrace::rpc

#include "base/status.h"

#include "base/status_matchers.h"

namespace millrace {
namespace {

TEST(StatusTest, ErrorCarriesCodeMessageAndDetail) {
  const absl::Status status = MakeError(ErrorCode::kInvalidTopicName, "topic name '..' is reserved",
                                        {.name = "topic", .value = ".."});
  EXPECT_EQ(CodeOf(status), ErrorCode::kInvalidTopicName);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "topic name '..' is reserved");
  EXPECT_EQ(DetailOf(status), (ErrorDetail{.name = "topic", .value = ".."}));
}

TEST(StatusTest, LeaderHintTravelsWithTheError) {
  for (const char* address : {"host:9092", "", "[::1]:9092", "a host:1"}) {
    const LeaderHint hint{.leader = NodeId(3), .leader_epoch = LeaderEpoch(7), .address = address};
    const absl::Status status =
        MakeError(ErrorCode::kNotLeaderOrFollower, "not the leader", {.leader = hint});
    EXPECT_EQ(DetailOf(status).leader, hint) << address;
  }
}

TEST(StatusTest, NoDetailIsEmptyDetail) {
  EXPECT_EQ(DetailOf(MakeError(ErrorCode::kShuttingDown, "stopping")), ErrorDetail{});
  EXPECT_EQ(DetailOf(absl::OkStatus()), ErrorDetail{});
}

TEST(StatusTest, EveryCodeSurvives) {
  for (ErrorCode code : AllErrorCodes()) {
    if (code == ErrorCode::kNone) continue;
    EXPECT_EQ(CodeOf(MakeError(code, "x")), code);
  }
}

TEST(StatusTest, ForeignStatusGetsTheClosestCode) {
  EXPECT_EQ(CodeOf(absl::OkStatus()), ErrorCode::kNone);
  EXPECT_EQ(CodeOf(absl::InvalidArgumentError("x")), ErrorCode::kInvalidRequest);
  EXPECT_EQ(CodeOf(absl::DeadlineExceededError("x")), ErrorCode::kRequestTimedOut);
  EXPECT_EQ(CodeOf(absl::ResourceExhaustedError("x")), ErrorCode::kResourceExhausted);
  EXPECT_EQ(CodeOf(absl::UnavailableError("x")), ErrorCode::kBrokerNotAvailable);
  EXPECT_EQ(CodeOf(absl::CancelledError("x")), ErrorCode::kCancelled);
  EXPECT_EQ(CodeOf(absl::UnimplementedError("x")), ErrorCode::kUnsupportedVersion);
  EXPECT_EQ(CodeOf(absl::DataLossError("x")), ErrorCode::kCorruptLog);
  EXPECT_EQ(CodeOf(absl::InternalError("x")), ErrorCode::kUnknownServerError);
}

TEST(StatusTest, AnnotateKeepsCodeAndDetail) {
  const absl::Status status =
      Annotate(MakeError(ErrorCode::kStorageError, "write failed", {.name = "file"}), "topic-0");
  EXPECT_EQ(status.message(), "topic-0: write failed");
  EXPECT_EQ(CodeOf(status), ErrorCode::kStorageError);
  EXPECT_EQ(DetailOf(status).name, "file");
  EXPECT_OK(Annotate(absl::OkStatus(), "context"));
}

absl::StatusOr<int> Half(int number) {
  if (number % 2 != 0) return MakeError(ErrorCode::kInvalidRequest, "odd");
  return number / 2;
}

absl::StatusOr<int> Quarter(int number) {
  ASSIGN_OR_RETURN(const int half, Half(number));
  ASSIGN_OR_RETURN(const int quarter, Half(half));
  RETURN_IF_ERROR(absl::OkStatus());
  return quarter;
}

TEST(StatusTest, MacrosPassErrorsOn) {
  EXPECT_EQ(*Quarter(8), 2);
  EXPECT_THAT(Quarter(6), HasCode(ErrorCode::kInvalidRequest));
  EXPECT_THAT(Quarter(5), HasCode(ErrorCode::kInvalidRequest));
}

TEST(StatusDeathTest, NoneIsNotAnError) {
  EXPECT_DEATH(MakeError(ErrorCode::kNone, "x").IgnoreError(), "CHECK failed");
}

}  // namespace
}  // namespace millrace

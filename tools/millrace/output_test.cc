#include "tools/millrace/output.h"

#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::tools {
namespace {

TEST(Table, AlignsColumnsAndLeavesNoTrailingSpaces) {
  Table table({"TOPIC", "N"});
  table.Add({"a-long-name", "1"});
  EXPECT_EQ(table.ToString(), "TOPIC        N\na-long-name  1\n");
}

TEST(ReportError, TellsAnUnreachableClusterFromARefusal) {
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(ReportError(MakeError(ErrorCode::kBrokerNotAvailable, "nobody"), OutputFormat::kTable),
            kExitUnavailable);
  EXPECT_EQ(ReportError(MakeError(ErrorCode::kInvalidTopicName, "bad", {.value = "a/b"}),
                        OutputFormat::kJson),
            kExitFailed);
  EXPECT_EQ(
      ::testing::internal::GetCapturedStderr(),
      "error: nobody (BROKER_NOT_AVAILABLE)\n"
      R"({"error":{"code":"INVALID_TOPIC_NAME","message":"bad","retriable":false,"value":"a/b"}})"
      "\n");
}

}  // namespace
}  // namespace millrace::tools

#include "tools/millrace/verify_report.h"

#include "base/status.h"
#include "base/status_matchers.h"

namespace millrace::tools {
namespace {

using ::testing::HasSubstr;

TEST(VerifyReport, NothingWrongIsOk) {
  VerifyReport report;
  EXPECT_OK(report.Verdict());
  EXPECT_EQ(report.ToJson()["ok"], true);
  EXPECT_THAT(report.ToText(), HasSubstr("0 damaged, 0 wrong hints, 0 torn\n"));
}

TEST(VerifyReport, ATornWriteIsListedAndIsNoFault) {
  VerifyReport report;
  report.Add(ProblemKind::kTorn, {"f.log", 10, Offset(3)}, "5 bytes");
  EXPECT_OK(report.Verdict());
  EXPECT_THAT(report.ToText(), HasSubstr("torn: f.log at byte 10, offset 3: 5 bytes\n"));
}

TEST(VerifyReport, DamageAndWrongHintsAreFaultsAndCounted) {
  VerifyReport report;
  report.Add(ProblemKind::kHint, {"f.index"}, "the file is missing");
  EXPECT_THAT(report.Verdict(), IsError(ErrorCode::kCorruptLog, "1 file that only saves time"));
  report.Add(ProblemKind::kDamage, {"f.log", 0}, "checksum");
  report.AddUnlessOk(absl::OkStatus(), "g.log");
  report.AddUnlessOk(MakeError(ErrorCode::kStorageError, "cannot read"), "g.log");
  EXPECT_THAT(report.Verdict(), IsError(ErrorCode::kCorruptLog, "2 places are damaged"));
  const Json json = report.ToJson();
  EXPECT_EQ(json["ok"], false);
  ASSERT_EQ(json["problems"].size(), 3u);
  EXPECT_EQ(json["problems"][0], Json({{"kind", "hint"},
                                       {"path", "f.index"},
                                       {"position", nullptr},
                                       {"offset", nullptr},
                                       {"what", "the file is missing"}}));
  EXPECT_EQ(json["problems"][2]["what"], "cannot read");
}

}  // namespace
}  // namespace millrace::tools

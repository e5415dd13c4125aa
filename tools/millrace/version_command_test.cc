#include "tools/millrace/version_command.h"

#include "base/version.h"
#include "gtest/gtest.h"
#include "tools/millrace/testing/command_test_bed.h"

namespace millrace::tools {
namespace {

TEST(VersionCommand, PrintsALineForPeopleAndKeysForScripts) {
  EXPECT_EQ(RunLine(AddVersionCommand, {"version"}).out, absl::StrCat("millrace ", kVersion, "\n"));
  const Json json = Json::parse(RunLine(AddVersionCommand, {"version", "-o", "json"}).out);
  EXPECT_EQ(json["version"], kVersion);
  EXPECT_LE(json["feature_level_min"].get<int>(), json["feature_level_max"].get<int>());
  EXPECT_TRUE(json.contains("compiler"));
}

}  // namespace
}  // namespace millrace::tools

#include "tools/millrace/feature_command.h"

#include "gtest/gtest.h"
#include "tools/millrace/cluster_command.h"
#include "tools/millrace/testing/command_test_bed.h"

namespace millrace::tools {
namespace {

TEST(FeatureCommand, ShowsTheFeatureLevelAndWhatEachNodeKnows) {
  FakeAdminServer server;
  v1::DescribeFeaturesResponse& features = server.describe_features.response;
  features.set_feature_level(1);
  features.set_level_supported(1);
  v1::NodeFeatures* controller = features.add_nodes();
  controller->set_node_id(1);
  controller->set_role(v1::NODE_ROLE_CONTROLLER);
  controller->set_level_min(1);
  controller->set_level_max(2);
  controller->set_version("0.1.0");
  v1::NodeFeatures* silent = features.add_nodes();
  silent->set_node_id(2);
  silent->set_role(v1::NODE_ROLE_CONTROLLER);
  const LineResult result = RunLine(AddClusterCommands, server.At({"cluster", "features"}));
  EXPECT_EQ(result.exit_code, kExitOk) << result.err;
  EXPECT_EQ(result.out,
            "feature level 1  may be raised to 1\n\n"
            "NODE  ROLE        LEVELS        VERSION\n"
            "1     controller  1 to 2        0.1.0\n"
            "2     controller  not heard of  -\n");
  const Json json = Json::parse(
      RunLine(AddClusterCommands, server.At({"cluster", "features", "-o", "json"})).out);
  EXPECT_EQ(json["nodes"][0]["level_max"], 2);
  EXPECT_TRUE(json["nodes"][1]["level_max"].is_null());
}

TEST(FeatureCommand, RaisesTheLevelOrTriesIt) {
  FakeAdminServer server;
  server.raise_feature_level.response.set_level_before(1);
  server.raise_feature_level.response.set_level(2);
  LineResult result = RunLine(AddClusterCommands, server.At({"cluster", "upgrade", "--dry-run"}));
  EXPECT_EQ(result.out, "feature level would be raised from 1 to 2; nothing was changed\n");
  EXPECT_TRUE(server.raise_feature_level.request.validate_only());
  EXPECT_EQ(server.raise_feature_level.request.level(), 0);
  result = RunLine(AddClusterCommands, server.At({"cluster", "upgrade", "--to", "2"}));
  EXPECT_EQ(result.out, "feature level raised from 1 to 2\n");
  EXPECT_FALSE(server.raise_feature_level.request.validate_only());
  EXPECT_EQ(server.raise_feature_level.request.level(), 2);
  server.raise_feature_level.response.set_level_before(2);
  result = RunLine(AddClusterCommands, server.At({"cluster", "upgrade"}));
  EXPECT_EQ(result.out, "the cluster is at feature level 2 already\n");
}

}  // namespace
}  // namespace millrace::tools

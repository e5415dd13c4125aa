#include "controller/feature_level.h"

#include "controller/testing/test_cluster.h"

namespace millrace::controller {
namespace {

TEST(FeatureLevelTest, AClusterBelowTheLevelIsToldBoth) {
  const TestCluster cluster;
  EXPECT_OK(CheckFeatureLevel(cluster.image(), metadata::kFeatureLevelMax, "flying"));
  EXPECT_THAT(CheckFeatureLevel(metadata::Image(), 3, "flying"),
              IsError(ErrorCode::kUnsupportedVersion, "flying needs feature level 3"));
}

}  // namespace
}  // namespace millrace::controller

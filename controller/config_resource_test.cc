#include "controller/config_resource.h"

#include <string>

#include "controller/testing/test_cluster.h"

namespace millrace::controller {
namespace {

v1::ConfigResource BrokerResource(const std::string& name) {
  v1::ConfigResource resource;
  resource.set_type(v1::CONFIG_RESOURCE_TYPE_BROKER);
  resource.set_name(name);
  return resource;
}

TEST(ConfigResourceTest, OnlyTheNodesOwnFileIsKnown) {
  TestCluster cluster(ConfigValues{{"num.partitions", "7"}});
  cluster.Start(1, 1);
  cluster.Start(2, 1);
  ASSERT_OK_AND_ASSIGN(const FoundResource own, FindResource(cluster.state(), BrokerResource("1")));
  ASSERT_OK_AND_ASSIGN(const FoundResource other,
                       FindResource(cluster.state(), BrokerResource("2")));
  for (const ConfigKey& key : KeysOf(cluster.state(), own)) {
    if (key.name != "num.partitions") continue;
    EXPECT_EQ(Resolve(own, key).value, "7");
    EXPECT_EQ(Resolve(other, key).value, "1");
  }
}

TEST(ConfigResourceTest, NodesOwnKeysAreListedReadOnly) {
  Settings settings;
  settings.node_id = NodeId(1);
  settings.node_keys = {{.name = "a.node.key", .default_value = "x", .dynamic = true}};
  State state = MakeState({}, std::make_shared<const Settings>(settings));
  ASSERT_OK_AND_ASSIGN(const FoundResource all, FindResource(state, BrokerResource("")));
  const std::vector<ConfigKey> keys = KeysOf(state, all);
  ASSERT_FALSE(keys.empty());
  EXPECT_EQ(keys[0].name, "a.node.key");
  EXPECT_FALSE(keys[0].dynamic);
}

TEST(ConfigResourceTest, BrokerIdsHaveOneSpelling) {
  TestCluster cluster;
  cluster.Start(1, 1);
  EXPECT_OK(FindResource(cluster.state(), BrokerResource("1")));
  for (const char* name : {"01", "+1", " 1", "-1", "1.0"}) {
    EXPECT_THAT(FindResource(cluster.state(), BrokerResource(name)),
                HasCode(ErrorCode::kInvalidRequest));
  }
}

}  // namespace
}  // namespace millrace::controller

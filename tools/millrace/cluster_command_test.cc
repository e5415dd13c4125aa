#include "tools/millrace/cluster_command.h"

#include "gmock/gmock.h"
#include "tools/millrace/testing/command_test_bed.h"

namespace millrace::tools {
namespace {

using ::testing::HasSubstr;

TEST(ClusterCommand, ShowsBrokersAndTheirDisks) {
  FakeAdminServer server;
  v1::DescribeClusterResponse& cluster = server.describe_cluster.response;
  cluster.set_cluster_id("the-id");
  cluster.set_controller_id(1);
  v1::BrokerDescription* broker = cluster.add_brokers();
  broker->set_broker_id(1);
  broker->add_listeners("PLAINTEXT://one:9092");
  broker->set_version("0.1");
  broker->set_cordoned(true);
  broker->set_replicas(3);
  broker->set_leaders(2);
  v1::BrokerDescription* fenced = cluster.add_brokers();
  fenced->set_broker_id(2);
  fenced->set_rack("r2");
  fenced->set_fenced(true);
  v1::LogDirDescription* dir = server.describe_log_dirs.response.add_log_dirs();
  dir->set_path("/data/logs");
  dir->set_free_bytes(int64_t{3} << 30);
  dir->add_partitions()->set_size_bytes(1 << 30);
  dir->add_partitions()->set_size_bytes(1 << 30);
  v1::LogDirDescription* second = server.describe_log_dirs.response.add_log_dirs();
  second->set_path("/data/more");
  second->add_partitions()->set_code(v1::ERROR_CODE_CORRUPT_LOG);
  const LineResult result = RunLine(AddClusterCommands, server.At({"cluster", "describe"}));
  EXPECT_EQ(result.exit_code, kExitOk) << result.err;
  EXPECT_THAT(result.out, HasSubstr("1       /data/more     online  1, 1 offline"));
  EXPECT_THAT(result.out, HasSubstr("cluster the-id  controller 1"));
  EXPECT_THAT(result.out, HasSubstr("1       running, cordoned  -     3         2        0.1      "
                                    "PLAINTEXT://one:9092\n"));
  EXPECT_THAT(result.out, HasSubstr("2       fenced             r2"));
  EXPECT_THAT(result.out,
              HasSubstr("1       /data/logs     online  2             2.0 GiB  3.0 GiB\n"));
  const Json json = Json::parse(
      RunLine(AddClusterCommands, server.At({"cluster", "describe", "-o", "json"})).out);
  EXPECT_EQ(json["brokers"][0]["log_dirs"][0]["partition_bytes"], int64_t{2} << 30);
  EXPECT_EQ(json["brokers"][0]["log_dirs"][1]["offline_partitions"], 1);
  EXPECT_EQ(json["brokers"][1]["state"], "fenced");
  EXPECT_EQ(json["brokers"][0]["cordoned"], true);
  EXPECT_EQ(json["brokers"][0]["replicas"], 3);
  EXPECT_TRUE(json["brokers"][1]["log_dirs"].empty());
}

TEST(ClusterCommand, CordonsAndSaysWhatTheBrokerHolds) {
  FakeAdminServer server;
  server.cordon_broker.response.set_changed(true);
  server.cordon_broker.response.set_replicas(4);
  const LineResult cordon = RunLine(AddClusterCommands, server.At({"cluster", "cordon", "103"}));
  EXPECT_EQ(cordon.exit_code, kExitOk) << cordon.err;
  EXPECT_THAT(cordon.out, HasSubstr("broker 103 is now cordoned"));
  EXPECT_THAT(cordon.out, HasSubstr("it holds 4\n"));
  EXPECT_EQ(server.cordon_broker.request.broker_id(), 103);
  EXPECT_TRUE(server.cordon_broker.request.cordoned());
  const Json json = Json::parse(
      RunLine(AddClusterCommands, server.At({"cluster", "uncordon", "103", "-o", "json"})).out);
  EXPECT_EQ(json["cordoned"], false);
  EXPECT_EQ(json["changed"], true);
  EXPECT_FALSE(server.cordon_broker.request.cordoned());
}

TEST(ClusterCommand, DecommissionEndsWhenTheBrokerHoldsNothing) {
  FakeAdminServer server;
  LineResult result = RunLine(AddClusterCommands, server.At({"cluster", "decommission", "103"}));
  EXPECT_EQ(result.exit_code, kExitOk) << result.err;
  EXPECT_THAT(result.out, HasSubstr("broker 103 holds nothing"));
  v1::DecommissionBrokerResponse& response = server.decommission_broker.response;
  response.set_replicas(2);
  response.set_moving(1);
  response.add_started();
  result = RunLine(AddClusterCommands, server.At({"cluster", "decommission", "103", "--no-wait"}));
  EXPECT_EQ(result.out, "broker 103 still holds 2 replicas; 1 are on their way\n");
  const Json json =
      Json::parse(RunLine(AddClusterCommands,
                          server.At({"cluster", "decommission", "103", "--dry-run", "-o", "json"}))
                      .out);
  EXPECT_TRUE(server.decommission_broker.request.validate_only());
  EXPECT_EQ(json["started"], 1);
  EXPECT_EQ(json["done"], false);
}

TEST(ClusterCommand, ADecommissionsThrottleIsSentOnlyIfItIsGiven) {
  FakeAdminServer server;
  RunLine(AddClusterCommands, server.At({"cluster", "decommission", "103"}));
  EXPECT_FALSE(server.decommission_broker.request.has_throttle_bytes_per_s());
  RunLine(AddClusterCommands,
          server.At({"cluster", "decommission", "103", "--throttle", "1572864"}));
  EXPECT_EQ(server.decommission_broker.request.throttle_bytes_per_s(), 1'572'864);
  RunLine(AddClusterCommands, server.At({"cluster", "decommission", "103", "--throttle", "0"}));
  EXPECT_TRUE(server.decommission_broker.request.has_throttle_bytes_per_s()) << "lifts it";
  EXPECT_EQ(
      RunLine(AddClusterCommands, server.At({"cluster", "decommission", "103", "--throttle", "-1"}))
          .exit_code,
      kExitUsage);
}

TEST(ClusterCommand, UnregistersABroker) {
  FakeAdminServer server;
  const LineResult result =
      RunLine(AddClusterCommands, server.At({"cluster", "unregister", "103"}));
  EXPECT_EQ(result.exit_code, kExitOk) << result.err;
  EXPECT_EQ(server.unregister_broker.request.broker_id(), 103);
}

}  // namespace
}  // namespace millrace::tools

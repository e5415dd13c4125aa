#include "tools/millrace/cluster_command.h"

#include "tools/millrace/command_test_bed.h"

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
  v1::BrokerDescription* fenced = cluster.add_brokers();
  fenced->set_broker_id(2);
  fenced->set_rack("r2");
  fenced->set_fenced(true);
  v1::LogDirDescription* dir = server.describe_log_dirs.response.add_log_dirs();
  dir->set_path("/data/logs");
  dir->set_free_bytes(int64_t{3} << 30);
  dir->add_partitions()->set_size_bytes(1 << 30);
  dir->add_partitions()->set_size_bytes(1 << 30);
  const LineResult result = RunLine(AddClusterCommands, server.At({"cluster", "describe"}));
  EXPECT_EQ(result.exit_code, kExitOk) << result.err;
  EXPECT_THAT(result.out, HasSubstr("cluster the-id  controller 1"));
  EXPECT_THAT(result.out, HasSubstr("1       running  -     0.1      PLAINTEXT://one:9092\n"));
  EXPECT_THAT(result.out, HasSubstr("2       fenced   r2"));
  EXPECT_THAT(result.out,
              HasSubstr("1       /data/logs     online  2           2.0 GiB  3.0 GiB\n"));
  const Json json = Json::parse(
      RunLine(AddClusterCommands, server.At({"cluster", "describe", "-o", "json"})).out);
  EXPECT_EQ(json["brokers"][0]["log_dirs"][0]["partition_bytes"], int64_t{2} << 30);
  EXPECT_EQ(json["brokers"][1]["state"], "fenced");
  EXPECT_TRUE(json["brokers"][1]["log_dirs"].empty());
}

}  // namespace
}  // namespace millrace::tools

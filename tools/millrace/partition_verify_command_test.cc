#include "tools/millrace/partition_verify_command.h"

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "tools/millrace/partition_command.h"
#include "tools/millrace/testing/command_test_bed.h"

namespace millrace::tools {
namespace {

using ::testing::HasSubstr;

class PartitionVerifyCommandTest : public ::testing::Test {
 protected:
  PartitionVerifyCommandTest() {
    v1::TopicDescription* topic = server_.describe_topics.response.add_topics();
    topic->set_name("orders");
    for (int i = 0; i < 4; ++i) topic->add_partitions()->set_partition(i);
  }
  LineResult Run(std::vector<std::string> words) {
    words.insert(words.begin(), "partition");
    return RunLine(AddPartitionCommands, server_.At(std::move(words)));
  }
  Json RunJson(std::vector<std::string> words) {
    words.insert(words.end(), {"-o", "json"});
    return Json::parse(Run(std::move(words)).out);
  }

  FakeAdminServer server_;
};

TEST_F(PartitionVerifyCommandTest, AsksEachReplicasBrokerAndNamesWhatDiffers) {
  FakeAdminServer second;
  const FakeAdminServer* const servers[] = {&server_, &second};
  for (int i = 0; i < 2; ++i) {
    v1::BrokerDescription* broker = server_.describe_cluster.response.add_brokers();
    broker->set_broker_id(101 + i);
    broker->add_listeners(absl::StrCat("PLAINTEXT://", servers[i]->address()));
  }
  for (v1::PartitionDescription& partition :
       *server_.describe_topics.response.mutable_topics(0)->mutable_partitions()) {
    partition.add_replicas(101);
    partition.add_replicas(102);
  }
  for (FakeAdminServer* server : {&server_, &second}) {
    v1::ChecksumReplicaResponse& response = server->checksum_replica.response;
    response.set_end_offset(40);
    response.set_next_offset(40);
    response.set_bytes(400);
    response.set_crc32c(7);
  }
  server_.checksum_replica.response.set_is_leader(true);
  const LineResult equal = Run({"verify", "orders", "--partition", "3"});
  EXPECT_EQ(equal.exit_code, kExitOk) << equal.err;
  EXPECT_THAT(equal.out, HasSubstr("orders  3          101,102   0     40  400    equal\n"));
  EXPECT_EQ(second.checksum_replica.request.broker_id(), 102);
  EXPECT_EQ(second.checksum_replica.request.to_offset(), 40);
  EXPECT_EQ(RunJson({"verify", "orders:3"})["partitions"][0]["difference"], nullptr);

  second.checksum_replica.response.set_log_start_offset(10);
  EXPECT_THAT(Run({"verify", "orders:3"}).out, HasSubstr("equal (broker 102 begins at 10)"));
  second.checksum_replica.response.set_log_start_offset(0);
  second.checksum_replica.response.set_crc32c(8);
  const LineResult different = Run({"verify", "orders:3"});
  EXPECT_EQ(different.exit_code, kExitFailed);
  EXPECT_THAT(different.out, HasSubstr("DIFFERENT"));
  EXPECT_THAT(different.out, HasSubstr("offsets 0 to 39 differ"));
  EXPECT_THAT(different.out, HasSubstr("broker 102: 400 bytes, CRC32C 00000008"));
  EXPECT_THAT(different.err, HasSubstr("partition orders:3"));
  const Json json = RunJson({"verify", "orders:3"});
  EXPECT_EQ(json["equal"], false);
  EXPECT_EQ(json["partitions"][0]["difference"]["replicas"][1]["crc32c"], "00000008");

  EXPECT_THAT(Run({"verify", "orders:9"}).err, HasSubstr("partitions 0 to 3"));
  EXPECT_EQ(Run({"verify"}).exit_code, kExitUsage);
}

}  // namespace
}  // namespace millrace::tools

#include "tools/millrace/partition_command.h"

#include <cstdio>
#include <fstream>

#include "gmock/gmock.h"
#include "tools/millrace/testing/command_test_bed.h"

namespace millrace::tools {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class PartitionCommandTest : public ::testing::Test {
 protected:
  // A topic of four partitions, which every answer is about.
  PartitionCommandTest() {
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
  static v1::PartitionReassignmentState State() {
    v1::PartitionReassignmentState state;
    state.set_topic("orders");
    state.set_partition(3);
    state.set_leader_id(101);
    for (const int id : {101, 102, 104}) state.add_replicas(id);
    for (const int id : {104, 102}) state.add_target(id);
    state.add_adding(104);
    state.add_removing(101);
    for (const int id : {101, 102}) state.add_in_sync_replicas(id);
    return state;
  }

  FakeAdminServer server_;
};

TEST_F(PartitionCommandTest, ElectsPreferredLeadersOfAllTopicsUnlessSomeAreNamed) {
  const LineResult nothing = Run({"elect"});
  EXPECT_EQ(nothing.exit_code, kExitOk) << nothing.err;
  EXPECT_THAT(nothing.out, HasSubstr("nothing to elect"));
  EXPECT_EQ(server_.elect_leaders.request.type(), v1::ELECTION_TYPE_PREFERRED);
  EXPECT_EQ(server_.elect_leaders.request.topics_size(), 0);

  v1::ElectLeaderResult* result = server_.elect_leaders.response.add_results();
  result->set_topic("orders");
  result->set_partition(3);
  result->set_leader_id(101);
  result->set_leader_epoch(7);
  result->set_changed(true);
  EXPECT_THAT(Run({"elect", "orders:3", "payments"}).out,
              HasSubstr("orders  3          101     7      elected\n"));
  const v1::ElectLeadersRequest& request = server_.elect_leaders.request;
  ASSERT_EQ(request.topics_size(), 2);
  EXPECT_THAT(request.topics(0).partitions(), ElementsAre(3));
  EXPECT_EQ(request.topics(1).partitions_size(), 0);
}

TEST_F(PartitionCommandTest, ATopicThatDoesNotExistHasNoLeader) {
  v1::ElectLeaderResult* result = server_.elect_leaders.response.add_results();
  result->set_topic("order");
  result->set_code(v1::ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION);
  result->set_message("there is no topic 'order'");
  const LineResult line = Run({"elect", "order"});
  EXPECT_EQ(line.exit_code, kExitFailed);
  EXPECT_THAT(line.out, HasSubstr("order  0          none    0      there is no topic 'order'\n"));
  EXPECT_EQ(RunJson({"elect", "order"})["partitions"][0]["leader"], -1);
}

TEST_F(PartitionCommandTest, AnUncleanElectionNamesItsPartitionsAndSaysWhatIsLost) {
  const LineResult refused = Run({"elect", "--unclean"});
  EXPECT_EQ(refused.exit_code, kExitFailed);
  EXPECT_THAT(refused.err, HasSubstr("name the partitions"));
  v1::ElectLeaderResult* result = server_.elect_leaders.response.add_results();
  result->set_changed(true);
  result->set_unclean(true);
  EXPECT_THAT(Run({"elect", "orders:3", "--unclean"}).out, HasSubstr("what it lacks is lost"));
  EXPECT_EQ(server_.elect_leaders.request.type(), v1::ELECTION_TYPE_UNCLEAN);
  const Json json = RunJson({"elect", "orders:3", "--unclean"});
  EXPECT_EQ(json["partitions"][0]["unclean"], true);
  EXPECT_EQ(json["partitions"][0]["error"], "");
}

TEST_F(PartitionCommandTest, APartitionThatCannotBeElectedIsAnErrorBesideTheOthers) {
  v1::ElectLeaderResult* result = server_.elect_leaders.response.add_results();
  result->set_topic("orders");
  result->set_code(v1::ERROR_CODE_INELIGIBLE_REPLICA);
  result->set_message("broker 101 is not in sync");
  const LineResult line = Run({"elect", "orders:0"});
  EXPECT_EQ(line.exit_code, kExitFailed);
  EXPECT_THAT(line.out, HasSubstr("broker 101 is not in sync"));
  EXPECT_EQ(RunJson({"elect"})["partitions"][0]["error"], "INELIGIBLE_REPLICA");
}

TEST_F(PartitionCommandTest, ReassignsOnePartitionAsToldAndATopicWithLeadersSpread) {
  *server_.alter_reassignments.response.add_results()->mutable_state() = State();
  server_.alter_reassignments.response.mutable_results(0)->set_changed(true);
  const LineResult line = Run({"reassign", "orders:3", "--replicas", "104,102"});
  EXPECT_EQ(line.exit_code, kExitOk) << line.err;
  EXPECT_THAT(line.out, HasSubstr("101,102,104  104,102  104     101       1/2\n"));
  EXPECT_THAT(line.out, HasSubstr("changed 1 of 1 partition(s)"));
  const v1::AlterPartitionReassignmentsRequest& request = server_.alter_reassignments.request;
  ASSERT_EQ(request.reassignments_size(), 1);
  EXPECT_EQ(request.reassignments(0).partition(), 3);
  EXPECT_THAT(request.reassignments(0).replicas(), ElementsAre(104, 102));

  Run({"reassign", "orders", "--replicas", "1,2,3", "--dry-run"});
  EXPECT_TRUE(request.validate_only());
  ASSERT_EQ(request.reassignments_size(), 4);
  EXPECT_THAT(request.reassignments(1).replicas(), ElementsAre(2, 3, 1));
  EXPECT_THAT(request.reassignments(3).replicas(), ElementsAre(1, 2, 3));
}

TEST_F(PartitionCommandTest, AThrottleGoesToEveryPartitionAndIsShown) {
  const v1::AlterPartitionReassignmentsRequest& request = server_.alter_reassignments.request;
  Run({"reassign", "orders", "--replicas", "1,2,3", "--throttle", "1572864"});
  ASSERT_EQ(request.reassignments_size(), 4);
  for (const auto& wanted : request.reassignments()) {
    EXPECT_EQ(wanted.throttle_bytes_per_s(), 1'572'864);
  }
  Run({"reassign", "orders:3", "--replicas", "1,2,3"});
  EXPECT_EQ(request.reassignments(0).throttle_bytes_per_s(), 0);
  EXPECT_EQ(Run({"reassign", "orders:3", "--replicas", "1", "--throttle", "-1"}).exit_code,
            kExitFailed);

  v1::PartitionReassignmentState state = State();
  state.set_throttle_bytes_per_s(1'572'864);
  *server_.list_reassignments.response.add_reassignments() = state;
  EXPECT_THAT(Run({"reassign", "--status"}).out, HasSubstr("unknown, at most 1.50 MiB/s\n"));
  EXPECT_EQ(RunJson({"reassign", "--status"})["reassignments"][0]["throttle_bytes_per_s"],
            1'572'864);
}

TEST_F(PartitionCommandTest, ReassignsWhatAFileSays) {
  const std::string path = testing::TempDir() + "/partition_command_test_plan.json";
  std::ofstream(path) << R"({"partitions":[{"topic":"orders","partition":1,"replicas":[5]}]})";
  EXPECT_EQ(Run({"reassign", "--file", path}).exit_code, kExitOk);
  EXPECT_THAT(server_.alter_reassignments.request.reassignments(0).replicas(), ElementsAre(5));
  std::remove(path.c_str());
  EXPECT_THAT(Run({"reassign", "--file", path}).err, HasSubstr("cannot be read"));
}

TEST_F(PartitionCommandTest, ShowsWhatIsUnderWay) {
  EXPECT_EQ(Run({"reassign", "--status"}).out, "no partition is being reassigned\n");
  *server_.list_reassignments.response.add_reassignments() = State();
  EXPECT_THAT(Run({"reassign", "--status", "orders"}).out, HasSubstr("1/2      unknown\n"));
  EXPECT_THAT(server_.list_reassignments.request.topics(), ElementsAre("orders"));
  const Json json = RunJson({"reassign", "--status"});
  EXPECT_EQ(json["reassignments"][0]["adding"], Json::array({104}));
  EXPECT_EQ(json["reassignments"][0]["isr"], Json::array({101, 102}));
}

TEST_F(PartitionCommandTest, ShowsHowMuchIsCopiedOfWhatTheLeaderHas) {
  *server_.list_reassignments.response.add_reassignments() = State();
  for (const int id : {101, 104}) {
    server_.describe_cluster.response.add_brokers()->set_broker_id(id);
  }
  v1::LogDirPartition* partition =
      server_.describe_log_dirs.response.add_log_dirs()->add_partitions();
  partition->set_topic("orders");
  partition->set_partition(3);
  partition->set_size_bytes(3 << 20);
  EXPECT_THAT(Run({"reassign", "--status"}).out, HasSubstr("1/2      3.0 of 3.0 MiB\n"));
  const Json json = RunJson({"reassign", "--status"});
  EXPECT_EQ(json["reassignments"][0]["copied_bytes"], 3 << 20);
  EXPECT_EQ(json["reassignments"][0]["total_bytes"], 3 << 20);
}

TEST_F(PartitionCommandTest, CancelsThoseNamedOrAllUnderWay) {
  Run({"cancel", "orders:2"});
  const v1::AlterPartitionReassignmentsRequest& request = server_.alter_reassignments.request;
  ASSERT_EQ(request.reassignments_size(), 1);
  EXPECT_EQ(request.reassignments(0).partition(), 2);
  EXPECT_EQ(request.reassignments(0).replicas_size(), 0);
  *server_.list_reassignments.response.add_reassignments() = State();
  Run({"cancel", "--all"});
  ASSERT_EQ(request.reassignments_size(), 1);
  EXPECT_EQ(request.reassignments(0).partition(), 3);
}

TEST_F(PartitionCommandTest, LinesThatSayTooLittleOrTooMuchAreRefused) {
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"reassign"},
                                             {"reassign", "orders"},
                                             {"reassign", "--replicas", "1"},
                                             {"reassign", "orders", "--file", "f"},
                                             {"reassign", "orders:9", "--replicas", "1"},
                                             {"reassign", "orders:1", "--replicas", "one"},
                                             {"cancel"},
                                             {"cancel", "orders", "--all"}}) {
    EXPECT_EQ(Run(words).exit_code, kExitFailed) << testing::PrintToString(words);
  }
}

}  // namespace
}  // namespace millrace::tools

#include "tools/millrace/quorum_command.h"

#include "base/status.h"
#include "base/uuid.h"
#include "gmock/gmock.h"
#include "tools/millrace/testing/command_test_bed.h"

namespace millrace::tools {
namespace {

using ::testing::HasSubstr;

// Its text form.
constexpr char kDirectory[] = "AAAAAAAAAAEAAAAAAAAAAg";
std::string DirectoryBytes() { return Uuid(1, 2).ToBytes(); }

LineResult RunQuorum(const std::vector<std::string>& words) {
  return RunLine(AddQuorumCommands, words);
}

// A leader, a voter that lags and an observer that was never heard of.
void Describe(v1::DescribeQuorumResponse* quorum) {
  quorum->set_leader_id(1);
  quorum->set_term(4);
  quorum->set_commit_index(17);
  quorum->set_log_start_index(11);
  quorum->set_log_end_index(18);
  quorum->set_snapshot_index(10);
  v1::QuorumMember* leader = quorum->add_members();
  leader->set_node_id(1);
  leader->set_directory_id(DirectoryBytes());
  leader->set_address("one:9093");
  leader->set_role(v1::QUORUM_MEMBER_ROLE_VOTER);
  leader->set_state("leader");
  leader->set_log_end_index(18);
  leader->set_last_contact_ms(0);
  v1::QuorumMember* behind = quorum->add_members();
  *behind = *leader;
  behind->set_node_id(2);
  behind->set_address("two:9093");
  behind->set_state("replicate");
  behind->set_log_end_index(15);
  behind->set_lag_entries(3);
  behind->set_last_contact_ms(3140);
  v1::QuorumMember* observer = quorum->add_members();
  observer->set_node_id(3);
  observer->set_role(v1::QUORUM_MEMBER_ROLE_OBSERVER);
  observer->set_state("probe");
}

TEST(QuorumCommand, ShowsWhoLeadsAndHowFarEachMemberIs) {
  FakeAdminServer server;
  Describe(&server.describe_quorum.response);
  const LineResult result = RunQuorum(server.At({"quorum", "describe"}));
  EXPECT_EQ(result.exit_code, kExitOk) << result.err;
  EXPECT_EQ(result.out,
            "leader 1  term 4  committed 17  log 11 to 18  snapshot at 10\n\n"
            "NODE  ROLE      STATE      LOG END  LAG  LAST CONTACT  ADDRESS   DIRECTORY\n"
            "1     voter     leader     18       0    0 ms          one:9093  "
            "AAAAAAAAAAEAAAAAAAAAAg\n"
            "2     voter     replicate  15       3    3.1 s         two:9093  "
            "AAAAAAAAAAEAAAAAAAAAAg\n"
            "3     observer  probe      0        0    never         -         -\n");
}

TEST(QuorumCommand, PrintsTheSameAsJson) {
  FakeAdminServer server;
  Describe(&server.describe_quorum.response);
  const Json json = Json::parse(RunQuorum(server.At({"quorum", "describe", "-o", "json"})).out);
  EXPECT_EQ(json["leader"], 1);
  EXPECT_EQ(json["commit_index"], 17);
  EXPECT_EQ(json["snapshot_index"], 10);
  EXPECT_EQ(json["members"][1]["lag"], 3);
  EXPECT_EQ(json["members"][1]["last_contact_ms"], 3140);
  EXPECT_EQ(json["members"][1]["directory_id"], kDirectory);
  EXPECT_TRUE(json["members"][2]["last_contact_ms"].is_null());
  EXPECT_EQ(json["members"][2]["role"], "observer");
}

TEST(QuorumCommand, AQuorumWithoutSnapshotSaysSo) {
  FakeAdminServer server;
  server.describe_quorum.response.set_leader_id(-1);
  EXPECT_THAT(RunQuorum(server.At({"quorum", "describe"})).out,
              testing::AllOf(HasSubstr("leader none"), HasSubstr("snapshot none")));
}

TEST(QuorumCommand, AddsAVoter) {
  FakeAdminServer server;
  const LineResult result = RunQuorum(
      server.At({"quorum", "add", "4", "--directory-id", kDirectory, "--address", "four:9093"}));
  EXPECT_EQ(result.exit_code, kExitOk) << result.err;
  EXPECT_EQ(result.out, "controller 4 at four:9093 votes now\n");
  EXPECT_EQ(server.add_controller.request.node_id(), 4);
  EXPECT_EQ(server.add_controller.request.directory_id(), DirectoryBytes());
  EXPECT_EQ(server.add_controller.request.address(), "four:9093");
}

// As the client says it of a server that waits for the new controller to catch up.
TEST(QuorumCommand, AControllerThatDoesNotCatchUpIsNotTheFaultOfTheServerAsked) {
  FakeAdminServer server;
  server.add_controller.refusal = MakeError(ErrorCode::kRequestTimedOut, "Deadline Exceeded");
  const LineResult result = RunQuorum(
      server.At({"quorum", "add", "4", "--directory-id", kDirectory, "--address", "four:9093"}));
  EXPECT_EQ(result.exit_code, kExitUnavailable);
  EXPECT_THAT(result.err, HasSubstr("controller 4 does not vote"));
  EXPECT_THAT(result.err, HasSubstr("See that it runs at four:9093"));
  EXPECT_THAT(result.err, testing::Not(HasSubstr(server.address())));
}

TEST(QuorumCommand, RemovesAVoter) {
  FakeAdminServer server;
  const LineResult result =
      RunQuorum(server.At({"quorum", "remove", "2", "--directory-id", kDirectory, "-o", "json"}));
  EXPECT_EQ(result.exit_code, kExitOk) << result.err;
  EXPECT_EQ(Json::parse(result.out)["removed"], true);
  EXPECT_EQ(server.remove_controller.request.node_id(), 2);
  EXPECT_EQ(server.remove_controller.request.directory_id(), DirectoryBytes());
}

TEST(QuorumCommand, HandsLeadershipOver) {
  FakeAdminServer server;
  const LineResult result = RunQuorum(server.At({"quorum", "transfer", "3"}));
  EXPECT_EQ(result.exit_code, kExitOk) << result.err;
  EXPECT_EQ(result.out, "controller 3 leads now\n");
  EXPECT_EQ(server.transfer_leadership.request.node_id(), 3);
}

TEST(QuorumCommand, SaysWhereDirectoryIdsAreFound) {
  const LineResult result =
      RunQuorum({"quorum", "remove", "2", "--directory-id", "nonsense", "--bootstrap=127.0.0.1:1"});
  EXPECT_EQ(result.exit_code, kExitFailed);
  EXPECT_THAT(result.err, HasSubstr("'nonsense' is no directory id; `millrace quorum describe`"));
}

TEST(QuorumCommand, RefusesALineThatMakesNoSense) {
  EXPECT_EQ(RunQuorum({"quorum"}).exit_code, kExitUsage);
  EXPECT_THAT(RunQuorum({"quorum", "transfer"}).err, HasSubstr("node is required"));
  EXPECT_THAT(RunQuorum({"quorum", "transfer", "x"}).err, HasSubstr("'x' is not a whole number"));
  EXPECT_THAT(RunQuorum({"quorum", "remove", "2"}).err, HasSubstr("--directory-id is required"));
  EXPECT_THAT(RunQuorum({"quorum", "add", "2", "--directory-id", kDirectory}).err,
              HasSubstr("--address is required"));
}

}  // namespace
}  // namespace millrace::tools

// docs/cli.md lists the keys of every command's JSON: each command is run against a real server,
// and prints the keys that are listed, with their types, and no others.
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "test/cluster/shared_server_test.h"
#include "test/cluster/transcript.h"
#include "tools/millrace/testing/command_test_bed.h"

namespace millrace::test {
namespace {

using nlohmann::json;

// Key to type, by the heading of its table.
using Keys = std::map<std::string, std::string>;

std::map<std::string, Keys> DocumentedKeys() {
  std::map<std::string, Keys> all;
  std::string heading;
  for (absl::string_view line : absl::StrSplit(ReadDocument("docs/cli.md"), '\n')) {
    if (absl::StartsWith(line, "### ")) {
      heading = std::string(absl::StripSuffix(absl::StripPrefix(line.substr(4), "`"), "`"));
    } else if (!heading.empty() && absl::StartsWith(line, "| `")) {
      const std::vector<std::string> cells = absl::StrSplit(line, '|');
      const std::string key(absl::StripAsciiWhitespace(cells[1]));
      all[heading][key.substr(1, key.size() - 2)] =
          std::string(absl::StripAsciiWhitespace(cells[2]));
    }
  }
  return all;
}

std::string TypeName(const json& value) {
  if (value.is_null()) return "null";
  if (value.is_boolean()) return "boolean";
  if (value.is_number_integer()) return "integer";
  return value.is_number() ? "number" : "string";
}

// Every leaf's key, with the types seen; of an empty list the key alone.
void Flatten(const json& value, const std::string& key, const Keys& documented,
             std::map<std::string, std::set<std::string>>* found) {
  if (value.is_array()) {
    (*found)[key + "[]"];
    for (const json& element : value) Flatten(element, key + "[]", documented, found);
    return;
  }
  if (!value.is_object()) {
    (*found)[key].insert(TypeName(value));
    return;
  }
  for (const auto& [name, member] : value.items()) {
    const std::string any = absl::StrCat(key, ".*");
    const std::string path = documented.count(any) != 0 ? any
                             : key.empty()              ? name
                                                        : absl::StrCat(key, ".", name);
    Flatten(member, path, documented, found);
  }
}

// Of a list of objects only what is in them is listed.
bool IsListOfListed(const std::string& key, const Keys& documented) {
  const auto next = documented.lower_bound(key + ".");
  return next != documented.end() && absl::StartsWith(next->first, key + ".");
}

class CliJsonTest : public SharedServerTest {
 protected:
  // Standard output, as one object or one object a line.
  std::vector<json> Objects(const std::string& text) {
    if (const json one = json::parse(text, nullptr, false); !one.is_discarded()) return {one};
    std::vector<json> objects;
    for (absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
      objects.push_back(json::parse(line, nullptr, false));
      EXPECT_FALSE(objects.back().is_discarded()) << line;
    }
    return objects;
  }

  void Check(const std::string& heading, const std::vector<std::string>& outputs) {
    checked_.insert(heading);
    ASSERT_EQ(documented_.count(heading), 1u) << heading << " is not in docs/cli.md";
    const Keys& documented = documented_[heading];
    std::map<std::string, std::set<std::string>> found;
    for (const std::string& output : outputs) {
      for (const json& object : Objects(output)) Flatten(object, "", documented, &found);
    }
    for (const auto& [key, types] : found) {
      const auto listed = documented.find(key);
      if (listed == documented.end()) {
        EXPECT_TRUE(IsListOfListed(key, documented)) << heading << ": " << key << " is not listed";
        continue;
      }
      const std::vector<std::string> allowed = absl::StrSplit(listed->second, " or ");
      for (const std::string& type : types) {
        const bool fits = testing::Value(allowed, testing::Contains(type)) ||
                          (type == "integer" && listed->second == "number");
        EXPECT_TRUE(fits) << heading << ": " << key << " is a " << type;
      }
    }
    for (const auto& [key, type] : documented) {
      EXPECT_EQ(found.count(key), 1u) << heading << ": " << key << " is listed and never came";
    }
  }

  // Of a command that succeeds.
  std::string Out(std::vector<std::string> words, const std::string& input = "") {
    words.insert(words.end(), {"-o", "json"});
    const bool local = words[0] == "log" || words[0] == "version";
    const ProcessResult result = local ? RunMillrace(words) : server_->Run(words, input);
    EXPECT_EQ(result.exit_code, 0) << testing::PrintToString(words) << result.err;
    return result.out;
  }

  // The same of a command of `log` that asks the server.
  std::string OutOfServer(std::vector<std::string> words) {
    words.insert(words.end(), {"-o", "json"});
    const ProcessResult result = server_->Run(words);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.out;
  }

  // Standard error of a command that fails.
  std::string ErrorOf(std::vector<std::string> words) {
    words.insert(words.end(), {"-o", "json"});
    const ProcessResult result = server_->Run(words);
    EXPECT_EQ(result.exit_code, 1) << testing::PrintToString(words) << result.out;
    return result.err;
  }

  // A controller that was not heard of is one that a quorum of one does not have.
  void CheckFeatures() {
    tools::FakeAdminServer fake;
    fake.describe_features.response.add_nodes();
    Check("millrace cluster features",
          {Out({"cluster", "features"}), OutOfFake({"cluster", "features"}, &fake)});
    Check("millrace cluster upgrade", {Out({"cluster", "upgrade", "--dry-run"})});
  }

  // Of a server that says yes to everything, since a quorum of one has nobody to add or remove.
  std::string OutOfFake(const std::vector<std::string>& words, tools::FakeAdminServer* fake) {
    std::vector<std::string> line = words;
    line.insert(line.end(), {"-o", "json", "--bootstrap", fake->address()});
    const ProcessResult result = RunMillrace(line);
    EXPECT_EQ(result.exit_code, 0) << testing::PrintToString(words) << result.err;
    return result.out;
  }

  void CheckQuorum() {
    tools::FakeAdminServer fake;
    fake.describe_quorum.response.add_members();
    fake.describe_quorum.response.add_members()->set_last_contact_ms(3);
    Check("millrace quorum describe", {OutOfFake({"quorum", "describe"}, &fake)});
    const std::string directory = "AAAAAAAAAAEAAAAAAAAAAg";
    Check("millrace quorum add",
          {OutOfFake({"quorum", "add", "4", "--directory-id", directory, "--address", "four:9093"},
                     &fake)});
    Check("millrace quorum remove",
          {OutOfFake({"quorum", "remove", "4", "--directory-id", directory}, &fake)});
    Check("millrace quorum transfer", {OutOfFake({"quorum", "transfer", "2"}, &fake)});
  }

  void CheckChangesOfTheCluster() {
    Check("millrace partition elect", {Out({"partition", "elect", "t:0"})});
    Check("millrace partition delete-records",
          {Out({"partition", "delete-records", "t:0", "--before", "0"})});
    Check("millrace partition reassign", {Out({"partition", "reassign", "t:0", "--replicas", "1"}),
                                          Out({"partition", "cancel", "t"})});
    Check("millrace cluster cordon",
          {Out({"cluster", "cordon", "1", "--dry-run"}), Out({"cluster", "uncordon", "1"})});
    // One broker alone has nowhere to move anything.
    tools::FakeAdminServer fake;
    fake.list_reassignments.response.add_reassignments();
    const std::string unknown = OutOfFake({"partition", "reassign", "--status"}, &fake);
    fake.describe_cluster.response.add_brokers();
    Check("millrace partition reassign --status",
          {unknown, OutOfFake({"partition", "reassign", "--status"}, &fake)});
    Check("millrace log scrub", {OutOfServer({"log", "scrub"})});
    Check("millrace partition verify", {Out({"partition", "verify", "t:0"}), VerifyOfDifference()});
    Check("millrace cluster decommission", {OutOfFake({"cluster", "decommission", "1"}, &fake)});
    Check("millrace cluster unregister", {OutOfFake({"cluster", "unregister", "1"}, &fake)});
  }

  // Of two brokers that are one, and say another sum each time.
  std::string VerifyOfDifference() {
    tools::FakeAdminServer fake;
    tools::FakeAdminServer other;
    for (const tools::FakeAdminServer* server : {&fake, &other}) {
      v1::BrokerDescription* broker = fake.describe_cluster.response.add_brokers();
      broker->set_broker_id(fake.describe_cluster.response.brokers_size());
      broker->add_listeners("PLAINTEXT://" + server->address());
    }
    v1::PartitionDescription* partition =
        fake.describe_topics.response.add_topics()->add_partitions();
    partition->add_replicas(1);
    partition->add_replicas(2);
    for (tools::FakeAdminServer* server : {&fake, &other}) {
      v1::ChecksumReplicaResponse& response = server->checksum_replica.response;
      response.set_end_offset(7);
      response.set_next_offset(7);
      response.set_bytes(70);
    }
    other.checksum_replica.response.set_crc32c(1);
    const ProcessResult result =
        RunMillrace({"partition", "verify", "t:0", "-o", "json", "--bootstrap", fake.address()});
    EXPECT_EQ(result.exit_code, 1) << result.err;
    return result.out;
  }

  // A segment that ends in room allocated ahead of the append, as a running server has it.
  std::string DumpOfPreallocated() {
    const TemporaryDirectory directory;
    const std::string path = directory.path() + "/00000000000000000000.log";
    std::ofstream(path) << std::string(4096, '\0');
    return Out({"log", "dump", path});
  }

  // A copy of a partition, with something wrong that has a place and something that has none.
  std::string VerifyOfDamage() {
    const TemporaryDirectory directory;
    const std::string copy = directory.path() + "/p-0";
    std::filesystem::copy(server_->PartitionDir(kOthersTopic, 0), copy,
                          std::filesystem::copy_options::recursive);
    std::ofstream(copy + "/leader-epoch-checkpoint") << "nonsense";
    std::fstream log(copy + "/00000000000000000000.log", std::ios::in | std::ios::out);
    log.seekp(70);
    log << "damage";
    log.close();
    const ProcessResult result = RunMillrace({"log", "verify", copy, "-o", "json"});
    EXPECT_EQ(result.exit_code, 1) << result.err;
    return result.out;
  }

  std::map<std::string, Keys> documented_ = DocumentedKeys();
  std::set<std::string> checked_;
};

TEST_F(CliJsonTest, EveryCommandPrintsTheKeysThatAreDocumented) {
  Check("millrace topic create",
        {Out({"topic", "create", "t", "--partitions", "2", "--config", "retention.ms=-1"})});
  Check("millrace topic list", {Out({"topic", "list"})});
  Check("millrace topic describe", {Out({"topic", "describe"})});
  Check("millrace topic offsets", {Out({"topic", "offsets", "t"})});
  Check("millrace topic alter", {Out({"topic", "alter", "t", "--partitions", "3"})});
  Check("millrace produce", {Out({"produce", "t", "--key-separator", ":"}, "k:v\n")});
  v1::ProducePartition partition;
  partition.set_topic("t");
  v1::Record* record = partition.add_records();
  record->set_value("\xff");
  record->add_headers()->set_key("h");
  record = partition.add_records();
  record->add_headers()->set_key("h");
  record->mutable_headers(0)->set_value("v");
  ASSERT_OK(other_->Produce(partition));
  Check("millrace consume", {Out({"consume", "t"})});
  Check("millrace config describe",
        {Out({"config", "describe", "topic:t"}), Out({"config", "list", "topic:t"}),
         Out({"config", "describe", "broker:1"})});
  Check("millrace config alter",
        {Out({"config", "alter", "topic:t", "--set", "retention.ms=1000000", "--dry-run"})});
  Check("millrace cluster wait", {Out({"cluster", "wait"})});
  Check("millrace cluster describe", {Out({"cluster", "describe"})});
  CheckFeatures();
  CheckQuorum();
  CheckChangesOfTheCluster();
  Check("millrace perf produce",
        {Out({"perf", "produce", "t", "--records", "10", "--size", "10", "--rate", "1000"}),
         Out({"perf", "e2e", "t", "--records", "10", "--rate", "1000"})});
  Check("millrace perf consume", {Out({"perf", "consume", "t", "--records", "10"})});
  Check("millrace log dump", {Out({"log", "dump", server_->PartitionDir("t", 0), "--records"}),
                              // Room allocated ahead: what a server that was killed leaves.
                              DumpOfPreallocated()});
  Check("millrace topic delete", {Out({"topic", "delete", "t"})});
  Check("millrace version", {Out({"version"})});
  ASSERT_OK(other_->ProduceValues(kOthersTopic, 0, {"to be damaged"}));
  Check("millrace log verify", {VerifyOfDamage()});
  Check("errors", {ErrorOf({"topic", "describe", "nowhere"}),
                   ErrorOf({"topic", "create", "t", "--config", "retention.mss=1"}),
                   ErrorOf({"consume", kOthersTopic, "--partition", "7"})});
  // It needs a quorum of several that has lost its majority: quorum_recover_test has one.
  checked_.insert("millrace quorum recover");
  for (const auto& [heading, keys] : documented_) {
    EXPECT_EQ(checked_.count(heading), 1u) << heading << " is documented and not checked";
  }
}

}  // namespace
}  // namespace millrace::test

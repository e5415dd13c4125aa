#include "tools/millrace/delete_records_command.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/fake_log_server.h"
#include "gmock/gmock.h"
#include "record/batch_builder.h"
#include "tools/millrace/partition_command.h"
#include "tools/millrace/testing/command_test_bed.h"

namespace millrace::tools {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class DeleteRecordsCommandTest : public ::testing::Test {
 protected:
  DeleteRecordsCommandTest() {
    server_.CreateTopic("orders", 2);
    for (const char* value : {"a", "b", "c"}) {
      record::BatchBuilder builder({});
      builder.Add(1, absl::nullopt, Slice(value));
      server_.Append("orders", 1, builder.Build());
    }
  }
  LineResult Run(std::vector<std::string> words) {
    words.insert(words.begin(), {"partition", "delete-records"});
    words.push_back(absl::StrCat("--bootstrap=", server_.address()));
    return RunLine(AddPartitionCommands, words);
  }

  client::FakeLogServer server_;
};

TEST_F(DeleteRecordsCommandTest, DeletesWhatLiesBelow) {
  const LineResult line = Run({"orders:1", "--before", "2"});
  EXPECT_EQ(line.exit_code, kExitOk) << line.err;
  EXPECT_THAT(line.out, HasSubstr("deleted"));
  EXPECT_THAT(server_.Values("orders", 1), ElementsAre("c"));
  const Json json = Json::parse(Run({"orders:1", "--before", "end", "-o", "json"}).out);
  EXPECT_EQ(json["partitions"][0]["log_start_offset"], 3);
  EXPECT_EQ(json["partitions"][0]["error"], "");
  EXPECT_THAT(server_.Values("orders", 1), IsEmpty());
}

TEST_F(DeleteRecordsCommandTest, WhatIsRefusedFailsItAndIsNamed) {
  const LineResult line = Run({"orders:7", "orders:1", "--before", "1", "-o", "json"});
  EXPECT_EQ(line.exit_code, kExitFailed);
  EXPECT_THAT(line.err, HasSubstr("orders:7"));
  const Json json = Json::parse(line.out);
  EXPECT_EQ(json["partitions"][0]["error"], "UNKNOWN_TOPIC_OR_PARTITION");
  EXPECT_EQ(json["partitions"][1]["error"], "") << "the other is deleted all the same";
}

TEST_F(DeleteRecordsCommandTest, WhatIsNotSaidClearlyIsRefused) {
  EXPECT_THAT(Run({"orders", "--before", "2"}).err, HasSubstr("orders:0"));
  EXPECT_THAT(Run({"orders:1", "--before", "-4"}).err, HasSubstr("'-4'"));
  EXPECT_THAT(Run({"orders:1", "--before", "soon"}).err, HasSubstr("'soon'"));
  EXPECT_EQ(Run({"orders:1"}).exit_code, kExitUsage);
  EXPECT_THAT(server_.Values("orders", 1), ElementsAre("a", "b", "c"));
}

}  // namespace
}  // namespace millrace::tools

#include "broker/log_dir_speeds.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "broker/testing/broker_fixture.h"
#include "metadata/image_records.h"
#include "metadata/record_types.h"

namespace millrace::broker {
namespace {

using ::testing::AllOf;
using ::testing::Gt;
using ::testing::IsEmpty;
using ::testing::Le;
using ::testing::SizeIs;

// A broker with directories "a" and "b", and a partition in each.
class LogDirSpeedsTest : public ::testing::Test {
 protected:
  LogDirSpeedsTest() {
    fixture_.Start();
    fixture_.CreateTopic("t", 2);
  }
  std::map<DirectoryId, absl::Duration> Measure() {
    std::map<DirectoryId, absl::Duration> syncs;
    fixture_.home->RunNow([&] { syncs = fixture_.broker->MeasureDisks(); });
    return syncs;
  }
  void Produce(int times) {
    for (int i = 0; i < times; ++i) {
      for (int partition = 0; partition < 2; ++partition) {
        ASSERT_TRUE(fixture_.Produce("t", MakeBatch(), partition).outcome.ok());
      }
      fixture_.Run(absl::Milliseconds(150));
    }
  }
  std::vector<LogDirDescription> Describe() {
    std::vector<LogDirDescription> dirs;
    fixture_.home->RunNow([&] {
      fixture_.broker->DescribeLogDirs([&](std::vector<LogDirDescription> told) { dirs = told; });
    });
    fixture_.Run();
    return dirs;
  }

  BrokerFixture fixture_{1, {"a", "b"}};
};

TEST_F(LogDirSpeedsTest, EachDirectoryIsMeasuredByItself) {
  EXPECT_THAT(Measure(), IsEmpty());
  fixture_.files->SetLatency([&](const sim::SimCall& call) {
    if (call.kind != sim::SimCall::Kind::kSync) return;
    fixture_.loop.Delay(absl::Milliseconds(absl::StrContains(call.path, "a/") ? 30 : 1));
  });
  Produce(5);
  const auto syncs = Measure();
  ASSERT_THAT(syncs, SizeIs(2));
  const std::vector<LogDirDescription> dirs = Describe();
  EXPECT_THAT(syncs.at(dirs[0].directory_id), Gt(absl::Milliseconds(25)));
  EXPECT_THAT(syncs.at(dirs[1].directory_id),
              AllOf(Gt(absl::ZeroDuration()), Le(absl::Milliseconds(5))));
  fixture_.Run(absl::Seconds(10));
  Measure();
  fixture_.Run(absl::Seconds(5));
  EXPECT_THAT(Measure(), IsEmpty()) << "idle";
}

TEST_F(LogDirSpeedsTest, WhatTheMetadataSaysIsShown) {
  const DirectoryId directory = Describe()[1].directory_id;
  // Registered anew, with its directories.
  metadata::BrokerImage self = *fixture_.image->FindBroker(NodeId(1));
  self.log_dirs = {{.id = directory}};
  fixture_.Commit({metadata::Encode(metadata::RegistrationRecordOf(self))});
  metadata::records::BrokerChangeRecord record;
  record.set_broker_id(1);
  record.set_broker_epoch(fixture_.image->index().value());
  record.set_state(metadata::records::BROKER_STATE_ACTIVE);
  record.mutable_slow_directories()->add_ids(directory.ToBytes());
  fixture_.Commit({metadata::Encode(record)});
  fixture_.Run();
  EXPECT_FALSE(Describe()[0].slow);
  EXPECT_TRUE(Describe()[1].slow);
  record.mutable_slow_directories()->clear_ids();
  fixture_.Commit({metadata::Encode(record)});
  fixture_.Run();
  EXPECT_FALSE(Describe()[1].slow);
}

}  // namespace
}  // namespace millrace::broker

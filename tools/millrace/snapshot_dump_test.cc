#include "tools/millrace/snapshot_dump.h"

#include <string>

#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "metadata/apply.h"
#include "metadata/image_snapshot.h"
#include "metadata/record_types.h"
#include "raft/host/snapshot_test_bed.h"
#include "tools/millrace/output.h"

namespace millrace::tools {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class SnapshotDumpTest : public ::testing::Test {
 protected:
  SnapshotDumpTest() {
    metadata::records::TopicRecord topic;
    topic.set_topic_id(std::string(16, 'i'));
    topic.set_name("orders");
    body_ = metadata::EncodeImageSnapshot(
        metadata::Apply(metadata::Image(), LogIndex(40), {metadata::Encode(topic)}));
    EXPECT_OK(bed_.Open());
    EXPECT_OK(bed_.store().Write(raft::At(3, 40), raft::SampleVoters(), body_));
    path_ = bed_.PathOf(raft::At(3, 40));
  }

  std::string Dump(const std::string& path, absl::Status* status, DumpOptions options = {}) {
    testing::internal::CaptureStdout();
    *status = DumpSnapshotFile(bed_.files(), path, options);
    return testing::internal::GetCapturedStdout();
  }

  raft::SnapshotTestBed bed_;
  std::string body_;
  std::string path_;
};

TEST_F(SnapshotDumpTest, ShowsWhatItIsOfTheVotersAndTheImage) {
  absl::Status status;
  const std::string text = Dump(path_, &status);
  ASSERT_OK(status);
  EXPECT_THAT(
      text,
      AllOf(HasSubstr("snapshot: " + path_), HasSubstr("last_term: 3"), HasSubstr("last_index: 40"),
            HasSubstr("  voter: 1"), HasSubstr("address: host3:9093  learner: true"),
            HasSubstr("  image_index: 40"), HasSubstr("topics: 1"), Not(HasSubstr("orders"))));
}

TEST_F(SnapshotDumpTest, ShowsTheImagesFactsWithRecords) {
  absl::Status status;
  const std::string text = Dump(path_, &status, {.records = true});
  ASSERT_OK(status);
  EXPECT_THAT(text,
              HasSubstr("    fact: Topic  value: topic_id: \"iiiiiiiiiiiiiiii\" name: \"orders\""));
}

TEST_F(SnapshotDumpTest, IsLinesOfJson) {
  absl::Status status;
  const std::string text = Dump(path_, &status, {.records = true, .json = true});
  ASSERT_OK(status);
  const Json head = Json::parse(text.substr(0, text.find('\n')));
  EXPECT_EQ(head["last_index"], 40);
  EXPECT_EQ(head["checksum"], absl::StrFormat("%08x", bed_.store().newest()->id.checksum));
}

TEST_F(SnapshotDumpTest, DamageIsAnErrorAfterWhatStandsBeforeIt) {
  bed_.files().FlipBit(path_, (bed_.store().newest()->id.bytes - 10) * 8);
  absl::Status status;
  const std::string text = Dump(path_, &status);
  EXPECT_THAT(status, IsError(ErrorCode::kCorruptLog, path_ + "': damaged at byte"));
  EXPECT_THAT(text, AllOf(HasSubstr("last_index: 40"), HasSubstr("verified_bytes:"),
                          HasSubstr("voter: 1"), Not(HasSubstr("image_index"))));
}

TEST_F(SnapshotDumpTest, WhatIsNoImageIsSaidToBeNone) {
  ASSERT_OK(bed_.store().Write(raft::At(3, 50), raft::SampleVoters(), "something else"));
  absl::Status status;
  EXPECT_THAT(Dump(bed_.PathOf(raft::At(3, 50)), &status), HasSubstr("undecodable"));
  EXPECT_OK(status);
}

TEST_F(SnapshotDumpTest, DirectoryShowsAllAndWhatIsBeingReceived) {
  const raft::ForeignSnapshot foreign(raft::At(4, 90), raft::SampleBody(200'000));
  ASSERT_OK(bed_.Receive(foreign, 50'000, 100'000));
  testing::internal::CaptureStdout();
  const absl::Status status = DumpSnapshots(bed_.files(), raft::kSnapshotTestDirectory, {});
  const std::string text = testing::internal::GetCapturedStdout();
  EXPECT_OK(status);
  EXPECT_THAT(text, AllOf(HasSubstr("snapshot: " + path_),
                          HasSubstr("bytes: 100000  last_term: 4  last_index: 90"),
                          HasSubstr("complete_bytes: " + std::to_string(foreign.id.bytes))));
}

}  // namespace
}  // namespace millrace::tools

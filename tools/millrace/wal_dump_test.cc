#include "tools/millrace/wal_dump.h"

#include <string>

#include "gmock/gmock.h"
#include "metadata/record_types.h"
#include "raft/host/wal_test_bed.h"
#include "rsm/entry_codec.h"

namespace millrace::tools {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::string Dump(raft::WalTestBed& bed, absl::Status* status, bool json = false) {
  testing::internal::CaptureStdout();
  *status = DumpWal(bed.files(), raft::kWalTestDirectory, {.json = json});
  return testing::internal::GetCapturedStdout();
}

// A log with an entry that holds one metadata record, and one that is none.
void Fill(raft::WalTestBed& bed) {
  ASSERT_OK(bed.Open());
  metadata::records::TopicRecord topic;
  topic.set_topic_id(std::string(16, 'i'));
  topic.set_name("orders");
  ASSERT_OK_AND_ASSIGN(const Bytes payload, rsm::EncodeEntry({metadata::Encode(topic)}));
  raft::WalBatch batch;
  batch.entries.push_back({Term(1), LogIndex(1), raft::EntryType::kPayload, payload});
  bed.Append(std::move(batch));
  bed.Run();
  bed.AppendEntry(1, 2);
  bed.Run();
  bed.AppendEntry(1, 3);
  bed.Run();
  bed.Close();
}

TEST(WalDump, ShowsGroupsRecordsAndTheFactsInThem) {
  raft::WalTestBed bed;
  ASSERT_NO_FATAL_FAILURE(Fill(bed));
  absl::Status status;
  const std::string text = Dump(bed, &status);
  ASSERT_OK(status);
  EXPECT_THAT(text, AllOf(HasSubstr("segment: /wal/00000000000000000001.wal"),
                          HasSubstr("  group: 2  offset: 4096"), HasSubstr("record: ENTRY"),
                          HasSubstr("orders"), HasSubstr("undecodable"), HasSubstr("tail: CLEAN")));
}

TEST(WalDump, ShowsDamageWhereItIsAndWhatStandsBehindIt) {
  raft::WalTestBed bed;
  ASSERT_NO_FATAL_FAILURE(Fill(bed));
  bed.files().FlipBit(bed.Path("00000000000000000001.wal"), (8192 + 100) * 8);
  absl::Status status;
  const std::string text = Dump(bed, &status, /*json=*/true);
  EXPECT_THAT(status, IsError(ErrorCode::kCorruptLog, "damaged at position 8192"));
  EXPECT_THAT(text, AllOf(HasSubstr(R"("tail":"DAMAGED","offset":8192)"),
                          HasSubstr(R"("behind_damage":true)"), Not(HasSubstr("CLEAN"))));
}

}  // namespace
}  // namespace millrace::tools

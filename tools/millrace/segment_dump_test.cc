#include "tools/millrace/segment_dump.h"

#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "base/sim/sim_file_system.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "record/testing/sample_records.h"
#include "storage/index_file.h"
#include "tools/millrace/output.h"

namespace millrace::tools {
namespace {

using ::testing::HasSubstr;

constexpr char kSegment[] = "00000000000000000000.log";

class SegmentDumpTest : public testing::Test {
 protected:
  void Write(const std::string& path, Slice contents) {
    ASSERT_OK(ReplaceFile(files_, path, contents));
  }
  absl::Status Dump(const std::string& path, bool records = false) {
    testing::internal::CaptureStdout();
    const absl::Status status = DumpSegmentFile(files_, path, {.records = records, .json = true});
    lines_.clear();
    for (absl::string_view line :
         absl::StrSplit(testing::internal::GetCapturedStdout(), '\n', absl::SkipEmpty())) {
      lines_.push_back(Json::parse(line));
    }
    return status;
  }

  sim::SimFileSystem files_;
  std::vector<Json> lines_;
};

std::string Batch(int64_t base_offset, record::Compression compression, bool control = false) {
  record::BatchBuilder::Options options{.compression = compression,
                                        .is_transactional = control,
                                        .is_control = control,
                                        .base_offset = Offset(base_offset),
                                        .leader_epoch = LeaderEpoch(4)};
  return record::BuildSampleBatch(20, options).ToString();
}

TEST_F(SegmentDumpTest, ShowsBatchesOfEveryCodecWithTheirPositions) {
  const std::vector<std::pair<record::Compression, std::string>> codecs = {
      {record::Compression::kNone, "none"},
      {record::Compression::kGzip, "gzip"},
      {record::Compression::kSnappy, "snappy"},
      {record::Compression::kLz4, "lz4"},
      {record::Compression::kZstd, "zstd"}};
  std::string bytes;
  std::vector<size_t> positions;
  for (const auto& [codec, name] : codecs) {
    positions.push_back(bytes.size());
    bytes += Batch(static_cast<int64_t>(positions.size() - 1) * 20, codec);
  }
  Write(kSegment, bytes);
  ASSERT_OK(Dump(kSegment));
  ASSERT_EQ(lines_.size(), codecs.size());
  for (size_t i = 0; i < codecs.size(); ++i) {
    EXPECT_EQ(lines_[i]["position"], positions[i]);
    EXPECT_EQ(lines_[i]["compression"], codecs[i].second);
    EXPECT_EQ(lines_[i]["base_offset"], 20 * i);
    EXPECT_EQ(lines_[i]["leader_epoch"], 4);
  }
  ASSERT_OK(Dump(kSegment, /*records=*/true));
  ASSERT_EQ(lines_.size(), codecs.size() * 21);
  for (size_t i = 0; i < codecs.size(); ++i) EXPECT_EQ(lines_[i * 21 + 3]["key"], "key-2");
}

TEST_F(SegmentDumpTest, MarksControlBatches) {
  Write(kSegment, Batch(0, record::Compression::kNone, /*control=*/true));
  ASSERT_OK(Dump(kSegment));
  EXPECT_EQ(lines_[0]["control"], true);
  EXPECT_EQ(lines_[0]["transactional"], true);
}

TEST_F(SegmentDumpTest, EndsAtADamagedBatchAndNamesItsPosition) {
  const std::string first = Batch(0, record::Compression::kNone);
  Write(kSegment, first + Batch(20, record::Compression::kNone));
  files_.FlipBit(kSegment, (first.size() + 100) * 8);
  EXPECT_THAT(Dump(kSegment),
              IsError(ErrorCode::kCorruptLog,
                      absl::StrCat(kSegment, ": damaged at position ", first.size(), ": ")));
  EXPECT_EQ(lines_.size(), 1u);
  Write(kSegment, first.substr(0, first.size() - 1));
  EXPECT_THAT(Dump(kSegment), IsError(ErrorCode::kCorruptLog, "the file ends in a batch"));
}

TEST_F(SegmentDumpTest, RoomMadeAheadIsNoDamageButZerosBeforeABatchAre) {
  const std::string batch = Batch(0, record::Compression::kNone);
  const std::string zeros(5000, '\0');
  Write(kSegment, batch + zeros);
  ASSERT_OK(Dump(kSegment));
  EXPECT_EQ(lines_[1]["preallocated_bytes"], zeros.size());
  Write(kSegment, batch + zeros + batch);
  EXPECT_THAT(Dump(kSegment), IsError(ErrorCode::kCorruptLog, "zeros where a batch should begin"));
}

TEST_F(SegmentDumpTest, ShowsBothIndexes) {
  std::string offsets;
  storage::AppendOffsetIndexEntry({.relative_offset = 19, .position = 700}, &offsets);
  Write("00000000000000000000.index", offsets);
  ASSERT_OK(Dump("00000000000000000000.index"));
  EXPECT_EQ(lines_[0], (Json{{"relative_offset", 19}, {"position", 700}}));
  std::string times;
  storage::AppendTimeIndexEntry({.timestamp_ms = 1234, .relative_offset = 19}, &times);
  Write("00000000000000000000.timeindex", times);
  ASSERT_OK(Dump("00000000000000000000.timeindex"));
  EXPECT_EQ(lines_[0], (Json{{"timestamp_ms", 1234}, {"relative_offset", 19}}));
}

TEST_F(SegmentDumpTest, TextIsOneLinePerBatch) {
  Write(kSegment, Batch(0, record::Compression::kNone));
  testing::internal::CaptureStdout();
  ASSERT_OK(DumpSegmentFile(files_, kSegment, {}));
  EXPECT_THAT(testing::internal::GetCapturedStdout(),
              testing::AllOf(testing::StartsWith("position: 0  bytes: "),
                             HasSubstr("  records: 20  leader_epoch: 4  compression: none")));
}

TEST_F(SegmentDumpTest, RefusesFilesOfAnotherKind) {
  EXPECT_THAT(Dump("notes.txt"), IsError(ErrorCode::kInvalidRequest, "'notes.txt' is not a .log"));
}

}  // namespace
}  // namespace millrace::tools

#include "tools/millrace/segment_verify.h"

#include <string>
#include <vector>

#include "base/sim/sim_file_system.h"
#include "base/status_matchers.h"
#include "storage/file_names.h"
#include "storage/index_file.h"
#include "storage/testing/log_fixture.h"

namespace millrace::tools {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A segment of four batches with two records each, with an index entry for each but the first.
class SegmentVerifyTest : public testing::Test {
 protected:
  SegmentVerifyTest() {
    EXPECT_OK(files_.CreateDirectory("p"));
    for (int i = 0; i < 4; ++i) {
      positions_.push_back(log_.size());
      const int64_t time = storage::kTestTime + i;
      log_ += storage::MakeStampedBatch(Offset(8 + 2 * i), LeaderEpoch(1), "v", 2, time);
      if (i == 0) continue;
      storage::AppendOffsetIndexEntry({2 * i + 1, static_cast<int32_t>(positions_.back())},
                                      &index_);
      storage::AppendTimeIndexEntry({time, 2 * i + 1}, &times_);
    }
  }

  std::string Name(absl::string_view suffix) const {
    return "p/" + storage::SegmentFileName(Offset(8), suffix);
  }
  // The problems as "kind position offset", and the end found.
  std::vector<std::string> Verify() {
    for (const auto& [suffix, contents] :
         {std::pair(storage::kLogSuffix, &log_), std::pair(storage::kOffsetIndexSuffix, &index_),
          std::pair(storage::kTimeIndexSuffix, &times_)}) {
      EXPECT_OK(ReplaceFile(files_, Name(suffix), *contents));
    }
    report_ = {};
    const auto end = VerifySegment(files_, segment_, &report_);
    EXPECT_OK(end);
    end_ = *end;
    std::vector<std::string> problems;
    for (const Problem& problem : report_.problems) {
      problems.push_back(absl::StrCat(
          ProblemKindName(problem.kind), " ",
          problem.place.position.has_value() ? absl::StrCat(*problem.place.position) : "-", " ",
          problem.place.offset.has_value() ? absl::StrCat(problem.place.offset->value()) : "-"));
    }
    return problems;
  }
  std::string At(absl::string_view kind, size_t batch, int64_t offset) const {
    return absl::StrCat(kind, " ", positions_[batch], " ", offset);
  }

  sim::SimFileSystem files_;
  std::string log_;
  std::string index_;
  std::string times_;
  std::vector<size_t> positions_;
  SegmentToVerify segment_{.directory = "p", .base_offset = Offset(8), .sealed = true};
  VerifyReport report_;
  Offset end_;
};

TEST_F(SegmentVerifyTest, AWholeSegmentHasNoProblems) {
  segment_.records = true;
  EXPECT_THAT(Verify(), IsEmpty());
  EXPECT_EQ(end_, Offset(16));
  EXPECT_EQ(report_.batches, 4);
  EXPECT_EQ(report_.records, 8);
  EXPECT_EQ(report_.bytes, log_.size() + index_.size() + times_.size());
}

TEST_F(SegmentVerifyTest, EachDamagedBatchIsListedAndThoseBehindItAreStillRead) {
  log_[positions_[1] + 70] ^= 1;
  index_.clear();
  times_.clear();
  segment_.sealed = false;
  segment_.synced_to = Offset(16);
  EXPECT_THAT(Verify(), ElementsAre(At("damage", 1, 10)));
  EXPECT_THAT(report_.problems[0].what, HasSubstr("crc"));
  EXPECT_EQ(report_.batches, 3);
  EXPECT_EQ(end_, Offset(16));
}

TEST_F(SegmentVerifyTest, ABatchAtAWrongOffsetIsDamage) {
  record::StampBaseOffset(log_.data() + positions_[2], Offset(13));
  segment_.sealed = false;
  index_.clear();
  times_.clear();
  EXPECT_THAT(Verify(), testing::Contains(At("damage", 2, 12)));
  EXPECT_THAT(report_.problems[0].what, HasSubstr("offset 13 instead of 12"));
}

TEST_F(SegmentVerifyTest, ACutEndIsTornOnlyWhereNothingWasPromised) {
  log_.resize(log_.size() - 3);
  index_.clear();
  times_.clear();
  EXPECT_THAT(Verify(), testing::Contains(At("damage", 3, 14)));
  segment_.sealed = false;
  segment_.synced_to = Offset(14);
  EXPECT_THAT(Verify(), ElementsAre(At("torn", 3, 14)));
  segment_.synced_to = Offset(16);
  EXPECT_THAT(Verify(), ElementsAre(At("damage", 3, 14)));
}

TEST_F(SegmentVerifyTest, RoomAllocatedAheadEndsOnlyTheLastSegment) {
  const uint64_t size = log_.size();
  log_ += std::string(1000, '\0');
  EXPECT_THAT(Verify(), ElementsAre(absl::StrCat("damage ", size, " 16")));
  segment_.sealed = false;
  EXPECT_THAT(Verify(), IsEmpty());
}

TEST_F(SegmentVerifyTest, IndexEntriesThatNoBatchBearsOutAreWrongHints) {
  const std::string good_index = index_;
  const std::string good_times = times_;
  index_[7] ^= 1;
  EXPECT_THAT(Verify(), ElementsAre("hint 0 11"));
  index_ = good_index.substr(0, 8) + good_index.substr(0, 8);
  EXPECT_THAT(Verify(), ElementsAre("hint 8 11"));
  index_ = good_index + "odd";
  EXPECT_THAT(Verify(), ElementsAre("hint 24 -"));
  index_ = good_index;
  times_[7] ^= 64;
  EXPECT_THAT(Verify(), testing::Contains("hint 0 11"));
  times_ = good_times.substr(0, 24);
  EXPECT_THAT(Verify(), ElementsAre("hint - -"));
  EXPECT_THAT(report_.problems[0].what, HasSubstr("latest time"));
}

TEST_F(SegmentVerifyTest, AMissingIndexMattersInSealedSegmentsOnly) {
  EXPECT_THAT(Verify(), IsEmpty());
  ASSERT_OK(files_.RemoveFile(Name(storage::kOffsetIndexSuffix)));
  report_ = {};
  ASSERT_OK(VerifySegment(files_, segment_, &report_));
  ASSERT_EQ(report_.problems.size(), 1u);
  EXPECT_EQ(report_.problems[0].what, "the file is missing");
  segment_.sealed = false;
  report_ = {};
  ASSERT_OK(VerifySegment(files_, segment_, &report_));
  EXPECT_THAT(report_.problems, IsEmpty());
}

}  // namespace
}  // namespace millrace::tools

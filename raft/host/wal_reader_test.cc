#include "raft/host/wal_reader.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "raft/host/wal_test_bed.h"

namespace millrace::raft {
namespace {

using ::testing::ElementsAre;

class Lines : public WalVisitor {
 public:
  void OnSegment(const std::string& path, uint64_t generation, uint64_t) override {
    lines.push_back(absl::StrCat("segment ", generation, " ", path));
  }
  void OnGroup(const WalGroup& group, bool behind_damage) override {
    lines.push_back(absl::StrCat("group ", group.header.number, behind_damage ? " behind" : "",
                                 " at ", group.offset));
  }
  void OnRecord(const WalRecord& record, uint64_t offset) override {
    lines.push_back(absl::StrCat(WalRecordTypeName(record.type), " ", record.term.value(), ":",
                                 record.index.value(), " at ", offset));
  }
  void OnTail(const WalScan& scan) override {
    lines.push_back(absl::StrCat(WalTailName(scan.tail), " at ", scan.tail_offset));
  }
  std::vector<std::string> lines;
};

TEST(WalReaderTest, ShowsEverythingAndGoesOnBehindDamage) {
  WalTestBed bed;
  ASSERT_OK(bed.Open());
  bed.AppendEntry(1, 1);
  bed.Run();
  bed.AppendEntry(1, 2);
  bed.Run();
  bed.AppendEntry(1, 3);
  bed.Run();
  bed.Close();
  const std::string path = bed.Path("00000000000000000001.wal");
  Lines intact;
  ASSERT_OK(VisitWal(bed.files(), kWalTestDirectory, &intact));
  EXPECT_THAT(intact.lines,
              ElementsAre("segment 1 " + path, "group 1 at 0", "SEGMENT_START 0:0 at 56",
                          "HARD_STATE 0:0 at 92", "VOTERS 0:0 at 120", "group 2 at 4096",
                          "ENTRY 1:1 at 4152", "group 3 at 8192", "ENTRY 1:2 at 8248",
                          "group 4 at 12288", "ENTRY 1:3 at 12344", "CLEAN at 16384"));
  bed.files().FlipBit(path, (8192 + 100) * 8);
  Lines damaged;
  ASSERT_OK(VisitWal(bed.files(), kWalTestDirectory, &damaged));
  EXPECT_THAT(damaged.lines,
              ElementsAre("segment 1 " + path, "group 1 at 0", "SEGMENT_START 0:0 at 56",
                          "HARD_STATE 0:0 at 92", "VOTERS 0:0 at 120", "group 2 at 4096",
                          "ENTRY 1:1 at 4152", "DAMAGED at 8192", "group 4 behind at 12288",
                          "ENTRY 1:3 at 12344"));
}

TEST(WalReaderTest, ADirectoryThatIsNotThereIsAnError) {
  WalTestBed bed;
  Lines lines;
  EXPECT_THAT(VisitWal(bed.files(), "/nowhere", &lines), HasCode(ErrorCode::kDirectoryUnavailable));
}

}  // namespace
}  // namespace millrace::raft

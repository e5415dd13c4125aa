#include "tools/millrace/snapshot_verify.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "metadata/image.h"
#include "metadata/image_snapshot.h"
#include "raft/host/snapshot_test_bed.h"

namespace millrace::tools {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class SnapshotVerifyTest : public ::testing::Test {
 protected:
  SnapshotVerifyTest() {
    EXPECT_OK(bed_.Open());
    for (const int64_t index : {100, 200}) {
      EXPECT_OK(bed_.store().Write(raft::At(1, index), raft::SampleVoters(),
                                   metadata::EncodeImageSnapshot(metadata::Image())));
    }
  }

  std::vector<Problem> Verify() {
    report_ = {};
    VerifySnapshots(bed_.files(), raft::kSnapshotTestDirectory, &report_);
    return report_.problems;
  }
  void ExpectOne(ProblemKind kind, const std::string& name, const std::string& what) {
    const std::vector<Problem> problems = Verify();
    ASSERT_EQ(problems.size(), 1u) << report_.ToText();
    EXPECT_EQ(problems[0].kind, kind);
    EXPECT_EQ(problems[0].place.path, bed_.Path(name));
    EXPECT_THAT(problems[0].what, HasSubstr(what));
  }

  raft::SnapshotTestBed bed_;
  VerifyReport report_;
  const std::string newest_ = raft::SnapshotFileName(raft::At(1, 200));
};

TEST_F(SnapshotVerifyTest, IntactOnesHaveNoProblems) {
  EXPECT_THAT(Verify(), IsEmpty()) << report_.ToText();
  EXPECT_EQ(report_.snapshots, 2);
  EXPECT_GT(report_.bytes, 0u);
}

TEST_F(SnapshotVerifyTest, DamageHasItsPlace) {
  bed_.files().FlipBit(bed_.Path(newest_), 60 * 8);
  ExpectOne(ProblemKind::kDamage, newest_, "the voters' checksum is wrong");
  EXPECT_EQ(report_.problems[0].place.position, raft::kSnapshotHeaderBytes);
}

TEST_F(SnapshotVerifyTest, WrongNameAndWrongBodyAreDamage) {
  ASSERT_OK(
      bed_.files().Rename(bed_.Path(newest_), bed_.Path(raft::SnapshotFileName(raft::At(1, 300)))));
  ExpectOne(ProblemKind::kDamage, raft::SnapshotFileName(raft::At(1, 300)), "than its name says");
  ASSERT_OK(bed_.files().RemoveFile(bed_.Path(raft::SnapshotFileName(raft::At(1, 300)))));
  ASSERT_OK(bed_.store().Write(raft::At(1, 400), raft::SampleVoters(), "\1no image"));
  ExpectOne(ProblemKind::kDamage, raft::SnapshotFileName(raft::At(1, 400)), "its body: ");
}

TEST_F(SnapshotVerifyTest, WhatIsNotFinishedIsNoDamage) {
  const raft::ForeignSnapshot foreign(raft::At(4, 900), raft::SampleBody(200'000));
  ASSERT_OK(bed_.Receive(foreign, 50'000, 100'000));
  // Its last block is not whole yet.
  ExpectOne(ProblemKind::kTorn, raft::ReceivedFileName(foreign.id), "do not verify");
  EXPECT_OK(report_.Verdict());
  ASSERT_OK(bed_.Receive(foreign, 50'000));
  EXPECT_THAT(Verify(), IsEmpty()) << report_.ToText();
  ASSERT_OK(ReplaceFile(bed_.files(), bed_.Path("unfinished.tmp"), "half"));
  ExpectOne(ProblemKind::kTorn, "unfinished.tmp", "not finished");
}

}  // namespace
}  // namespace millrace::tools

#include "node/voter_level.h"

#include "base/status_matchers.h"
#include "gmock/gmock.h"

namespace millrace::node {
namespace {

const raft::VoterId kVoter{NodeId(2), DirectoryId(Uuid(2, 2))};

TEST(VoterLevel, AProgramVotesThatKnowsTheClustersLevel) {
  const raft::ProgramFeatures said{.level_min = 3, .level_max = 5};
  EXPECT_OK(CheckKnowsLevel(kVoter, &said, 3));
  EXPECT_OK(CheckKnowsLevel(kVoter, &said, 5));
  EXPECT_THAT(CheckKnowsLevel(kVoter, &said, 6),
              IsError(ErrorCode::kUnsupportedVersion,
                      "controller 2 knows feature levels 3 to 5, and the cluster is at 6"));
  EXPECT_THAT(CheckKnowsLevel(kVoter, &said, 2), HasCode(ErrorCode::kUnsupportedVersion));
}

TEST(VoterLevel, OneThatDidNotSayMayVoteLater) {
  const raft::ProgramFeatures nothing;
  EXPECT_THAT(CheckKnowsLevel(kVoter, nullptr, 3), HasCode(ErrorCode::kResourceExhausted));
  EXPECT_THAT(CheckKnowsLevel(kVoter, &nothing, 3), HasCode(ErrorCode::kResourceExhausted));
}

}  // namespace
}  // namespace millrace::node

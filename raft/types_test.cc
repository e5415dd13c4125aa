#include "raft/types.h"

#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"

namespace millrace::raft {
namespace {

std::vector<Voter> Sample() {
  return {Voter{VoterId{NodeId(1), DirectoryId(Uuid(1, 2))}, "a:1", false},
          Voter{VoterId{NodeId(300), DirectoryId(Uuid(~uint64_t{0}, 5))}, "", true}};
}

TEST(VotersTest, WhatIsEncodedIsDecoded) {
  ASSERT_OK_AND_ASSIGN(const std::string bytes, EncodeVoters(Sample()));
  ASSERT_OK_AND_ASSIGN(const std::vector<Voter> voters, DecodeVoters(bytes));
  EXPECT_EQ(voters, Sample());
}

TEST(VotersTest, TheBytesAreThoseOfTheFormatPage) {
  ASSERT_OK_AND_ASSIGN(const std::string bytes, EncodeVoters({Sample()[0]}));
  EXPECT_EQ(absl::BytesToHexString(bytes),
            "0100"
            "01000000"
            "00000000000000010000000000000002"
            "00"
            "0300"
            "613a31");
}

TEST(VotersTest, EveryTruncationIsRefused) {
  ASSERT_OK_AND_ASSIGN(const std::string bytes, EncodeVoters(Sample()));
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_THAT(DecodeVoters(bytes.substr(0, size)), HasCode(ErrorCode::kCorruptMessage)) << size;
  }
  EXPECT_THAT(DecodeVoters(bytes + "x"), HasCode(ErrorCode::kCorruptMessage));
}

TEST(VotersTest, BoundsHold) {
  EXPECT_THAT(EncodeVoters(std::vector<Voter>(kVotersMax + 1)),
              IsError(ErrorCode::kInvalidRequest, "65 voters"));
  std::vector<Voter> voters = Sample();
  voters[0].address = std::string(kVoterAddressBytesMax + 1, 'x');
  EXPECT_THAT(EncodeVoters(voters), HasCode(ErrorCode::kInvalidRequest));
  EXPECT_THAT(DecodeVoters("\xff\xff"), HasCode(ErrorCode::kCorruptMessage));
}

TEST(VotersTest, S17_AWipedDirectoryIsAnotherVoter) {
  VoterSet set{EntryId{}, Sample()};
  EXPECT_NE(set.Find(Sample()[0].id), nullptr);
  EXPECT_EQ(set.Find(VoterId{NodeId(1), DirectoryId(Uuid(1, 3))}), nullptr);
}

}  // namespace
}  // namespace millrace::raft

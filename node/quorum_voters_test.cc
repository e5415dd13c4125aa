#include "node/quorum_voters.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "raft/types.h"

namespace millrace::node {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(QuorumVoters, AreSortedByIdWithTheirAddressesAsWritten) {
  EXPECT_THAT(ParseQuorumVoters("3@c.example:9093, 1@a:1,2@[::1]:65535").value(),
              ElementsAre(raft::Peer{NodeId(1), "a:1"}, raft::Peer{NodeId(2), "[::1]:65535"},
                          raft::Peer{NodeId(3), "c.example:9093"}));
  EXPECT_TRUE(ParseQuorumVoters("").value().empty());
  EXPECT_TRUE(ParseQuorumVoters(" ").value().empty());
}

TEST(QuorumVoters, AMalformedEntryIsNamed) {
  for (const char* bad : {"a:1", "@a:1", "x@a:1", "-1@a:1", "+1@a:1", "2147483648@a:1", "2@a",
                          "2@a:0", "2@a:65536", "2@a:", "2@:1", "2@::1:1", "2@a:+1", "2@"}) {
    const absl::Status status = ParseQuorumVoters(absl::StrCat("1@first:1,", bad)).status();
    EXPECT_EQ(CodeOf(status), ErrorCode::kInvalidConfig) << bad;
    EXPECT_EQ(DetailOf(status).name, "controller.quorum.voters");
    EXPECT_EQ(DetailOf(status).value, bad);
  }
  EXPECT_FALSE(ParseQuorumVoters("1@a:1,").ok());
}

TEST(QuorumVoters, AnIdOrAnAddressNamedTwiceIsRefused) {
  absl::Status status = ParseQuorumVoters("1@a:1,2@b:1,1@c:1").status();
  EXPECT_EQ(DetailOf(status).value, "1@c:1");
  EXPECT_THAT(std::string(status.message()), HasSubstr("node 1 a second time"));
  status = ParseQuorumVoters("1@a:1,2@a:1").status();
  EXPECT_EQ(DetailOf(status).value, "2@a:1");
}

TEST(QuorumVoters, MoreThanTheMaximumAreRefused) {
  std::string text;
  for (size_t i = 1; i <= raft::kVotersMax; ++i) {
    absl::StrAppend(&text, i == 1 ? "" : ",", i, "@h", i, ":1");
  }
  EXPECT_EQ(ParseQuorumVoters(text).value().size(), raft::kVotersMax);
  EXPECT_EQ(DetailOf(ParseQuorumVoters(text + ",99@z:1").status()).value, "99@z:1");
}

}  // namespace
}  // namespace millrace::node

#include "raft/host/founding_record.h"

#include <functional>
#include <set>
#include <utility>

#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::raft {
namespace {

std::vector<Voter> Set(std::vector<std::pair<int32_t, uint64_t>> ids) {
  std::vector<Voter> voters;
  for (const auto& [node, directory] : ids) {
    voters.push_back({.id = {NodeId(node), DirectoryId(Uuid(7, directory))}, .address = "h:1"});
  }
  return voters;
}

TEST(FoundingClusterId, IsTheSameForTheSameVotersWhateverTheirAddresses) {
  std::vector<Voter> elsewhere = Set({{1, 10}, {2, 20}});
  elsewhere[0].address = "other:9";
  EXPECT_EQ(FoundingClusterId(Set({{1, 10}, {2, 20}})), FoundingClusterId(elsewhere));
  EXPECT_TRUE(SameVoters(Set({{1, 10}, {2, 20}}), elsewhere));
}

// Persistent: a new version must give an old set the id it has.
TEST(FoundingClusterId, NeverChangesForASet) {
  EXPECT_EQ(FoundingClusterId(Set({{1, 10}, {2, 20}, {3, 30}})).ToString(),
            "oGyoaJj5qVzDYTLqLKYsVw");
}

TEST(FoundingClusterId, DiffersForEachSet) {
  std::set<ClusterId> seen;
  size_t count = 0;
  const auto add = [&](const std::vector<Voter>& set) {
    ++count;
    const ClusterId id = FoundingClusterId(set);
    EXPECT_FALSE(id.is_zero());
    seen.insert(id);
  };
  add(Set({}));
  for (int32_t node = 0; node < 30; ++node) {
    for (uint64_t directory = 0; directory < 30; ++directory) {
      add(Set({{node, directory}}));
      add(Set({{node, directory}, {node + 1, directory}}));
      add(Set({{node, directory}, {node + 1, directory + 1}}));
    }
  }
  EXPECT_EQ(seen.size(), count);
}

TEST(FoundingRecord, AVoterIsANodeOnACertainDirectory) {
  EXPECT_FALSE(SameVoters(Set({{1, 10}, {2, 20}}), Set({{1, 10}, {2, 21}})));
  EXPECT_FALSE(SameVoters(Set({{1, 10}, {2, 20}}), Set({{1, 10}})));
  EXPECT_TRUE(ContainsVoter(Set({{1, 10}, {2, 20}}), Set({{2, 20}})[0].id));
  EXPECT_FALSE(ContainsVoter(Set({{1, 10}, {2, 20}}), Set({{2, 10}})[0].id));
}

TEST(CheckFoundingState, RefusesWhatCannotBeBuiltUponOrWrittenDown) {
  FoundingState good{.self = Set({{1, 10}})[0].id,
                     .address = "h:1",
                     .phase = FoundingPhase::kPrepared,
                     .voters = Set({{1, 10}, {2, 20}}),
                     .cluster_id = {}};
  EXPECT_TRUE(CheckFoundingState(good).ok());
  const auto refused = [&good](const std::function<void(FoundingState*)>& spoil) {
    FoundingState bad = good;
    spoil(&bad);
    return CodeOf(CheckFoundingState(bad)) == ErrorCode::kCorruptMessage;
  };
  EXPECT_TRUE(refused([](FoundingState* s) { s->address = "h:1\nvoter=9"; }));
  EXPECT_TRUE(refused([](FoundingState* s) { s->voters[1].address = "a b"; }));
  EXPECT_TRUE(refused([](FoundingState* s) { s->voters[1].address = std::string(513, 'a'); }));
  EXPECT_TRUE(refused([](FoundingState* s) { std::swap(s->voters[0], s->voters[1]); }));
  EXPECT_TRUE(refused([](FoundingState* s) { s->voters[1] = s->voters[0]; }));
  EXPECT_TRUE(refused([](FoundingState* s) { s->voters.resize(kVotersMax + 1); }));
  EXPECT_TRUE(refused([](FoundingState* s) { s->voters.clear(); }));
  EXPECT_TRUE(refused([](FoundingState* s) { s->phase = FoundingPhase::kEmpty; }));
  EXPECT_TRUE(refused([](FoundingState* s) { s->phase = FoundingPhase::kFounded; }));
  EXPECT_TRUE(refused([](FoundingState* s) { s->cluster_id = ClusterId(Uuid(1, 1)); }));
  EXPECT_TRUE(refused([](FoundingState* s) { s->self.directory = {}; }));
  EXPECT_TRUE(refused([](FoundingState* s) { s->self.node = kNoNode; }));
}

TEST(FoundingRecord, NodesAreNamedAsPeopleDo) {
  EXPECT_EQ(NodeNames(Set({{1, 1}, {2, 2}, {3, 3}})), "1, 2 and 3");
  EXPECT_EQ(NodeNames(std::vector<NodeId>{NodeId(4), NodeId(5)}), "4 and 5");
  EXPECT_EQ(NodeNames(std::vector<NodeId>{}), "");
}

}  // namespace
}  // namespace millrace::raft

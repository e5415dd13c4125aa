#include "raft/codec/founding_codec.h"

#include <functional>
#include <string>
#include <utility>

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::raft {
namespace {

using ::testing::HasSubstr;

FoundingState Sample(FoundingPhase phase) {
  FoundingState state;
  state.self = {NodeId(1), DirectoryId(Uuid(0, 1))};
  state.address = "one:9093";
  state.phase = phase;
  if (phase != FoundingPhase::kEmpty) {
    state.voters = {{state.self, "one:9093", false},
                    {{NodeId(2), DirectoryId(Uuid(0, 2))}, "two:9093", false}};
  }
  if (phase == FoundingPhase::kFounded) {
    state.cluster_id = ClusterId(Uuid(9, 9));
    state.generation = 2;
  }
  return state;
}

absl::Status Refusal(FoundingPhase phase,
                     const std::function<void(internal::v1::FoundingState&)>& change) {
  internal::v1::FoundingState state = EncodeFoundingState(Sample(phase));
  change(state);
  return DecodeFoundingState(state).status();
}

TEST(FoundingCodecTest, EveryPhaseComesBackAsItWas) {
  for (const FoundingPhase phase :
       {FoundingPhase::kEmpty, FoundingPhase::kPrepared, FoundingPhase::kFounded}) {
    ASSERT_OK_AND_ASSIGN(const FoundingState state,
                         DecodeFoundingState(EncodeFoundingState(Sample(phase))));
    EXPECT_EQ(state, Sample(phase));
  }
}

TEST(FoundingCodecTest, OneWhoJoinedLaterKnowsNoFounders) {
  FoundingState state = Sample(FoundingPhase::kFounded);
  state.voters.clear();
  ASSERT_OK_AND_ASSIGN(const FoundingState decoded,
                       DecodeFoundingState(EncodeFoundingState(state)));
  EXPECT_EQ(decoded, state);
}

TEST(FoundingCodecTest, EveryFieldIsChecked) {
  const auto refused = [](FoundingPhase phase, auto change) {
    const absl::Status status = Refusal(phase, change);
    EXPECT_EQ(CodeOf(status), ErrorCode::kCorruptMessage);
    return std::string(status.message());
  };
  using Phase = FoundingPhase;
  EXPECT_THAT(refused(Phase::kEmpty, [](auto& s) { s.clear_self(); }), HasSubstr("directory id"));
  EXPECT_THAT(refused(Phase::kEmpty, [](auto& s) { s.mutable_self()->set_node_id(-1); }),
              HasSubstr("node id"));
  EXPECT_THAT(
      refused(Phase::kEmpty, [](auto& s) { s.mutable_self()->set_address(std::string(600, 'a')); }),
      HasSubstr("address"));
  EXPECT_THAT(refused(Phase::kEmpty, [](auto& s) { s.clear_phase(); }), HasSubstr("phase"));
  EXPECT_THAT(refused(Phase::kEmpty,
                      [](auto& s) { s.set_phase(static_cast<internal::v1::FoundingPhase>(17)); }),
              HasSubstr("17"));
  EXPECT_THAT(refused(Phase::kPrepared, [](auto& s) { s.mutable_voters()->SwapElements(0, 1); }),
              HasSubstr("not sorted"));
  EXPECT_THAT(refused(Phase::kPrepared, [](auto& s) { *s.mutable_voters(1) = s.voters(0); }),
              HasSubstr("not sorted"));
  EXPECT_THAT(refused(Phase::kPrepared,
                      [](auto& s) {
                        for (int i = 0; i < 64; ++i) s.add_voters();
                      }),
              HasSubstr("66 of them"));
  EXPECT_THAT(refused(Phase::kFounded, [](auto& s) { s.set_cluster_id("short"); }),
              HasSubstr("cluster id"));
}

TEST(FoundingCodecTest, APhaseSaysNoMoreThanItMeans) {
  const auto refused = [](FoundingPhase phase, auto change) {
    return CodeOf(Refusal(phase, change)) == ErrorCode::kCorruptMessage;
  };
  EXPECT_TRUE(refused(FoundingPhase::kFounded, [](auto& s) { s.clear_cluster_id(); }));
  EXPECT_TRUE(refused(FoundingPhase::kPrepared, [](auto& s) { s.clear_voters(); }));
  EXPECT_TRUE(
      refused(FoundingPhase::kPrepared, [](auto& s) { s.set_cluster_id(Uuid(1, 1).ToBytes()); }));
  EXPECT_TRUE(refused(FoundingPhase::kEmpty, [](auto& s) { *s.add_voters() = s.self(); }));
}

TEST(FoundingCodecTest, RefusesAnotherVersion) {
  EXPECT_EQ(CodeOf(Refusal(FoundingPhase::kEmpty, [](auto& s) { s.set_version(2); })),
            ErrorCode::kUnsupportedVersion);
}

}  // namespace
}  // namespace millrace::raft

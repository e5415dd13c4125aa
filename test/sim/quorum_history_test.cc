#include "test/sim/quorum_history.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::sim {
namespace {

using ::testing::HasSubstr;
using Kind = TopicCall::Kind;
using Verdict = TopicHistory::Verdict;

constexpr TopicAnswer kDone{.done = true};
constexpr TopicAnswer kNot{.done = false};

class TopicHistoryTest : public ::testing::Test {
 protected:
  size_t Create(uint64_t id, int64_t value = 0) {
    return history_.OnCalled({Kind::kCreate, "t", id, value});
  }
  size_t Delete() { return history_.OnCalled({Kind::kDelete, "t"}); }
  size_t Alter(int64_t value) { return history_.OnCalled({Kind::kAlter, "t", 0, value}); }
  size_t Describe() { return history_.OnCalled({Kind::kDescribe, "t"}); }
  void Answer(size_t id, TopicAnswer answer) { history_.OnAnswered(id, answer); }
  void Sees(uint64_t id, int64_t value = 0) { Answer(Describe(), {true, {id, value}}); }
  void SeesNothing() { Answer(Describe(), kNot); }
  Verdict Check(size_t steps = 10000) { return history_.Check(steps, &why_); }

  TopicHistory history_;
  std::string why_;
};

TEST_F(TopicHistoryTest, OneAfterTheOtherMustFit) {
  Answer(Create(1, 5), kDone);
  Sees(1, 5);
  Answer(Create(2), kNot);
  Answer(Alter(6), kDone);
  Sees(1, 6);
  Answer(Delete(), {true, {1, 0}});
  Answer(Delete(), kNot);
  Answer(Alter(7), kNot);
  SeesNothing();
  EXPECT_EQ(Check(), Verdict::kLinearizable);
}

TEST_F(TopicHistoryTest, WhatADeletionDeletedNeedNotBeKnown) {
  Answer(Create(1), kDone);
  Answer(Delete(), kDone);
  SeesNothing();
  EXPECT_EQ(Check(), Verdict::kLinearizable);
  Answer(Delete(), kDone);
  EXPECT_EQ(Check(), Verdict::kViolated);
}

TEST_F(TopicHistoryTest, AnAcknowledgedChangeMayNotVanish) {
  Answer(Create(1), kDone);
  SeesNothing();
  EXPECT_EQ(Check(), Verdict::kViolated);
  EXPECT_THAT(why_, HasSubstr("describe t, refused by what is there"));
}

TEST_F(TopicHistoryTest, AStaleReadIsFound) {
  Answer(Create(1, 1), kDone);
  Answer(Alter(2), kDone);
  Sees(1, 1);
  EXPECT_EQ(Check(), Verdict::kViolated);
}

TEST_F(TopicHistoryTest, OverlappingCallsMayHappenInAnyOrder) {
  const size_t a = Create(1);
  const size_t b = Create(2);
  Answer(a, kNot);
  Answer(b, kDone);
  Sees(2);
  EXPECT_EQ(Check(), Verdict::kLinearizable);
}

TEST_F(TopicHistoryTest, BothOfTwoCreationsCannotSucceed) {
  const size_t a = Create(1);
  const size_t b = Create(2);
  Answer(a, kDone);
  Answer(b, kDone);
  EXPECT_EQ(Check(), Verdict::kViolated);
}

TEST_F(TopicHistoryTest, AReadMayNotGoBack) {
  Answer(Create(1, 1), kDone);
  const size_t alter = Alter(2);
  Sees(1, 2);
  Sees(1, 1);
  Answer(alter, kDone);
  EXPECT_EQ(Check(), Verdict::kViolated);
}

TEST_F(TopicHistoryTest, ACallWithoutAnAnswerMayHappenLaterOrNever) {
  Create(1);
  SeesNothing();
  EXPECT_EQ(Check(), Verdict::kLinearizable);
  Sees(1);
  EXPECT_EQ(Check(), Verdict::kLinearizable);
  SeesNothing();
  EXPECT_EQ(Check(), Verdict::kViolated);
}

TEST_F(TopicHistoryTest, ACallWithoutAnAnswerHappensAtMostOnce) {
  Create(1);
  Sees(1);
  Answer(Delete(), {true, {1, 0}});
  Sees(1);
  EXPECT_EQ(Check(), Verdict::kViolated);
}

TEST_F(TopicHistoryTest, ARefusalIsExplainedByACallWithoutAnAnswer) {
  Create(1);
  Answer(Create(2), kNot);
  Sees(1);
  EXPECT_EQ(Check(), Verdict::kLinearizable);
}

TEST_F(TopicHistoryTest, ARefusedCallNeverHappens) {
  history_.OnRefused(Create(1));
  SeesNothing();
  EXPECT_EQ(Check(), Verdict::kLinearizable);
  Sees(1);
  EXPECT_EQ(Check(), Verdict::kViolated);
}

TEST_F(TopicHistoryTest, NamesHaveNothingToDoWithEachOther) {
  Answer(history_.OnCalled({Kind::kCreate, "a", 1, 0}), kDone);
  Answer(history_.OnCalled({Kind::kCreate, "b", 2, 0}), kDone);
  Answer(history_.OnCalled({Kind::kDelete, "a"}), {true, {1, 0}});
  Answer(history_.OnCalled({Kind::kDescribe, "b"}), {true, {2, 0}});
  EXPECT_EQ(Check(), Verdict::kLinearizable);
}

TEST_F(TopicHistoryTest, WhatTakesTooLongIsNeitherGoodNorBad) {
  for (uint64_t id = 1; id <= 20; ++id) Create(id);
  for (int i = 0; i < 20; ++i) Delete();
  Sees(21);
  EXPECT_EQ(Check(100), Verdict::kInconclusive);
}

}  // namespace
}  // namespace millrace::sim

#include "broker/forward_lane.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::broker {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class FakeStream final : public ForwardStream {
 public:
  FakeStream(std::vector<api::ProduceStreamRequest>* sent, bool* ended)
      : sent_(sent), ended_(ended) {}
  ~FakeStream() override { *ended_ = true; }
  void Send(const api::ProduceStreamRequest& request) override { sent_->push_back(request); }

 private:
  std::vector<api::ProduceStreamRequest>* const sent_;
  bool* const ended_;
};

class ForwardLaneTest : public testing::Test {
 protected:
  ForwardLaneTest() { lane_.Begin(std::make_unique<FakeStream>(&sent_, &ended_)); }

  static MonotonicTime At(double seconds) {
    return MonotonicTime() + absl::Hours(1) + absl::Seconds(seconds);
  }
  void Send(const std::string& batch, double deadline = 32) {
    Reservation share;
    ASSERT_TRUE(budget_.TryReserve(static_cast<int64_t>(batch.size()), &share));
    ForwardLane::Batch out;
    out.partition.name = {"t", TopicId(Uuid(1, 1)), PartitionIndex(3)};
    out.partition.batches = Bytes::Copy(batch);
    out.partition.restart = 7;
    out.acks = api::Acks::kLeader;
    out.timeout = absl::Seconds(30);
    out.client_id = "client";
    out.deadline = At(deadline);
    out.share = std::move(share);
    lane_.Send(std::move(out), [this, batch](api::ProducePartitionResult result) {
      EXPECT_EQ(result.name.topic, "t");
      told_.push_back(absl::StrCat(batch, ":",
                                   result.outcome.ok() ? absl::StrCat(result.base_offset.value())
                                                       : ErrorCodeName(result.outcome.code)));
    });
  }
  void Answer(uint64_t number, int64_t offset) {
    api::ProduceStreamResponse response;
    response.request_number = number;
    response.partitions.emplace_back().base_offset = Offset(offset);
    lane_.OnAnswered(response);
  }

  MemoryBudget budget_{100};
  std::vector<api::ProduceStreamRequest> sent_;
  bool ended_ = false;
  std::vector<std::string> told_;
  ForwardLane lane_;
};

TEST_F(ForwardLaneTest, ABatchGoesOutAsItCameAndItsAnswerComesBack) {
  Send("one");
  Send("two");
  ASSERT_EQ(sent_.size(), 2u);
  const api::ProduceStreamRequest& first = sent_[0];
  ASSERT_EQ(first.request.partitions.size(), 1u);
  EXPECT_EQ(first.request.partitions[0].batches.slice(), "one");
  EXPECT_EQ(first.request.partitions[0].restart, 7u);
  EXPECT_EQ(first.request.partitions[0].name.topic_id, TopicId(Uuid(1, 1)));
  EXPECT_EQ(first.request.acks, api::Acks::kLeader);
  EXPECT_EQ(first.request.timeout, absl::Seconds(30));
  EXPECT_EQ(first.request.client_id, "client");
  EXPECT_FALSE(first.forward) << "one hop";
  EXPECT_EQ(budget_.used_bytes(), 6);
  Answer(first.request_number, 40);
  Answer(sent_[1].request_number, 41);
  EXPECT_THAT(told_, ElementsAre("one:40", "two:41"));
  EXPECT_EQ(budget_.used_bytes(), 0);
}

TEST_F(ForwardLaneTest, WhatIsUnansweredWhenTheStreamEndsIsToldAsTheStreamSays_S23) {
  Send("one");
  Send("two");
  Send("three");
  Answer(sent_[0].request_number, 40);
  lane_.OnClosed(MakeError(ErrorCode::kOutcomeUnknown, "lost"));
  EXPECT_THAT(told_, ElementsAre("one:40", "two:OUTCOME_UNKNOWN", "three:OUTCOME_UNKNOWN"));
  EXPECT_FALSE(lane_.is_open());
  EXPECT_EQ(sent_.size(), 3u) << "nothing is sent again";
  EXPECT_EQ(budget_.used_bytes(), 0);
  Answer(sent_[1].request_number, 41);
  EXPECT_EQ(told_.size(), 3u) << "an answer that comes late is nobody's";
}

TEST_F(ForwardLaneTest, ABatchWithoutAnAnswerInTimeIsUnknownAndSoAreThoseBehindIt_S23_KAFKA13574) {
  Send("one", 32);
  Send("two", 40);
  EXPECT_EQ(lane_.next_deadline(), At(32));
  lane_.OnTime(At(31));
  EXPECT_THAT(told_, IsEmpty());
  lane_.OnTime(At(32));
  EXPECT_THAT(told_, ElementsAre("one:OUTCOME_UNKNOWN", "two:OUTCOME_UNKNOWN"));
  EXPECT_TRUE(ended_);
  EXPECT_EQ(lane_.next_deadline(), MonotonicTime::Never());
}

TEST_F(ForwardLaneTest, AFormerLeaderIsWaitedForALittleAndNotUntilTheDeadline) {
  Send("one");
  lane_.NoteLeader(false, At(1));
  lane_.NoteLeader(false, At(2));
  EXPECT_EQ(lane_.next_deadline(), At(1) + ForwardLane::kFormerLeaderPatience)
      << "counted from when it lost the leadership";
  lane_.NoteLeader(true, At(2));
  EXPECT_EQ(lane_.next_deadline(), At(32)) << "it leads again";
  lane_.NoteLeader(false, At(4));
  lane_.OnTime(At(4) + ForwardLane::kFormerLeaderPatience);
  EXPECT_THAT(told_, ElementsAre("one:OUTCOME_UNKNOWN"));
}

TEST_F(ForwardLaneTest, NothingIsWaitedForWhereNothingIsUnanswered) {
  lane_.NoteLeader(false, At(1));
  EXPECT_EQ(lane_.next_deadline(), MonotonicTime::Never());
  lane_.OnTime(At(100));
  EXPECT_TRUE(lane_.is_open());
}

TEST_F(ForwardLaneTest, AnAnswerToWhatWasNotAskedEndsTheStream) {
  Send("one");
  Send("two");
  Answer(sent_[1].request_number, 41);
  EXPECT_THAT(told_, ElementsAre("one:OUTCOME_UNKNOWN", "two:OUTCOME_UNKNOWN"));
  EXPECT_TRUE(ended_);
}

TEST_F(ForwardLaneTest, WhatIsForgottenGivesItsBytesBackUntold) {
  {
    std::vector<api::ProduceStreamRequest> sent;
    bool ended = false;
    ForwardLane lane;
    lane.Begin(std::make_unique<FakeStream>(&sent, &ended));
    Reservation share;
    ASSERT_TRUE(budget_.TryReserve(10, &share));
    ForwardLane::Batch batch;
    batch.share = std::move(share);
    lane.Send(std::move(batch),
              [this](const api::ProducePartitionResult&) { told_.push_back(""); });
  }
  EXPECT_EQ(budget_.used_bytes(), 0);
  EXPECT_THAT(told_, IsEmpty());
}

}  // namespace
}  // namespace millrace::broker

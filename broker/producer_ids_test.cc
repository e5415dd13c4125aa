#include "broker/producer_ids.h"

#include <vector>

#include "base/status.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "millrace/internal/v1/controller_service.pb.h"

namespace millrace::broker {
namespace {

using internal::v1::AllocateProducerIdsRequest;
using internal::v1::AllocateProducerIdsResponse;
using internal::v1::AlterPartitionRequest;
using internal::v1::AlterPartitionResponse;

// Keeps what is asked until the test answers.
class FakeController final : public ControllerChannel {
 public:
  void AlterPartition(AlterPartitionRequest, Done<AlterPartitionResponse>) override { FAIL(); }
  void ReportLastCopies(internal::v1::ReportLastCopiesRequest,
                        Done<internal::v1::ReportLastCopiesResponse>) override {}
  void AssignReplicasToDirs(internal::v1::AssignReplicasToDirsRequest,
                            Done<internal::v1::AssignReplicasToDirsResponse>) override {
    FAIL();
  }
  void AllocateProducerIds(AllocateProducerIdsRequest request,
                           Done<AllocateProducerIdsResponse> done) override {
    EXPECT_EQ(request.broker_id(), 7);
    EXPECT_EQ(request.broker_epoch(), 12);
    asked.push_back(std::move(done));
  }
  void Give(int64_t first, int count) {
    AllocateProducerIdsResponse block;
    block.set_first_producer_id(first);
    block.set_count(count);
    Answer(block);
  }
  void Answer(absl::StatusOr<AllocateProducerIdsResponse> answer) {
    ASSERT_FALSE(asked.empty());
    auto done = std::move(asked.front());
    asked.erase(asked.begin());
    std::move(done)(std::move(answer));
  }

  std::vector<Done<AllocateProducerIdsResponse>> asked;
};

class ProducerIdsTest : public testing::Test {
 protected:
  void Take() {
    ids_.Take([this](absl::StatusOr<ProducerId> id) {
      if (id.ok()) {
        got_.push_back(id->value());
      } else {
        failures_.push_back(CodeOf(id.status()));
      }
    });
  }

  FakeController controller_;
  ProducerIds ids_{NodeId(7), &controller_};
  std::vector<int64_t> got_;
  std::vector<ErrorCode> failures_;
};

TEST_F(ProducerIdsTest, NobodyGetsOneBeforeTheBrokerIsRegistered) {
  Take();
  EXPECT_THAT(failures_, testing::ElementsAre(ErrorCode::kBrokerNotAvailable));
  EXPECT_TRUE(controller_.asked.empty());
}

TEST_F(ProducerIdsTest, ABlockIsGivenOutOneByOneAndTheNextIsAskedForInTime) {
  ids_.OnRegistered(BrokerEpoch(12));
  controller_.Give(1000, 102);
  for (int i = 0; i < 3; ++i) Take();
  EXPECT_THAT(got_, testing::ElementsAre(1000, 1001, 1002));
  ASSERT_EQ(controller_.asked.size(), 1u) << "fewer than a hundred are left";
  for (int i = 0; i < 99; ++i) Take();
  EXPECT_EQ(got_.back(), 1101);
  controller_.Give(5000, 102);
  Take();
  EXPECT_EQ(got_.back(), 5000);
}

TEST_F(ProducerIdsTest, ThoseWhoWaitAreServedInOrderWhenTheBlockComes) {
  ids_.OnRegistered(BrokerEpoch(12));
  Take();
  Take();
  EXPECT_EQ(controller_.asked.size(), 1u) << "one question for all";
  controller_.Give(40, 1000);
  EXPECT_THAT(got_, testing::ElementsAre(40, 41));
}

TEST_F(ProducerIdsTest, AFailureIsToldToThoseWhoWaitAndTheNextCallerAsksAgain) {
  ids_.OnRegistered(BrokerEpoch(12));
  Take();
  controller_.Answer(MakeError(ErrorCode::kNotController, "no leader"));
  EXPECT_THAT(failures_, testing::ElementsAre(ErrorCode::kNotController));
  Take();
  controller_.Give(0, 1000);
  EXPECT_THAT(got_, testing::ElementsAre(0));
}

TEST_F(ProducerIdsTest, ABlockSmallerThanTheDemandIsFollowedByAnother) {
  ids_.OnRegistered(BrokerEpoch(12));
  for (int i = 0; i < 3; ++i) Take();
  controller_.Give(10, 2);
  controller_.Give(20, 2);
  EXPECT_THAT(got_, testing::ElementsAre(10, 11, 20));
}

TEST_F(ProducerIdsTest, TooManyWhoWaitAreRefused) {
  ids_.OnRegistered(BrokerEpoch(12));
  for (size_t i = 0; i < ProducerIds::kWaitersMax; ++i) Take();
  EXPECT_TRUE(failures_.empty());
  Take();
  EXPECT_THAT(failures_, testing::ElementsAre(ErrorCode::kResourceExhausted));
}

}  // namespace
}  // namespace millrace::broker

#include "broker/replication/isr_proposer.h"

#include <utility>
#include <vector>

#include "base/sim/sim_executor.h"
#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "millrace/internal/v1/controller_service.pb.h"

namespace millrace::broker {
namespace {

namespace wire = millrace::internal::v1;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class HandChannel : public ControllerChannel {
 public:
  void AlterPartition(wire::AlterPartitionRequest request,
                      Done<wire::AlterPartitionResponse> done) override {
    requests.push_back(std::move(request));
    answer = std::move(done);
  }
  void ReportLastCopies(wire::ReportLastCopiesRequest,
                        Done<wire::ReportLastCopiesResponse>) override {}
  void AssignReplicasToDirs(wire::AssignReplicasToDirsRequest,
                            Done<wire::AssignReplicasToDirsResponse>) override {}
  void AllocateProducerIds(wire::AllocateProducerIdsRequest,
                           Done<wire::AllocateProducerIdsResponse>) override {}

  std::vector<wire::AlterPartitionRequest> requests;
  Done<wire::AlterPartitionResponse> answer;
};

class IsrProposerTest : public ::testing::Test {
 protected:
  static TopicPartition Partition(int topic, int index) {
    return {TopicId(Uuid(9, static_cast<uint64_t>(topic))), PartitionIndex(index)};
  }
  static IsrProposal Proposal(int topic, int index, int partition_epoch = 3) {
    IsrProposal proposal;
    proposal.topic_partition = Partition(topic, index);
    proposal.leader_epoch = LeaderEpoch(5);
    proposal.partition_epoch = PartitionEpoch(partition_epoch);
    proposal.new_isr = {{NodeId(1), BrokerEpoch(10)}, {NodeId(2), BrokerEpoch(20)}};
    return proposal;
  }
  // Commits everything that was asked.
  static wire::AlterPartitionResponse Committed(const wire::AlterPartitionRequest& request) {
    wire::AlterPartitionResponse response;
    for (const wire::AlterPartitionTopic& topic : request.topics()) {
      wire::AlterPartitionTopicResult& result = *response.add_topics();
      result.set_topic_id(topic.topic_id());
      for (const wire::PartitionProposal& partition : topic.partitions()) {
        wire::PartitionProposalResult& one = *result.add_partitions();
        one.set_partition(partition.partition());
        wire::PartitionState& state = *one.mutable_state();
        state.set_leader(1);
        state.set_leader_epoch(partition.leader_epoch());
        state.set_partition_epoch(partition.partition_epoch() + 1);
        state.set_min_isr(2);
        for (const wire::IsrMember& member : partition.new_isr()) state.add_isr(member.broker_id());
      }
    }
    return response;
  }

  sim::SimLoop loop_{1};
  std::unique_ptr<sim::SimExecutor> home_ = loop_.MakeExecutor("home");
  HandChannel channel_;
  std::vector<IsrAnswer> answers_;
  IsrProposer proposer_{NodeId(1), home_.get(), &channel_,
                        [this](const IsrAnswer& answer) { answers_.push_back(answer); }};
};

TEST_F(IsrProposerTest, AllProposalsGoInOneRequestWithTheBrokersEpoch) {
  proposer_.OnRegistered(BrokerEpoch(10));
  proposer_.Propose({Proposal(1, 0), Proposal(2, 0), Proposal(1, 1)});
  ASSERT_THAT(channel_.requests, SizeIs(1));
  const wire::AlterPartitionRequest& request = channel_.requests[0];
  EXPECT_EQ(request.broker_id(), 1);
  EXPECT_EQ(request.broker_epoch(), 10);
  ASSERT_EQ(request.topics_size(), 2);
  ASSERT_EQ(request.topics(0).partitions_size(), 2);
  const wire::PartitionProposal& first = request.topics(0).partitions(0);
  EXPECT_EQ(first.leader_epoch(), 5);
  EXPECT_EQ(first.partition_epoch(), 3);
  ASSERT_EQ(first.new_isr_size(), 2);
  EXPECT_EQ(first.new_isr(1).broker_id(), 2);
  EXPECT_EQ(first.new_isr(1).broker_epoch(), 20);
  EXPECT_EQ(first.recovery_state(), wire::LEADER_RECOVERY_STATE_RECOVERED);
}

TEST_F(IsrProposerTest, NothingIsAskedBeforeRegistration) {
  proposer_.Propose({Proposal(1, 0)});
  EXPECT_THAT(channel_.requests, IsEmpty());
  proposer_.OnRegistered(BrokerEpoch(10));
  EXPECT_THAT(channel_.requests, SizeIs(1));
}

TEST_F(IsrProposerTest, WhatComesWhileARequestIsUnderWayGoesWithTheNext) {
  proposer_.OnRegistered(BrokerEpoch(10));
  proposer_.Propose({Proposal(1, 0)});
  proposer_.Propose({Proposal(1, 1)});
  proposer_.Propose({Proposal(1, 1, 4), Proposal(1, 2)});
  ASSERT_THAT(channel_.requests, SizeIs(1));
  std::move(channel_.answer)(Committed(channel_.requests[0]));
  ASSERT_THAT(channel_.requests, SizeIs(2));
  ASSERT_EQ(channel_.requests[1].topics(0).partitions_size(), 2);
  // The newest of a partition.
  EXPECT_EQ(channel_.requests[1].topics(0).partitions(0).partition_epoch(), 4);
}

TEST_F(IsrProposerTest, EachProposalHasItsAnswerWithTheStateOfNow) {
  proposer_.OnRegistered(BrokerEpoch(10));
  proposer_.Propose({Proposal(1, 0), Proposal(1, 1)});
  wire::AlterPartitionResponse response = Committed(channel_.requests[0]);
  wire::PartitionProposalResult& refused = *response.mutable_topics(0)->mutable_partitions(1);
  refused.set_code(millrace::v1::ERROR_CODE_FENCED_LEADER_EPOCH);
  refused.set_message("the leader epoch is 6");
  refused.mutable_state()->set_leader_epoch(6);
  std::move(channel_.answer)(std::move(response));
  ASSERT_THAT(answers_, SizeIs(2));
  EXPECT_TRUE(answers_[0].status.ok());
  ASSERT_TRUE(answers_[0].state.has_value());
  EXPECT_EQ(answers_[0].state->partition_epoch, PartitionEpoch(4));
  EXPECT_EQ(answers_[0].state->isr, (metadata::BrokerList{NodeId(1), NodeId(2)}));
  EXPECT_EQ(answers_[0].state->min_isr, 2);
  EXPECT_EQ(answers_[0].partition_epoch, PartitionEpoch(3));
  EXPECT_EQ(CodeOf(answers_[1].status), ErrorCode::kFencedLeaderEpoch);
  EXPECT_EQ(answers_[1].state->leader_epoch, LeaderEpoch(6));
}

TEST_F(IsrProposerTest, S15_ARequestWithoutAnAnswerLeavesEachProposalOpen) {
  proposer_.OnRegistered(BrokerEpoch(10));
  proposer_.Propose({Proposal(1, 0), Proposal(1, 1)});
  std::move(channel_.answer)(MakeError(ErrorCode::kRequestTimedOut, "no answer"));
  ASSERT_THAT(answers_, SizeIs(2));
  for (const IsrAnswer& answer : answers_) {
    EXPECT_EQ(CodeOf(answer.status), ErrorCode::kRequestTimedOut);
    EXPECT_FALSE(answer.state.has_value());
  }
  // Whether it is asked again is the replica's decision.
  EXPECT_THAT(channel_.requests, SizeIs(1));
}

TEST_F(IsrProposerTest, AProposalThatTheAnswerForgetsIsAnsweredToo) {
  proposer_.OnRegistered(BrokerEpoch(10));
  proposer_.Propose({Proposal(1, 0)});
  std::move(channel_.answer)(wire::AlterPartitionResponse());
  ASSERT_THAT(answers_, SizeIs(1));
  EXPECT_FALSE(answers_[0].status.ok());
  EXPECT_FALSE(answers_[0].state.has_value());
}

TEST_F(IsrProposerTest, WithoutAControllerEveryAnswerSaysSoAndComesLater) {
  std::vector<IsrAnswer> answers;
  IsrProposer proposer(NodeId(1), home_.get(), nullptr,
                       [&](const IsrAnswer& answer) { answers.push_back(answer); });
  proposer.OnRegistered(BrokerEpoch(10));
  proposer.Propose({Proposal(1, 0)});
  EXPECT_THAT(answers, IsEmpty());
  ASSERT_TRUE(loop_.RunUntilIdle());
  ASSERT_THAT(answers, SizeIs(1));
  EXPECT_EQ(CodeOf(answers[0].status), ErrorCode::kNotController);
}

}  // namespace
}  // namespace millrace::broker

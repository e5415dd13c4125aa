#include "broker/damaged_leaders.h"

#include <memory>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "base/sim/sim_clock.h"
#include "base/sim/sim_executor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "metadata/apply.h"
#include "metadata/image_records.h"
#include "metadata/record_types.h"

namespace millrace::broker {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr NodeId kSelf{1};
constexpr NodeId kOther{2};
constexpr NodeId kThird{3};

class DamagedLeadersTest : public ::testing::Test {
 protected:
  static TopicPartition Partition(int index) {
    return {TopicId(Uuid(9, 9)), PartitionIndex(index)};
  }
  static metadata::PartitionImage LedBy(NodeId leader, const metadata::BrokerList& isr) {
    metadata::PartitionImage partition;
    for (const NodeId broker : {kSelf, kOther, kThird}) {
      partition.replicas.push_back({broker, DirectoryId(Uuid(1, 1))});
    }
    partition.leader = leader;
    partition.leader_epoch = LeaderEpoch(5);
    partition.partition_epoch = PartitionEpoch(8);
    partition.isr = isr;
    return partition;
  }
  // The metadata with these partitions, from 0 on.
  void Publish(const std::vector<metadata::PartitionImage>& partitions) {
    std::vector<rsm::Record> records;
    for (const NodeId id : {kSelf, kOther, kThird}) {
      metadata::records::BrokerRegistrationRecord broker;
      broker.set_broker_id(id.value());
      broker.set_incarnation_id(IncarnationId(Uuid(7, 7)).ToBytes());
      records.push_back(metadata::Encode(broker));
    }
    metadata::records::TopicRecord topic;
    topic.set_topic_id(Partition(0).topic_id.ToBytes());
    topic.set_name("t");
    records.push_back(metadata::Encode(topic));
    for (size_t i = 0; i < partitions.size(); ++i) {
      records.push_back(metadata::Encode(
          metadata::PartitionRecordOf(Partition(static_cast<int>(i)), partitions[i])));
    }
    const auto image = std::make_shared<const metadata::Image>(
        metadata::Apply(metadata::Image(), LogIndex(++index_), records));
    OnHome([&] { leaders_.OnMetadata(image); });
  }
  void Opened(int partition, bool damaged) {
    OnHome([&] { leaders_.OnOpened(Partition(partition), damaged); });
  }
  void OnHome(absl::FunctionRef<void()> what) {
    home_->Post([what] { what(); });
    Run();
  }
  void Run(absl::Duration time = absl::ZeroDuration()) { loop_.RunFor(time); }
  std::vector<IsrProposal> Taken() { return std::exchange(proposals_, {}); }

  sim::SimLoop loop_{1};
  sim::SimClock clock_{loop_.time()};
  std::unique_ptr<sim::SimExecutor> home_ = loop_.MakeExecutor("home", &clock_);
  int64_t index_ = 0;
  std::vector<IsrProposal> proposals_;
  DamagedLeaders leaders_{{kSelf, home_.get(), &clock_, [this](const auto& proposals) {
                             proposals_.insert(proposals_.end(), proposals.begin(),
                                               proposals.end());
                           }}};
};

TEST_F(DamagedLeadersTest, S35WhatIsDamagedAtTheStartIsLedByOneOfTheOthersInSync) {
  Publish({LedBy(kSelf, {kSelf, kOther, kThird}), LedBy(kSelf, {kSelf, kOther})});
  EXPECT_THAT(Taken(), IsEmpty());
  Opened(0, true);
  Opened(1, false);
  const std::vector<IsrProposal> taken = Taken();
  ASSERT_THAT(taken, SizeIs(1));
  EXPECT_EQ(taken[0].topic_partition, Partition(0));
  EXPECT_EQ(taken[0].leader_epoch, LeaderEpoch(5));
  EXPECT_EQ(taken[0].partition_epoch, PartitionEpoch(8));
  EXPECT_THAT(taken[0].new_isr, testing::ElementsAre(IsrMember{kOther, BrokerEpoch(index_)},
                                                     IsrMember{kThird, BrokerEpoch(index_)}));
}

TEST_F(DamagedLeadersTest, ItIsProposedEverMoreRarelyUntilTheMetadataShowsAnother) {
  Opened(0, true);
  Publish({LedBy(kSelf, {kSelf, kOther})});
  ASSERT_THAT(Taken(), SizeIs(1));
  Run(DamagedLeaders::kRetryMin);
  EXPECT_THAT(Taken(), SizeIs(1));
  Run(DamagedLeaders::kRetryMin);
  EXPECT_THAT(Taken(), IsEmpty());
  Run(DamagedLeaders::kRetryMin);
  EXPECT_THAT(Taken(), SizeIs(1));
  Publish({LedBy(kOther, {kOther})});
  Run(absl::Minutes(1));
  EXPECT_THAT(Taken(), IsEmpty());
  // It may be elected again before it has begun anew.
  Publish({LedBy(kSelf, {kSelf, kOther})});
  EXPECT_THAT(Taken(), SizeIs(1));
  Opened(0, false);
  Run(absl::Minutes(1));
  EXPECT_THAT(Taken(), IsEmpty());
}

TEST_F(DamagedLeadersTest, OneThatIsAloneInSyncNamesNobodyIfSomebodyIsEligible) {
  Opened(0, true);
  metadata::PartitionImage partition = LedBy(kSelf, {kSelf});
  partition.elr = {kOther};
  Publish({partition});
  const std::vector<IsrProposal> taken = Taken();
  ASSERT_THAT(taken, SizeIs(1));
  EXPECT_THAT(taken[0].new_isr, IsEmpty());
}

TEST_F(DamagedLeadersTest, WhoIsAloneKeepsItsSeat) {
  Opened(0, true);
  Opened(1, true);
  metadata::PartitionImage recovering = LedBy(kSelf, {kSelf, kOther});
  recovering.recovery_state = metadata::RecoveryState::kRecovering;
  Publish({LedBy(kSelf, {kSelf}), recovering, LedBy(kOther, {kSelf, kOther})});
  Run(absl::Minutes(1));
  EXPECT_THAT(Taken(), IsEmpty());
}

}  // namespace
}  // namespace millrace::broker

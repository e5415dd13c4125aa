#include "broker/directory_assigner.h"

#include <utility>
#include <vector>

#include "base/sim/sim_clock.h"
#include "base/sim/sim_executor.h"
#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "metadata/apply.h"
#include "metadata/image_records.h"
#include "metadata/record_types.h"
#include "millrace/internal/v1/controller_service.pb.h"

namespace millrace::broker {
namespace {

namespace wire = millrace::internal::v1;
using ::testing::SizeIs;

constexpr NodeId kSelf{1};
const DirectoryId kOld(Uuid(2, 1));
const DirectoryId kNew(Uuid(2, 2));

class HandChannel : public ControllerChannel {
 public:
  void AlterPartition(wire::AlterPartitionRequest, Done<wire::AlterPartitionResponse>) override {}
  void ReportLastCopies(wire::ReportLastCopiesRequest,
                        Done<wire::ReportLastCopiesResponse>) override {}
  void AssignReplicasToDirs(wire::AssignReplicasToDirsRequest request,
                            Done<wire::AssignReplicasToDirsResponse> done) override {
    requests.push_back(std::move(request));
    answer = std::move(done);
  }
  void AllocateProducerIds(wire::AllocateProducerIdsRequest,
                           Done<wire::AllocateProducerIdsResponse>) override {}

  std::vector<wire::AssignReplicasToDirsRequest> requests;
  Done<wire::AssignReplicasToDirsResponse> answer;
};

class DirectoryAssignerTest : public ::testing::Test {
 protected:
  DirectoryAssignerTest() { assigner_.OnRegistered(BrokerEpoch(7)); }

  static TopicPartition Partition(int index) {
    return {TopicId(Uuid(9, 9)), PartitionIndex(index)};
  }
  // Partitions 0 to `count` - 1, of which broker 1 has a replica in `directory`.
  static metadata::Image ImageOf(int count, DirectoryId directory, NodeId holder = kSelf) {
    std::vector<rsm::Record> records;
    metadata::records::TopicRecord topic;
    topic.set_topic_id(Partition(0).topic_id.ToBytes());
    topic.set_name("t");
    records.push_back(metadata::Encode(topic));
    metadata::PartitionImage partition;
    partition.replicas = {{holder, directory}};
    partition.isr = {holder};
    partition.leader = holder;
    for (int i = 0; i < count; ++i) {
      records.push_back(metadata::Encode(metadata::PartitionRecordOf(Partition(i), partition)));
    }
    return metadata::Apply(metadata::Image(), LogIndex(1), records);
  }
  void Assign(int index, DirectoryAssigner* to = nullptr) {
    home_->RunNow([&] { (to == nullptr ? &assigner_ : to)->Assign(Partition(index), kNew); });
  }
  void Run(absl::Duration time = absl::ZeroDuration()) { loop_.RunFor(time); }
  void Answer(const absl::StatusOr<wire::AssignReplicasToDirsResponse>& response =
                  wire::AssignReplicasToDirsResponse()) {
    ASSERT_NE(channel_.answer, nullptr);
    home_->RunNow([&] { std::exchange(channel_.answer, nullptr)(response); });
  }

  sim::SimLoop loop_{1};
  sim::SimClock clock_{loop_.time()};
  std::unique_ptr<sim::SimExecutor> home_ = loop_.MakeExecutor("home", &clock_);
  HandChannel channel_;
  DirectoryAssigner assigner_{{kSelf, home_.get(), &clock_, &channel_}};
};

TEST_F(DirectoryAssignerTest, WhatAnImageBringsGoesWithOneQuestion) {
  Assign(0);
  Assign(1);
  Run();
  ASSERT_THAT(channel_.requests, SizeIs(1));
  const wire::AssignReplicasToDirsRequest& request = channel_.requests[0];
  EXPECT_EQ(request.broker_id(), 1);
  EXPECT_EQ(request.broker_epoch(), 7);
  ASSERT_EQ(request.replicas_size(), 2);
  EXPECT_EQ(request.replicas(1).topic_id(), Partition(1).topic_id.ToBytes());
  EXPECT_EQ(request.replicas(1).partition(), 1);
  EXPECT_EQ(request.replicas(1).directory_id(), kNew.ToBytes());
}

TEST_F(DirectoryAssignerTest, AsksUntilTheMetadataShowsIt) {
  Assign(0);
  Run();
  // Neither a loss of the question nor its answer is the end of it.
  Answer(MakeError(ErrorCode::kNotController, "gone"));
  Run(DirectoryAssigner::kRetryMin);
  ASSERT_THAT(channel_.requests, SizeIs(2));
  Answer();
  assigner_.OnMetadata(ImageOf(1, kOld));
  Run(2 * DirectoryAssigner::kRetryMin);
  ASSERT_THAT(channel_.requests, SizeIs(3));
  Answer();
  assigner_.OnMetadata(ImageOf(1, kNew));
  EXPECT_EQ(assigner_.pending(), 0u);
  Run(absl::Minutes(1));
  EXPECT_THAT(channel_.requests, SizeIs(3));
}

TEST_F(DirectoryAssignerTest, AReplicaThatIsNotHereAnyMoreIsForgotten) {
  Assign(0);
  Assign(1);
  assigner_.OnMetadata(ImageOf(1, kOld, NodeId(2)));
  Run();
  EXPECT_EQ(assigner_.pending(), 0u);
  EXPECT_THAT(channel_.requests, SizeIs(0));
}

TEST_F(DirectoryAssignerTest, ManyGoInSeveralQuestionsOneAtATime) {
  const int count = static_cast<int>(DirectoryAssigner::kReplicasMax) + 5;
  for (int i = 0; i < count; ++i) Assign(i);
  Run();
  ASSERT_THAT(channel_.requests, SizeIs(1));
  Answer();
  Run();
  ASSERT_THAT(channel_.requests, SizeIs(2));
  EXPECT_EQ(channel_.requests[1].replicas_size(), 5);
  EXPECT_EQ(channel_.requests[1].replicas(0).partition(), count - 5);
  Answer();
  assigner_.OnMetadata(ImageOf(3, kOld));
  EXPECT_EQ(assigner_.pending(), 3u);
  Run(DirectoryAssigner::kRetryMin);
  ASSERT_THAT(channel_.requests, SizeIs(3));
  EXPECT_EQ(channel_.requests[2].replicas_size(), 3);
}

TEST_F(DirectoryAssignerTest, WhatIsRefusedIsAskedEverMoreRarely) {
  Assign(0);
  for (int minute = 0; minute < 2; ++minute) {
    const size_t before = channel_.requests.size();
    for (int second = 0; second < 600; ++second) {
      Run(absl::Milliseconds(100));
      if (channel_.answer == nullptr) continue;
      wire::AssignReplicasToDirsResponse refused;
      refused.add_replicas()->set_code(millrace::v1::ERROR_CODE_INELIGIBLE_REPLICA);
      Answer(refused);
    }
    EXPECT_GE(channel_.requests.size() - before, 10u);
    EXPECT_LE(channel_.requests.size() - before, 20u);
  }
}

TEST_F(DirectoryAssignerTest, NothingIsAskedBeforeTheBrokerIsRegistered) {
  DirectoryAssigner early({kSelf, home_.get(), &clock_, &channel_});
  Assign(0, &early);
  Run(absl::Seconds(1));
  EXPECT_THAT(channel_.requests, SizeIs(0));
  home_->RunNow([&] { early.OnRegistered(BrokerEpoch(8)); });
  Run();
  EXPECT_THAT(channel_.requests, SizeIs(1));
}

}  // namespace
}  // namespace millrace::broker

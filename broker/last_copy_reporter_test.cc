#include "broker/last_copy_reporter.h"

#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
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
constexpr NodeId kOther{2};

class HandChannel : public ControllerChannel {
 public:
  void AlterPartition(wire::AlterPartitionRequest, Done<wire::AlterPartitionResponse>) override {}
  void AssignReplicasToDirs(wire::AssignReplicasToDirsRequest,
                            Done<wire::AssignReplicasToDirsResponse>) override {}
  void ReportLastCopies(wire::ReportLastCopiesRequest request,
                        Done<wire::ReportLastCopiesResponse> done) override {
    requests.push_back(std::move(request));
    answer = std::move(done);
  }
  void AllocateProducerIds(wire::AllocateProducerIdsRequest,
                           Done<wire::AllocateProducerIdsResponse>) override {}

  std::vector<wire::ReportLastCopiesRequest> requests;
  Done<wire::ReportLastCopiesResponse> answer;
};

class LastCopyReporterTest : public ::testing::Test {
 protected:
  LastCopyReporterTest() { reporter_.OnRegistered(BrokerEpoch(7)); }

  static TopicPartition Partition(int index) {
    return {TopicId(Uuid(9, 9)), PartitionIndex(index)};
  }
  static metadata::PartitionImage LostIn(int epoch) {
    metadata::PartitionImage partition;
    partition.replicas = {{kSelf, DirectoryId(Uuid(1, 1))}, {kOther, DirectoryId(Uuid(1, 2))}};
    partition.leader_epoch = LeaderEpoch(epoch);
    return partition;
  }
  static metadata::PartitionImage LedIn(int epoch) {
    metadata::PartitionImage partition = LostIn(epoch);
    partition.isr = {kOther};
    partition.leader = kOther;
    return partition;
  }
  // The metadata with these partitions, from 0 on.
  void Publish(const std::vector<metadata::PartitionImage>& partitions) {
    std::vector<rsm::Record> records;
    metadata::records::TopicRecord topic;
    topic.set_topic_id(Partition(0).topic_id.ToBytes());
    topic.set_name("t");
    records.push_back(metadata::Encode(topic));
    for (size_t i = 0; i < partitions.size(); ++i) {
      records.push_back(metadata::Encode(
          metadata::PartitionRecordOf(Partition(static_cast<int>(i)), partitions[i])));
    }
    auto image = std::make_shared<const metadata::Image>(
        metadata::Apply(metadata::Image(), LogIndex(++index_), records));
    auto delta = std::make_shared<const metadata::Delta>(metadata::DeltaBetween(*image_, *image));
    image_ = image;
    OnHome([&] { reporter_.OnMetadata({.image = image, .delta = delta}); });
  }
  void OnHome(absl::FunctionRef<void()> what) {
    if (home_->IsCurrent()) return what();
    home_->Post([what] { what(); });
    Run();
  }
  void Run(absl::Duration time = absl::ZeroDuration()) { loop_.RunFor(time); }
  void Answer() {
    ASSERT_NE(channel_.answer, nullptr);
    OnHome([&] { std::exchange(channel_.answer, nullptr)(wire::ReportLastCopiesResponse()); });
  }

  sim::SimLoop loop_{1};
  sim::SimClock clock_{loop_.time()};
  std::unique_ptr<sim::SimExecutor> home_ = loop_.MakeExecutor("home", &clock_);
  HandChannel channel_;
  int64_t index_ = 0;
  std::shared_ptr<const metadata::Image> image_ = std::make_shared<const metadata::Image>();
  LastCopyReporter::Ends ends_ = {{Partition(0), {LeaderEpoch(3), Offset(100)}},
                                  {Partition(1), {LeaderEpoch(4), Offset(50)}}};
  // Runs between the question and its answer.
  std::function<void()> meanwhile_ = [] {};
  LastCopyReporter reporter_{{kSelf, home_.get(), &clock_, &channel_, [this](auto done) {
                                home_->Post([this, done = std::move(done), ends = ends_]() mutable {
                                  // By a copy: it may replace itself.
                                  const std::function<void()> meanwhile = meanwhile_;
                                  meanwhile();
                                  std::move(done)(std::move(ends));
                                });
                              }}};
};

TEST_F(LastCopyReporterTest, S32_EndsOfPartitionsThatHaveNobodyAreTold) {
  Publish({LostIn(5), LedIn(6)});
  Run();
  ASSERT_THAT(channel_.requests, SizeIs(1));
  const wire::ReportLastCopiesRequest& request = channel_.requests[0];
  EXPECT_EQ(request.broker_id(), 1);
  EXPECT_EQ(request.broker_epoch(), 7);
  ASSERT_EQ(request.copies_size(), 1);
  EXPECT_EQ(request.copies(0).partition(), 0);
  EXPECT_EQ(request.copies(0).leader_epoch(), 5);
  EXPECT_EQ(request.copies(0).last_epoch(), 3);
  EXPECT_EQ(request.copies(0).end_offset(), 100);
}

TEST_F(LastCopyReporterTest, TheyAreToldAgainUntilTheMetadataShowsALeader) {
  Publish({LostIn(5)});
  Run();
  Answer();
  Run(LastCopyReporter::kRetryMin);
  EXPECT_THAT(channel_.requests, SizeIs(2));
  Answer();
  Publish({LedIn(6)});
  EXPECT_EQ(reporter_.lost(), 0u);
  Run(absl::Minutes(1));
  EXPECT_THAT(channel_.requests, SizeIs(2));
}

TEST_F(LastCopyReporterTest, AnEndFromBeforeALeaderIsNotToldAsOneFromAfterIt) {
  meanwhile_ = [this] {
    meanwhile_ = [] {};
    Publish({LedIn(6)});
    Publish({LostIn(7)});
    ends_[Partition(0)] = {LeaderEpoch(6), Offset(10)};
  };
  Publish({LostIn(5)});
  EXPECT_THAT(channel_.requests, SizeIs(0));
  Run(LastCopyReporter::kRetryMin);
  ASSERT_THAT(channel_.requests, SizeIs(1));
  EXPECT_EQ(channel_.requests[0].copies(0).leader_epoch(), 7);
  EXPECT_EQ(channel_.requests[0].copies(0).end_offset(), 10);
}

TEST_F(LastCopyReporterTest, AReplicaThatIsNotOpenYetIsToldWhenItIs) {
  ends_.clear();
  Publish({LostIn(5)});
  Run();
  EXPECT_THAT(channel_.requests, SizeIs(0));
  ends_[Partition(0)] = {LeaderEpoch(3), Offset(100)};
  Run(LastCopyReporter::kRetryMin);
  EXPECT_THAT(channel_.requests, SizeIs(1));
}

}  // namespace
}  // namespace millrace::broker

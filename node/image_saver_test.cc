#include "node/image_saver.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/sim/sim_clock.h"
#include "base/sim/sim_executor.h"
#include "base/sim/sim_random.h"
#include "base/status.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "metadata/test_image.h"
#include "metadata/testing/random_entry.h"
#include "storage/fake_kv_store.h"

namespace millrace::node {
namespace {

using metadata::Image;
using metadata::LogPosition;
using metadata::StoredImage;
using metadata::TopicGone;
using metadata::TopicMade;

class ImageSaverTest : public ::testing::Test {
 protected:
  void Commit(const std::vector<rsm::Record>& records) {
    auto next = std::make_shared<const Image>(metadata::Next(*image_, records));
    const metadata::Delta delta = DeltaOf(*image_, *next, records);
    image_ = next;
    images_[next->index()] = next;
    owner_->RunNow([&] { saver_->Save(next, delta, {next->index(), Term(1), 7}); });
  }

  // What a start would find.
  StoredImage Stored() {
    auto stored = metadata::ImageStore(&kv_).Load([](const LogPosition&) { return true; });
    EXPECT_OK(stored);
    return stored.ok() && stored->has_value() ? **stored : StoredImage();
  }

  sim::SimLoop loop_{1};
  sim::SimClock clock_{loop_.time()};
  std::unique_ptr<sim::SimExecutor> owner_ = loop_.MakeExecutor("owner");
  std::unique_ptr<sim::SimExecutor> disk_ = loop_.MakeExecutor("disk");
  storage::FakeKvStore kv_;
  std::unique_ptr<ImageSaver> saver_ = std::make_unique<ImageSaver>(
      std::make_shared<metadata::ImageStore>(&kv_), &clock_, owner_.get(), disk_.get());
  std::shared_ptr<const Image> image_ = std::make_shared<const Image>();
  // By index.
  std::map<LogIndex, std::shared_ptr<const Image>> images_;
};

TEST_F(ImageSaverTest, ChangesThatFollowEachOtherAreOneBatch) {
  Commit({metadata::Founded()});
  for (uint64_t n = 1; n <= 100; ++n) Commit({TopicMade(n, std::to_string(n))});
  EXPECT_EQ(kv_.writes(), 0);
  loop_.RunFor(ImageSaver::kDelay);
  EXPECT_EQ(kv_.writes(), 1);
  EXPECT_EQ(Stored().image, *image_);
}

TEST_F(ImageSaverTest, WhatIsCommittedDuringASaveIsOneMoreBatch) {
  disk_->Pause();
  Commit({metadata::Founded()});
  loop_.RunFor(ImageSaver::kDelay);
  for (uint64_t n = 1; n <= 100; ++n) {
    Commit({TopicMade(n, std::to_string(n)), metadata::PartitionMade(n, 0)});
  }
  disk_->Resume();
  ASSERT_TRUE(loop_.RunUntilIdle());
  EXPECT_EQ(kv_.writes(), 2);
  EXPECT_EQ(Stored().image, *image_);
  EXPECT_EQ(Stored().position, (LogPosition{image_->index(), Term(1), 7}));
}

TEST_F(ImageSaverTest, WhatCameAndWentDuringASaveLeavesNothing) {
  disk_->Pause();
  Commit({metadata::Founded(), TopicMade(1, "a"), metadata::PartitionMade(1, 0)});
  loop_.RunFor(ImageSaver::kDelay);
  Commit({TopicMade(2, "b"), metadata::PartitionMade(2, 0)});
  Commit({metadata::Configured(metadata::ConfigOwner::Topic(metadata::TestTopicId(2)), "k", "v")});
  Commit({TopicGone(2), TopicGone(1)});
  disk_->Resume();
  ASSERT_TRUE(loop_.RunUntilIdle());
  EXPECT_EQ(Stored().image, *image_);
  EXPECT_EQ(Stored().image.topic_count(), 0u);
}

TEST_F(ImageSaverTest, ABatchThatFailedGoesWithTheNextOne) {
  Commit({metadata::Founded()});
  ASSERT_TRUE(loop_.RunUntilIdle());
  kv_.FailWith(MakeError(ErrorCode::kStorageError, "no"));
  Commit({TopicMade(1, "a"), metadata::PartitionMade(1, 0)});
  ASSERT_TRUE(loop_.RunUntilIdle());
  kv_.FailWith(absl::OkStatus());
  EXPECT_EQ(Stored().position.index, LogIndex(1));
  Commit({TopicMade(2, "b"), metadata::PartitionMade(2, 0)});
  ASSERT_TRUE(loop_.RunUntilIdle());
  EXPECT_EQ(Stored().image, *image_);
}

TEST_F(ImageSaverTest, AfterItsEndNothingIsWaitedFor) {
  disk_->Pause();
  Commit({metadata::Founded()});
  loop_.RunFor(ImageSaver::kDelay);
  Commit({TopicMade(1, "a")});
  saver_.reset();
  disk_->Resume();
  ASSERT_TRUE(loop_.RunUntilIdle());
  EXPECT_EQ(Stored().image, *images_.at(LogIndex(1)));
}

// S-36: whenever the process ends, the store is the image at one index of the log.
TEST_F(ImageSaverTest, S36_TheStoreIsAlwaysTheImageAtItsPosition) {
  sim::SimRandom random(5);
  Commit({metadata::Founded()});
  for (int i = 0; i < 2000; ++i) {
    const bool fails = random.Below(20) == 0;
    kv_.FailWith(fails ? MakeError(ErrorCode::kStorageError, "no") : absl::OkStatus());
    if (random.Below(3) != 0) Commit(metadata::RandomEntry(*image_, &random));
    if (random.Below(2) == 0) loop_.RunOne();
    kv_.FailWith(absl::OkStatus());
    const StoredImage stored = Stored();
    if (stored.position.index == LogIndex()) continue;
    ASSERT_EQ(stored.image, *images_.at(stored.position.index));
  }
}

}  // namespace
}  // namespace millrace::node

#include "metadata/follower.h"

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "metadata/image_snapshot.h"
#include "metadata/test_image.h"
#include "rsm/entry_codec.h"

namespace millrace::metadata {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class FollowerTest : public ::testing::Test {
 protected:
  FollowerTest() {
    feed_.Subscribe(nullptr, [this](const Update& update) {
      published_.push_back(update.image->index().value());
      last_ = *update.delta;
    });
    published_.clear();
  }

  static Bytes Entry(const std::vector<rsm::Record>& records) { return *rsm::EncodeEntry(records); }
  // All of `image` in one chunk.
  absl::Status Whole(const Image& image) {
    return follower_.OnImageChunk(image.index(), EncodeImageSnapshot(image), /*last=*/true);
  }

  Feed feed_{std::make_shared<const Image>()};
  Follower follower_{&feed_};
  std::vector<int64_t> published_;
  Delta last_;
};

TEST_F(FollowerTest, ImageInChunksIsPublishedOnceWithTheLast) {
  const Image image = TestImage();
  const std::string bytes = EncodeImageSnapshot(image);
  for (size_t i = 0; i < bytes.size(); ++i) {
    EXPECT_THAT(published_, IsEmpty());
    ASSERT_TRUE(
        follower_.OnImageChunk(image.index(), bytes.substr(i, 1), i + 1 == bytes.size()).ok());
  }
  EXPECT_THAT(published_, ElementsAre(2));
  EXPECT_EQ(follower_.image(), image);
}

TEST_F(FollowerTest, EntriesMakeTheSameImageAsOnTheController) {
  const Image image = TestImage();
  ASSERT_TRUE(Whole(image).ok());
  const std::vector<rsm::Record> records = {TopicMade(2, "u"), PartitionMade(2, 0)};
  // Entries without records are not sent: the next index may be any above.
  ASSERT_TRUE(follower_.OnEntry(LogIndex(7), Entry(records)).ok());
  EXPECT_THAT(published_, ElementsAre(2, 7));
  EXPECT_EQ(follower_.image(), Apply(image, LogIndex(7), records));
  EXPECT_THAT(last_.topics_created, ElementsAre(TestTopicId(2)));
}

TEST_F(FollowerTest, LogFromItsBeginningNeedsNoImage) {
  ASSERT_TRUE(follower_.OnEntry(LogIndex(2), Entry({Founded()})).ok());
  EXPECT_EQ(follower_.image().cluster_id(), ClusterId(Uuid(7, 7)));
}

TEST_F(FollowerTest, S20_ImageBelowTheOneAppliedIsRefused) {
  const Image image = TestImage();
  const Image newer = Next(image, {TopicGone(1)});
  ASSERT_TRUE(Whole(newer).ok());
  EXPECT_EQ(CodeOf(Whole(image)), ErrorCode::kCorruptMessage);
  // One that only claims to be newer.
  EXPECT_EQ(CodeOf(follower_.OnImageChunk(LogIndex(99), EncodeImageSnapshot(image), true)),
            ErrorCode::kCorruptMessage);
  EXPECT_EQ(follower_.image(), newer);
}

TEST_F(FollowerTest, ImageThatIsAppliedAlreadyChangesNothing) {
  const Image image = TestImage();
  ASSERT_TRUE(Whole(image).ok());
  // The controller's log went on without records.
  ASSERT_TRUE(follower_.OnImageChunk(LogIndex(9), EncodeImageSnapshot(image), true).ok());
  EXPECT_THAT(published_, ElementsAre(2));
}

TEST_F(FollowerTest, S20_NewerImageRemovesNothing) {
  const Image image = TestImage();
  ASSERT_TRUE(Whole(image).ok());
  ASSERT_TRUE(Whole(Next(image, {TopicGone(1)})).ok());
  EXPECT_THAT(last_.topics_removed, IsEmpty());
  EXPECT_EQ(last_.topics_absent.size(), 1u);
}

TEST_F(FollowerTest, EntryThatDoesNotFollowIsRefused) {
  ASSERT_TRUE(Whole(TestImage()).ok());
  for (const int64_t index : {0, 1, 2}) {
    EXPECT_EQ(CodeOf(follower_.OnEntry(LogIndex(index), Entry({TopicGone(1)}))),
              ErrorCode::kCorruptMessage);
  }
  EXPECT_THAT(published_, ElementsAre(2));
}

TEST_F(FollowerTest, ChunksOfTwoImagesAreNotMixed) {
  const std::string bytes = EncodeImageSnapshot(TestImage());
  ASSERT_TRUE(follower_.OnImageChunk(LogIndex(2), bytes.substr(0, 9), false).ok());
  EXPECT_EQ(CodeOf(follower_.OnImageChunk(LogIndex(3), bytes.substr(9), true)),
            ErrorCode::kCorruptMessage);
  EXPECT_EQ(CodeOf(follower_.OnEntry(LogIndex(3), Entry({Founded()}))), ErrorCode::kCorruptMessage);
}

TEST_F(FollowerTest, NewStreamForgetsTheChunksOfTheOneBefore) {
  const Image image = TestImage();
  const std::string bytes = EncodeImageSnapshot(image);
  ASSERT_TRUE(follower_.OnImageChunk(LogIndex(2), bytes.substr(0, 9), false).ok());
  follower_.BeginStream();
  ASSERT_TRUE(Whole(image).ok());
  EXPECT_EQ(follower_.image(), image);
}

TEST_F(FollowerTest, ImageBeyondTheBoundIsRefusedBeforeItIsKept) {
  Follower small(&feed_, 10);
  ASSERT_TRUE(small.OnImageChunk(LogIndex(2), "0123456789", false).ok());
  EXPECT_EQ(CodeOf(small.OnImageChunk(LogIndex(2), "0", false)), ErrorCode::kCorruptMessage);
}

TEST_F(FollowerTest, DamagedBytesAreRefusedAndChangeNothing) {
  ASSERT_TRUE(Whole(TestImage()).ok());
  std::string bytes = EncodeImageSnapshot(Next(TestImage(), {TopicGone(1)}));
  bytes.resize(bytes.size() - 1);
  EXPECT_FALSE(follower_.OnImageChunk(LogIndex(3), bytes, true).ok());
  EXPECT_FALSE(follower_.OnEntry(LogIndex(3), Bytes::FromString("\x01\x05")).ok());
  EXPECT_THAT(published_, ElementsAre(2));
}

TEST_F(FollowerTest, AnotherClustersImageIsRefused) {
  ASSERT_TRUE(Whole(TestImage()).ok());
  records::ClusterFoundedRecord founded;
  founded.set_cluster_id(Uuid(8, 8).ToBytes());
  founded.set_feature_level(1);
  Image other = Apply(Image(), LogIndex(9), {{Encode(founded)}});
  EXPECT_EQ(CodeOf(Whole(other)), ErrorCode::kInconsistentClusterId);
}

TEST_F(FollowerTest, RecordOfAnUnknownFeatureLevelIsAnErrorThatSaysSo) {
  rsm::Record record = TopicMade(2, "u");
  record.type = rsm::RecordType(999);
  const absl::Status status = follower_.OnEntry(LogIndex(3), Entry({record}));
  EXPECT_EQ(CodeOf(status), ErrorCode::kUnsupportedVersion);
  EXPECT_THAT(std::string(status.message()), HasSubstr("entry at 3"));
  EXPECT_THAT(published_, IsEmpty());
}

}  // namespace
}  // namespace millrace::metadata

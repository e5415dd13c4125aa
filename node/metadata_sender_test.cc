#include "node/metadata_sender.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::node {
namespace {

using internal::v1::BrokerSessionResponse;
using ::testing::ElementsAre;

class MetadataSenderTest : public ::testing::Test {
 protected:
  void Append(int64_t index, size_t bytes = 10) {
    entries_.Append(LogIndex(index),
                    {rsm::Record{.payload = Bytes::FromString(std::string(bytes, 'x'))}});
  }
  std::optional<BrokerSessionResponse> Next(MetadataSender* sender) {
    return sender->Next(entries_, [this] {
      ++images_asked_;
      return image_;
    });
  }
  // The indexes of the entries in the next message.
  std::vector<int64_t> NextEntries(MetadataSender* sender) {
    const std::optional<BrokerSessionResponse> next = Next(sender);
    std::vector<int64_t> indexes;
    if (!next.has_value()) return indexes;
    EXPECT_TRUE(next->has_entries());
    for (const auto& entry : next->entries().entries()) indexes.push_back(entry.index());
    return indexes;
  }
  void SetImage(int64_t index, size_t bytes) {
    image_ = std::make_shared<const MetadataSender::EncodedImage>(
        MetadataSender::EncodedImage{LogIndex(index), std::string(bytes, 'i')});
  }

  metadata::RecentEntries entries_{8 << 20};
  std::shared_ptr<const MetadataSender::EncodedImage> image_;
  int images_asked_ = 0;
};

TEST_F(MetadataSenderTest, WhoeverIsNotTooFarBehindIsSentWhatItLacksAndNothingTwice) {
  for (int64_t index = 1; index <= 5; ++index) Append(index);
  MetadataSender sender(LogIndex(3));
  EXPECT_THAT(NextEntries(&sender), ElementsAre(4, 5));
  EXPECT_FALSE(Next(&sender).has_value());
  Append(6);
  EXPECT_THAT(NextEntries(&sender), ElementsAre(6));
  EXPECT_EQ(sender.sent(), LogIndex(6));
  EXPECT_EQ(images_asked_, 0);
}

TEST_F(MetadataSenderTest, WhoeverIsTooFarBehindIsSentTheImageInChunksAndThenWhatCameAfter) {
  entries_.StartAfter(LogIndex(10));
  Append(11);
  SetImage(10, 2 * MetadataSender::kMessageBytesMax + 1);
  MetadataSender sender{LogIndex(2)};
  std::string whole;
  for (int chunk = 1; chunk <= 3; ++chunk) {
    const auto next = Next(&sender);
    ASSERT_TRUE(next.has_value() && next->has_image());
    EXPECT_EQ(next->image().index(), 10);
    EXPECT_EQ(next->image().last(), chunk == 3);
    whole += next->image().data();
    // A newer one does not mix with the one under way.
    SetImage(11, 5);
  }
  EXPECT_EQ(whole, std::string(2 * MetadataSender::kMessageBytesMax + 1, 'i'));
  EXPECT_EQ(images_asked_, 1);
  EXPECT_THAT(NextEntries(&sender), ElementsAre(11));
}

TEST_F(MetadataSenderTest, WhoeverFallsBehindWhileItReadsIsSentTheImageAnew) {
  Append(1, 5 << 20);
  MetadataSender sender{LogIndex(0)};
  EXPECT_THAT(NextEntries(&sender), ElementsAre(1));
  Append(2, 5 << 20);
  Append(3, 5 << 20);
  SetImage(3, 4);
  const auto next = Next(&sender);
  ASSERT_TRUE(next.has_value() && next->has_image());
  EXPECT_TRUE(next->image().last());
  EXPECT_FALSE(Next(&sender).has_value());
}

TEST_F(MetadataSenderTest, OneMessageHoldsABoundedPartOfALongLog) {
  for (int64_t index = 1; index <= 4; ++index) Append(index, 500 << 10);
  MetadataSender sender{LogIndex(0)};
  EXPECT_THAT(NextEntries(&sender), ElementsAre(1, 2));
  EXPECT_THAT(NextEntries(&sender), ElementsAre(3, 4));
}

}  // namespace
}  // namespace millrace::node

#include "metadata/image_store.h"

#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "base/sim/sim_random.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "metadata/test_image.h"
#include "metadata/testing/golden_image_store.h"
#include "metadata/testing/random_entry.h"
#include "storage/fake_kv_store.h"

namespace millrace::metadata {
namespace {

const LogPosition kPosition{LogIndex(2), Term(3), 0xabcdef};

bool Anything(const LogPosition&) { return true; }

class ImageStoreTest : public ::testing::Test {
 protected:
  ImageStoreTest() : image_(TestImage()) {
    EXPECT_OK(ImageStore(&kv_).SaveWhole(image_, kPosition));
  }
  std::optional<StoredImage> Load(const ImageStore::HistoryCheck& check = Anything) {
    auto loaded = ImageStore(&kv_).Load(check);
    EXPECT_OK(loaded);
    return loaded.ok() ? *loaded : std::nullopt;
  }
  void Save(const std::vector<rsm::Record>& records) {
    const Image after = Next(image_, records);
    EXPECT_OK(
        ImageStore(&kv_).Save(after, DeltaOf(image_, after, records), {after.index(), Term(3), 1}));
    image_ = after;
  }

  storage::FakeKvStore kv_;
  Image image_;
};

TEST_F(ImageStoreTest, WholeImageComesBack) {
  const auto loaded = Load();
  ASSERT_TRUE(loaded.has_value());
  EXPECT_EQ(loaded->image, image_);
  EXPECT_EQ(loaded->position, kPosition);
}

TEST_F(ImageStoreTest, KeysAndValuesAreThoseOfEarlierVersions) {
  // A line per key: key and value in hex.
  std::ostringstream lines;
  for (const auto& [key, value] : kv_.content()) {
    lines << absl::BytesToHexString(key) << " " << absl::BytesToHexString(value) << "\n";
  }
  EXPECT_EQ("\n" + lines.str(), kGolden);
}

TEST_F(ImageStoreTest, S39_RememberedRequestsAreThoseOfEarlierVersions) {
  ASSERT_OK(ImageStore(&kv_).SaveWhole(TestImageOfLevel2(), kPosition));
  std::ostringstream lines;
  for (const auto& [key, value] : kv_.content()) {
    if (key[0] != 'r' && key[0] != 'u') continue;
    lines << absl::BytesToHexString(key) << " " << absl::BytesToHexString(value) << "\n";
  }
  EXPECT_EQ("\n" + lines.str(), kGoldenOfLevel2);
  EXPECT_EQ(Load()->image, TestImageOfLevel2());
}

TEST_F(ImageStoreTest, EachEntryIsOneBatch) {
  Save({TopicMade(2, "u"), PartitionMade(2, 0), Registered(2, 1), ProducerIdsUpTo(10),
        Configured(ConfigOwner::AllBrokers(), "a", "1")});
  const Image second = image_;
  Save({TopicGone(1), BrokerBecame(2, 3, records::BROKER_STATE_ACTIVE),
        Unconfigured(ConfigOwner::AllBrokers(), "a")});
  EXPECT_EQ(Load()->image, image_);
  kv_.LoseLatest(1);
  EXPECT_EQ(Load()->image, second);
}

TEST_F(ImageStoreTest, ConfigsOfOneOwnerAreNotThoseOfAnother) {
  // One owner's name is the beginning of the other's.
  Save({Configured(ConfigOwner::Broker(NodeId(1)), "a", "1"),
        Configured(ConfigOwner::Broker(NodeId(11)), "a", "2")});
  Save({Unconfigured(ConfigOwner::Broker(NodeId(1)), "a")});
  EXPECT_EQ(Load()->image, image_);
}

TEST_F(ImageStoreTest, S36_ImageThatIsNotOnTheLogsHistoryIsThrownAway) {
  LogPosition asked;
  EXPECT_FALSE(Load([&](const LogPosition& position) {
                 asked = position;
                 return false;
               }).has_value());
  EXPECT_EQ(asked, kPosition);
  EXPECT_TRUE(kv_.content().empty());
}

TEST_F(ImageStoreTest, EmptyStoreIsNothing) {
  ASSERT_OK(kv_.Clear());
  EXPECT_FALSE(Load().has_value());
}

TEST_F(ImageStoreTest, DamageCostsOnlyTime) {
  for (const auto& [key, value] : std::map<std::string, std::string>(kv_.content())) {
    ASSERT_OK(ImageStore(&kv_).SaveWhole(image_, kPosition));
    (*kv_.mutable_content())[key] = "\xff\xff\xff";
    EXPECT_FALSE(Load().has_value());
    EXPECT_TRUE(kv_.content().empty());
  }
}

TEST_F(ImageStoreTest, MissingTopicBrokerClientOrRequestIsNoticed) {
  image_ = TestImageOfLevel2();
  for (const char prefix : {'t', 'b', 'u', 'r'}) {
    ASSERT_OK(ImageStore(&kv_).SaveWhole(image_, kPosition));
    auto& content = *kv_.mutable_content();
    content.erase(content.lower_bound(std::string(1, prefix)));
    EXPECT_FALSE(Load().has_value());
  }
}

TEST_F(ImageStoreTest, LoadIsReplayAfterEveryEntryAndAfterEveryCrash) {
  sim::SimRandom random(1);
  std::vector<Image> images;
  for (int i = 0; i < 500; ++i) {
    images.push_back(image_);
    Save(RandomEntry(image_, &random));
    const auto loaded = Load();
    ASSERT_TRUE(loaded.has_value());
    ASSERT_EQ(loaded->image, image_);
  }
  for (int lost = 1; lost <= 10; ++lost) {
    kv_.LoseLatest(1);
    EXPECT_EQ(Load()->image, images[images.size() - static_cast<size_t>(lost)]);
  }
}

TEST_F(ImageStoreTest, FailedStoreIsAnError) {
  kv_.FailWith(MakeError(ErrorCode::kStorageError, "gone"));
  EXPECT_THAT(ImageStore(&kv_).Load(Anything), HasCode(ErrorCode::kStorageError));
  EXPECT_THAT(ImageStore(&kv_).SaveWhole(image_, kPosition), HasCode(ErrorCode::kStorageError));
}

}  // namespace
}  // namespace millrace::metadata

#include "metadata/image_snapshot.h"

#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/coding.h"
#include "base/sim/sim_random.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "metadata/test_image.h"
#include "metadata/testing/golden_image_snapshot.h"
#include "metadata/testing/random_entry.h"

namespace millrace::metadata {
namespace {

// A part at a time: kind and value.
std::vector<std::pair<char, std::string>> Parts(Slice bytes) {
  std::vector<std::pair<char, std::string>> parts;
  Reader reader(bytes.substr(1));
  while (!reader.empty()) {
    Slice kind;
    Slice value;
    uint64_t size = 0;
    EXPECT_TRUE(reader.ReadBytes(1, &kind) && reader.ReadVarint64(&size) &&
                reader.ReadBytes(size, &value));
    parts.emplace_back(kind[0], std::string(value));
  }
  return parts;
}
std::string Whole(const std::vector<std::pair<char, std::string>>& parts) {
  std::string bytes(1, 1);
  for (const auto& [kind, value] : parts) {
    bytes += kind;
    AppendVarint(value.size(), &bytes);
    bytes += value;
  }
  return bytes;
}

TEST(ImageSnapshotTest, EmptyImageComesBack) {
  ASSERT_OK_AND_ASSIGN(const Image image, DecodeImageSnapshot(EncodeImageSnapshot(Image())));
  EXPECT_EQ(image, Image());
}

TEST(ImageSnapshotTest, RandomImagesComeBack) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    sim::SimRandom random(seed);
    Image image = TestImage();
    for (int i = 0; i < 100; ++i) {
      image = Next(image, RandomEntry(image, &random));
      const std::string bytes = EncodeImageSnapshot(image);
      const absl::StatusOr<Image> decoded = DecodeImageSnapshot(bytes);
      ASSERT_OK(decoded) << seed << " entry " << i;
      ASSERT_EQ(*decoded, image) << seed << " entry " << i;
      ASSERT_EQ(EncodeImageSnapshot(*decoded), bytes);
      // What a decoded image becomes is what the original becomes.
      const std::vector<rsm::Record> more = RandomEntry(image, &random);
      ASSERT_EQ(Next(*decoded, more), Next(image, more));
    }
  }
}

TEST(ImageSnapshotTest, EqualImagesGiveEqualBytesWhateverTheirHistory) {
  const std::vector<rsm::Record> records = {Founded(),
                                            Registered(1, 1),
                                            Registered(2, 2),
                                            TopicMade(1, "a"),
                                            PartitionMade(1, 0),
                                            PartitionMade(1, 1),
                                            TopicMade(2, "b"),
                                            PartitionMade(2, 0),
                                            Configured(ConfigOwner::AllBrokers(), "x", "1"),
                                            Configured(ConfigOwner::AllBrokers(), "y", "2")};
  const Image image = Apply(Image(), LogIndex(9), records);
  // The other order, with things that come and go.
  const Image other =
      Apply(Image(), LogIndex(9),
            {Founded(), TopicMade(2, "b"), PartitionMade(2, 0), TopicMade(3, "c"),
             PartitionMade(3, 0), Configured(ConfigOwner::AllBrokers(), "z", "3"),
             Configured(ConfigOwner::AllBrokers(), "y", "2"),
             Configured(ConfigOwner::AllBrokers(), "x", "1"), TopicMade(1, "a"),
             PartitionMade(1, 0), PartitionMade(1, 1), Registered(2, 2), Registered(1, 1),
             TopicGone(3), Unconfigured(ConfigOwner::AllBrokers(), "z")});
  ASSERT_EQ(other, image);
  EXPECT_EQ(EncodeImageSnapshot(other), EncodeImageSnapshot(image));
}

TEST(ImageSnapshotTest, BytesAreThoseOfEarlierVersions) {
  EXPECT_EQ(absl::BytesToHexString(EncodeImageSnapshot(TestImage())), kGoldenImageSnapshot);
  ASSERT_OK_AND_ASSIGN(const Image image,
                       DecodeImageSnapshot(absl::HexStringToBytes(kGoldenImageSnapshot)));
  EXPECT_EQ(image, TestImage());
  EXPECT_EQ(absl::BytesToHexString(EncodeImageSnapshot(TestImageOfLevel2())),
            kGoldenImageSnapshotOfLevel2);
  ASSERT_OK_AND_ASSIGN(const Image second,
                       DecodeImageSnapshot(absl::HexStringToBytes(kGoldenImageSnapshotOfLevel2)));
  EXPECT_EQ(second, TestImageOfLevel2());
}

TEST(ImageSnapshotTest, ImagesOfLevels3And4ComeBack) {
  for (const Image& image : {TestImageOfLevel3(), TestImageOfLevel4()}) {
    ASSERT_OK_AND_ASSIGN(const Image decoded, DecodeImageSnapshot(EncodeImageSnapshot(image)));
    EXPECT_EQ(decoded, image);
  }
}

TEST(ImageSnapshotTest, NewerFormatOrFeatureLevelIsUnsupported) {
  std::string bytes = EncodeImageSnapshot(TestImage());
  bytes[0] = 2;
  EXPECT_THAT(DecodeImageSnapshot(bytes), IsError(ErrorCode::kUnsupportedVersion, "format 2"));
  // A head of two fields: the cluster's id and the level.
  const std::string head =
      absl::StrCat("\x12\x10", std::string(16, 'i'), "\x18", std::string(1, kFeatureLevelMax + 1));
  EXPECT_THAT(DecodeImageSnapshot(Whole({{'h', head}})),
              IsError(ErrorCode::kUnsupportedVersion,
                      absl::StrCat("feature level ", kFeatureLevelMax + 1)));
}

TEST(ImageSnapshotTest, EveryPartMissingTwiceOrOutOfPlaceIsDamage) {
  const std::string bytes = EncodeImageSnapshot(TestImageOfLevel2());
  const auto parts = Parts(bytes);
  // Head, broker, topic, two partitions, config, client, its request, client, its request.
  ASSERT_EQ(parts.size(), 10u);
  ASSERT_EQ(Whole(parts), bytes);
  for (size_t i = 0; i < parts.size(); ++i) {
    auto missing = parts;
    missing.erase(missing.begin() + static_cast<int>(i));
    EXPECT_THAT(DecodeImageSnapshot(Whole(missing)), HasCode(ErrorCode::kCorruptLog)) << i;
    auto twice = parts;
    twice.insert(twice.begin() + static_cast<int>(i), parts[i]);
    EXPECT_THAT(DecodeImageSnapshot(Whole(twice)), HasCode(ErrorCode::kCorruptLog)) << i;
    auto unknown = parts;
    unknown[i].first = 'x';
    EXPECT_THAT(DecodeImageSnapshot(Whole(unknown)), HasCode(ErrorCode::kCorruptLog)) << i;
    auto torn = parts;
    torn[i].second = "\xff\xff\xff";
    EXPECT_THAT(DecodeImageSnapshot(Whole(torn)), HasCode(ErrorCode::kCorruptLog)) << i;
  }
  auto exchanged = parts;
  std::swap(exchanged[3], exchanged[4]);
  EXPECT_THAT(DecodeImageSnapshot(Whole(exchanged)),
              IsError(ErrorCode::kCorruptLog, "is out of its place"));
  exchanged = parts;
  std::swap(exchanged[7], exchanged[9]);
  EXPECT_THAT(DecodeImageSnapshot(Whole(exchanged)),
              IsError(ErrorCode::kCorruptLog, "is out of its place"));
}

TEST(ImageSnapshotTest, EveryEndTooEarlyIsDamage) {
  const std::string bytes = EncodeImageSnapshot(TestImageOfLevel2());
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_THAT(DecodeImageSnapshot(Slice(bytes).substr(0, size)), HasCode(ErrorCode::kCorruptLog))
        << size;
  }
}

TEST(ImageSnapshotTest, FlippedBitsNeverCrash) {
  const std::string bytes = EncodeImageSnapshot(TestImageOfLevel2());
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string damaged = bytes;
    damaged[bit / 8] ^= static_cast<char>(1 << (bit % 8));
    const absl::StatusOr<Image> image = DecodeImageSnapshot(damaged);
    if (image.ok()) {
      EXPECT_OK(DecodeImageSnapshot(EncodeImageSnapshot(*image)));
    } else {
      EXPECT_THAT(image, ::testing::AnyOf(HasCode(ErrorCode::kCorruptLog),
                                          HasCode(ErrorCode::kUnsupportedVersion)));
    }
  }
}

}  // namespace
}  // namespace millrace::metadata

#include "base/strong_id.h"

#include <sstream>
#include <type_traits>

#include "absl/container/flat_hash_map.h"
#include "base/ids.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

static_assert(!std::is_convertible_v<int64_t, Offset>, "a plain number is not an offset");
static_assert(!std::is_convertible_v<Offset, int64_t>, "an offset is not a plain number");
static_assert(!std::is_constructible_v<LeaderEpoch, PartitionEpoch>, "two kinds of epoch");
static_assert(sizeof(Offset) == 8 && sizeof(ProducerEpoch) == 2);

TEST(StrongIdTest, DefaultIsZero) { EXPECT_EQ(Offset().value(), 0); }

TEST(StrongIdTest, ComparesByValue) {
  EXPECT_LT(Offset(1), Offset(2));
  EXPECT_EQ(Offset(3), Offset(3));
  EXPECT_NE(Offset(3), kNoOffset);
}

TEST(StrongIdTest, AdvancesAndMeasuresDistance) {
  Offset offset(5);
  EXPECT_EQ(++offset, Offset(6));
  EXPECT_EQ(offset + 4, Offset(10));
  EXPECT_EQ(offset - 6, Offset(0));
  EXPECT_EQ(Offset(10) - Offset(4), 6);
}

TEST(StrongIdTest, NarrowIdsPrintAsNumbers) {
  std::ostringstream out;
  out << ProducerEpoch(7) << " " << StrongId<struct ByteTag, int8_t>(65) << " " << kNoNode;
  EXPECT_EQ(out.str(), "7 65 -1");
}

TEST(StrongIdTest, IsAHashKey) {
  absl::flat_hash_map<Offset, int> map;
  map[Offset(1)] = 1;
  map[Offset(1)] = 2;
  map[Offset(2)] = 3;
  EXPECT_EQ(map.size(), 2u);
}

TEST(IdsTest, TopicPartitionsOrderByTopicThenPartition) {
  const TopicId a(Uuid(1, 1));
  const TopicId b(Uuid(1, 2));
  EXPECT_LT((TopicPartition{a, PartitionIndex(9)}), (TopicPartition{b, PartitionIndex(0)}));
  EXPECT_LT((TopicPartition{a, PartitionIndex(0)}), (TopicPartition{a, PartitionIndex(1)}));
  std::ostringstream out;
  out << TopicPartition{a, PartitionIndex(3)} << " " << EntryId{Term(2), LogIndex(8)};
  EXPECT_EQ(out.str(), a.ToString() + "-3 2:8");
}

}  // namespace
}  // namespace millrace

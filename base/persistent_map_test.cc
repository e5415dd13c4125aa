#include "base/persistent_map.h"

#include <malloc.h>

#include <map>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/ids.h"
#include "base/sim/sim_random.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

using sim::OneIn;
using sim::SimRandom;
using IntMap = PersistentMap<int, int>;
using Model = std::map<int, int>;

Model ToModel(const IntMap& map) {
  Model model;
  int last = -1;
  map.ForEach([&](int key, int value) {
    EXPECT_GT(key, last) << "not in order";
    last = key;
    model[key] = value;
  });
  return model;
}

TEST(PersistentMapTest, EmptyMapHasNothing) {
  IntMap map;
  EXPECT_TRUE(map.empty());
  EXPECT_EQ(map.Find(1), nullptr);
  EXPECT_FALSE(map.Erase(1));
  EXPECT_TRUE(map.begin() == map.end());
  EXPECT_TRUE(map.LowerBound(0) == map.end());
}

TEST(PersistentMapTest, BehavesLikeAMapAndOldVersionsStayAsTheyWere) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    SimRandom random(seed);
    const int range = 1 << (3 + seed % 12);
    // Grows in some phases, shrinks in others.
    IntMap map;
    Model model;
    std::vector<std::pair<IntMap, Model>> versions;
    for (int i = 0; i < 5000; ++i) {
      const int key = static_cast<int>(random.Below(range));
      const bool grows = (i / 1000) % 2 == 0;
      if (random.Below(10) < (grows ? 8u : 2u)) {
        map.Set(key, i);
        model[key] = i;
      } else {
        ASSERT_EQ(map.Erase(key), model.erase(key) == 1);
      }
      ASSERT_EQ(map.size(), model.size());
      const int probe = static_cast<int>(random.Below(range));
      const auto expected = model.find(probe);
      const int* const found = map.Find(probe);
      ASSERT_EQ(found != nullptr, expected != model.end());
      if (found != nullptr) {
        ASSERT_EQ(*found, expected->second);
      }
      if (OneIn(random, 200)) versions.emplace_back(map, model);
    }
    for (const auto& [version, expected] : versions) ASSERT_EQ(ToModel(version), expected);
    while (!model.empty()) {
      const int key = std::next(model.begin(), random.Below(model.size()))->first;
      ASSERT_TRUE(map.Erase(key));
      model.erase(key);
      if (OneIn(random, 100)) {
        ASSERT_EQ(ToModel(map), model);
      }
    }
    EXPECT_TRUE(map.empty());
    EXPECT_TRUE(map.begin() == map.end());
  }
}

TEST(PersistentMapTest, AscendingAndDescendingKeys) {
  IntMap up;
  IntMap down;
  for (int i = 0; i < 5000; ++i) {
    up.Set(i, i);
    down.Set(4999 - i, 4999 - i);
  }
  EXPECT_TRUE(up == down) << "content decides, not history";
  for (int i = 0; i < 5000; ++i) {
    ASSERT_TRUE(up.Erase(i));
    ASSERT_TRUE(down.Erase(4999 - i));
  }
  EXPECT_TRUE(up.empty() && down.empty());
}

TEST(PersistentMapTest, LowerBoundFindsTheNextKey) {
  IntMap map;
  for (int i = 0; i < 1000; ++i) map.Set(i * 3, i);
  for (int key = -2; key <= 2997; ++key) {
    const auto it = map.LowerBound(key);
    ASSERT_TRUE(it != map.end());
    ASSERT_EQ(it->first, key <= 0 ? 0 : (key + 2) / 3 * 3);
  }
  EXPECT_TRUE(map.LowerBound(2998) == map.end());
  int count = 0;
  for (auto it = map.LowerBound(1500); it != map.end(); ++it) ++count;
  EXPECT_EQ(count, 500);
}

TEST(PersistentMapTest, DifferencesAreThoseBetweenTheContents) {
  SimRandom random(4);
  for (int run = 0; run < 50; ++run) {
    IntMap before;
    for (int i = 0; i < 2000; ++i) before.Set(static_cast<int>(random.Below(5000)), i);
    IntMap after = before;
    Model expected;  // Key to what changed: 1 added, 2 changed, 3 removed.
    for (int i = 0; i < 20; ++i) {
      const int key = static_cast<int>(random.Below(5000));
      if (OneIn(random, 2)) {
        after.Set(key, -1);
      } else {
        after.Erase(key);
      }
    }
    const Model a = ToModel(before);
    const Model b = ToModel(after);
    for (const auto& [key, value] : b) {
      if (a.count(key) == 0) {
        expected[key] = 1;
      } else if (a.at(key) != value) {
        expected[key] = 2;
      }
    }
    for (const auto& [key, value] : a) {
      if (b.count(key) == 0) expected[key] = 3;
    }
    Model seen;
    IntMap::ForEachDifference(before, after, [&](int key, const int* old, const int* now) {
      seen[key] = old == nullptr ? 1 : now == nullptr ? 3 : 2;
    });
    EXPECT_EQ(seen, expected);
    EXPECT_EQ(before == after, expected.empty());
  }
}

TEST(PersistentMapTest, ComparesOnlyWhatIsNotShared) {
  struct Counted {
    int value;
    int* comparisons;
    bool operator==(const Counted& other) const {
      ++*comparisons;
      return value == other.value;
    }
  };
  int comparisons = 0;
  PersistentMap<int, Counted> before;
  for (int i = 0; i < 10'000; ++i) before.Set(i, {i, &comparisons});
  PersistentMap<int, Counted> after = before;
  after.Set(5000, {-1, &comparisons});
  EXPECT_FALSE(before == after);
  EXPECT_LE(comparisons, 1);
}

TEST(PersistentMapTest, TextIsFoundByViewAndStrongIdsAreKeys) {
  PersistentMap<std::string, int> names;
  names.Set("orders", 1);
  EXPECT_EQ(*names.Find(absl::string_view("orders")), 1);
  EXPECT_EQ(names.Find("order"), nullptr);
  PersistentMap<PartitionIndex, std::string> partitions;
  partitions.Set(PartitionIndex(1), "one");
  EXPECT_TRUE(partitions.Contains(PartitionIndex(1)));
}

TEST(PersistentMapTest, FoundValueLivesAsLongAsSomeCopyHasIt) {
  auto map = std::make_unique<PersistentMap<int, std::string>>();
  map->Set(1, "one");
  const PersistentMap<int, std::string> copy = *map;
  const std::string* const found = map->Find(1);
  map->Set(1, "other");
  map.reset();
  EXPECT_EQ(*found, "one");
  EXPECT_EQ(copy.Find(1), found) << "entries are shared, not copied";
}

TEST(PersistentMapTest, MemoryPerEntryAndPerVersionIsSmall) {
  constexpr int kEntries = 100'000;
  const size_t before = mallinfo2().uordblks;
  IntMap map;
  for (int i = 0; i < kEntries; ++i) map.Set(i * 7919 % 1'000'003, i);
  const size_t built = mallinfo2().uordblks - before;
  EXPECT_LT(built / kEntries, 90u);
  std::vector<IntMap> versions;
  versions.reserve(1000);
  const size_t with_room = mallinfo2().uordblks;
  for (int i = 0; i < 1000; ++i) {
    map.Set(i * 100, -1);
    versions.push_back(map);
  }
  const size_t per_version = (mallinfo2().uordblks - with_room) / 1000;
  EXPECT_LT(per_version, 4000u) << "a path of four nodes, not the map";
}

TEST(PersistentMapTest, CopiesMayChangeOnDifferentThreads) {
  IntMap map;
  for (int i = 0; i < 1000; ++i) map.Set(i, i);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([copy = map, t]() mutable {
      for (int i = 0; i < 1000; ++i) copy.Set(i, t);
      copy.ForEach([&](int, int value) { EXPECT_EQ(value, t); });
    });
  }
  for (std::thread& thread : threads) thread.join();
  map.ForEach([](int key, int value) { EXPECT_EQ(key, value); });
}

}  // namespace
}  // namespace millrace

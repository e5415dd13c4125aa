#include "tools/millrace/latency_histogram.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::tools {
namespace {

TEST(LatencyHistogram, PercentilesAreWithinOnePartIn128AtEveryScale) {
  for (const int64_t scale : {1, 1000, 1000000, 1000000000}) {
    LatencyHistogram histogram;
    for (int64_t i = 1; i <= 1000; ++i) histogram.Record(i * scale);
    for (const double fraction : {0.001, 0.5, 0.9, 0.99, 0.999}) {
      const double exact = fraction * 1000 * static_cast<double>(scale);
      const auto found = static_cast<double>(histogram.Percentile(fraction));
      EXPECT_GE(found, exact - 1) << scale << " " << fraction;
      EXPECT_LE(found, exact * (1 + 1.0 / 128) + 1) << scale << " " << fraction;
    }
    EXPECT_EQ(histogram.max(), 1000 * scale);
    EXPECT_EQ(histogram.Percentile(1), histogram.max());
  }
}

TEST(LatencyHistogram, CountsWhatIsOutsideOfAnyReason) {
  LatencyHistogram histogram;
  EXPECT_EQ(histogram.Percentile(0.5), 0);
  histogram.Record(-5);
  EXPECT_EQ(histogram.Percentile(1), 0);
  histogram.Record(INT64_MAX);
  EXPECT_EQ(histogram.count(), 2);
  EXPECT_EQ(histogram.Percentile(1), INT64_MAX);
}

TEST(LatencyHistogram, MergedCountsAreThoseOfBoth) {
  LatencyHistogram one;
  LatencyHistogram two;
  for (int i = 0; i < 90; ++i) one.Record(100);
  for (int i = 0; i < 10; ++i) two.Record(1000000);
  one.Merge(two);
  EXPECT_EQ(one.count(), 100);
  EXPECT_EQ(one.Percentile(0.9), 100);
  EXPECT_EQ(one.Percentile(0.91), 1000000);
}

}  // namespace
}  // namespace millrace::tools

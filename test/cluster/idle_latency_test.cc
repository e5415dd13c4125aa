// How long the first call after a pause takes: 200 pauses of 1 to 3 s, one after the other. Run by
// hand, since it takes minutes and its figures belong to a machine:
//
//   bazel test --config=release //test/cluster:idle_latency_test --test_output=all
#include <algorithm>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/cluster/api_client.h"
#include "test/cluster/server_process.h"

namespace millrace::test {
namespace {

constexpr int kTries = 200;

void Print(const char* what, std::vector<absl::Duration>* times) {
  std::sort(times->begin(), times->end());
  const auto at = [&](double share) {
    const size_t index = static_cast<size_t>(share * static_cast<double>(times->size() - 1));
    return absl::ToDoubleMilliseconds((*times)[index]);
  };
  std::printf("%s: %zu calls, ms: p50 %.2f  p90 %.2f  p95 %.2f  p99 %.2f  max %.2f\n", what,
              times->size(), at(0.5), at(0.9), at(0.95), at(0.99), at(1));
}

// A call that the server answers without touching a disk, and one that waits for a sync.
TEST(IdleLatencyTest, NinetyFiveOfAHundredFirstCallsTakeUnderTenMilliseconds) {
  ServerProcess server;
  ASSERT_OK(server.Start());
  ApiClient client(server.address());
  ASSERT_OK(client.CreateTopic("idle"));
  ASSERT_OK(client.ProduceValues("idle", 0, {"warm"}));
  std::mt19937 random(3);
  std::vector<absl::Duration> reads;
  std::vector<absl::Duration> produces;
  for (int i = 0; i < kTries; ++i) {
    absl::SleepFor(absl::Milliseconds(1000 + random() % 2000));
    const absl::Time begin = absl::Now();
    if (i % 2 == 0) {
      ASSERT_OK(client.ListOffsets("idle", 0, v1::OFFSET_POSITION_LATEST));
      reads.push_back(absl::Now() - begin);
    } else {
      ASSERT_OK(client.ProduceValues("idle", 0, {"after a pause"}));
      produces.push_back(absl::Now() - begin);
    }
  }
  Print("list offsets", &reads);
  Print("durable produce", &produces);
  std::vector<absl::Duration> all = reads;
  all.insert(all.end(), produces.begin(), produces.end());
  Print("both", &all);
  EXPECT_LT(all[all.size() * 95 / 100], absl::Milliseconds(10));
}

}  // namespace
}  // namespace millrace::test

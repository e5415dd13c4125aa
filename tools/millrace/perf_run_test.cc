#include "tools/millrace/perf_run.h"

#include "base/status_matchers.h"
#include "client/fake_log_server.h"
#include "gmock/gmock.h"

namespace millrace::tools {
namespace {

class PerfRunTest : public testing::Test {
 protected:
  PerfRunTest() {
    server_.CreateTopic("t", 2);
    options_.topic = "t";
    options_.producer = {{"bootstrap.servers", server_.address()}};
    options_.consumer = {{"bootstrap.servers", server_.address()}};
  }

  client::FakeLogServer server_;
  PerfOptions options_;
};

TEST_F(PerfRunTest, ProducersShareTheRecordsAndEveryOneIsTimed) {
  options_.records = 101;
  options_.size = 10;
  options_.producers = 3;
  ASSERT_OK_AND_ASSIGN(const PerfResult result, PerfProduce(options_));
  EXPECT_EQ(result.records, 101);
  EXPECT_EQ(result.bytes, 1010);
  EXPECT_EQ(result.errors, 0);
  EXPECT_EQ(result.latency.count(), 101);
  EXPECT_GT(result.latency.max(), 0);
  EXPECT_EQ(server_.Values("t", 0).size() + server_.Values("t", 1).size(), 101u);
}

TEST_F(PerfRunTest, AtARateTheRunTakesAsLongAsItMust) {
  options_.records = 21;
  options_.rate = 1000;
  ASSERT_OK_AND_ASSIGN(const PerfResult result, PerfProduce(options_));
  EXPECT_GE(result.seconds, 0.02);
}

TEST_F(PerfRunTest, RefusedRecordsAreErrorsAndNotTimed) {
  server_.RefuseProduce(1, ErrorCode::kMessageTooLarge);
  options_.records = 1;
  ASSERT_OK_AND_ASSIGN(const PerfResult result, PerfProduce(options_));
  EXPECT_EQ(result.errors, 1);
  EXPECT_EQ(result.records, 0);
  EXPECT_THAT(result.error, HasCode(ErrorCode::kMessageTooLarge));
  EXPECT_EQ(result.latency.count(), 0);
}

TEST_F(PerfRunTest, WhereNothingIsAcceptedItEnds) {
  options_.records = 1'000'000;
  options_.rate = 1000;
  server_.RefuseProduce(1'000'000, ErrorCode::kInvalidRecord);
  ASSERT_OK_AND_ASSIGN(PerfResult result, PerfProduce(options_));
  EXPECT_THAT(result.error, HasCode(ErrorCode::kInvalidRecord));
  EXPECT_EQ(result.records, 0);
  // Each takes as long as Send may: nobody waits for a second one.
  options_.topic = "missing";
  options_.producer["max.block.ms"] = "300";
  ASSERT_OK_AND_ASSIGN(result, PerfProduce(options_));
  EXPECT_EQ(result.errors, 1);
  EXPECT_FALSE(result.error.ok());
}

TEST_F(PerfRunTest, ConsumeReadsAsManyAsAskedForAndSaysWhenThereAreFewer) {
  options_.records = 50;
  options_.size = 10;
  ASSERT_OK(PerfProduce(options_).status());
  ASSERT_OK_AND_ASSIGN(const PerfResult result, PerfConsume(options_));
  EXPECT_EQ(result.records, 50);
  EXPECT_EQ(result.bytes, 500);
  options_.records = 51;
  options_.timeout = absl::Milliseconds(300);
  EXPECT_THAT(PerfConsume(options_),
              IsError(ErrorCode::kRequestTimedOut, "only 50 of 51 records came from topic 't'"));
}

TEST_F(PerfRunTest, EndToEndTimesItsOwnRecordsOnlyAtARateAndOneAtATime) {
  options_.records = 5;
  ASSERT_OK(PerfProduce(options_).status());
  for (const double rate : {0.0, 500.0}) {
    options_.rate = rate;
    ASSERT_OK_AND_ASSIGN(const PerfResult result, PerfEndToEnd(options_));
    EXPECT_EQ(result.records, 5) << rate;
    EXPECT_EQ(result.errors, 0) << rate;
    EXPECT_EQ(result.latency.count(), 5) << rate;
    EXPECT_LT(result.latency.max(), int64_t{20} * 1000000000) << rate;
  }
}

TEST_F(PerfRunTest, EndToEndSaysThatNothingCameOrWhyItCannot) {
  options_.records = 50;
  options_.rate = 1000;
  options_.timeout = absl::Milliseconds(300);
  server_.Hold(true);
  EXPECT_THAT(PerfEndToEnd(options_), IsError(ErrorCode::kRequestTimedOut, "only 0 of 50"));
  server_.Hold(false);
  server_.RefuseProduce(1'000'000, ErrorCode::kInvalidRecord);
  EXPECT_THAT(PerfEndToEnd(options_), HasCode(ErrorCode::kInvalidRecord));
}

TEST_F(PerfRunTest, LatencyCountsFromWhenARecordWasDue) {
  // No answer for a while: records that were due meanwhile have waited, though none was late to be
  // sent (no coordinated omission).
  server_.Hold(true);
  options_.records = 200;
  options_.rate = 1000;
  int64_t calls = 0;
  options_.progress = [&](int64_t records) {
    EXPECT_LE(records, options_.records);
    if (++calls == 2) server_.Hold(false);
  };
  ASSERT_OK_AND_ASSIGN(const PerfResult result, PerfProduce(options_));
  EXPECT_EQ(result.latency.count(), 200);
  // All were due within 0.2 s, and none was acknowledged before 0.5 s.
  EXPECT_GT(result.latency.Percentile(0.01), int64_t{200} * 1000 * 1000);
  EXPECT_GE(calls, 2);
}

TEST_F(PerfRunTest, EndToEndTakesManyProducersAtARate) {
  options_.records = 50;
  options_.rate = 1000;
  options_.producers = 3;
  ASSERT_OK_AND_ASSIGN(const PerfResult result, PerfEndToEnd(options_));
  EXPECT_EQ(result.records, 50);
  EXPECT_EQ(result.latency.count(), 50);
}

}  // namespace
}  // namespace millrace::tools

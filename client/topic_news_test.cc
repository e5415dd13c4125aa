#include "client/topic_news.h"

#include "base/status_matchers.h"
#include "base/system_clock.h"

namespace millrace::client {
namespace {

TopicTable TableWith(ErrorCode code, size_t partitions) {
  TopicTable table;
  api::TopicLeaders& topic = table.topics["t"];
  topic.topic = "t";
  topic.code = code;
  topic.partitions.resize(partitions);
  return table;
}

TEST(TopicNews, ATopicWithPartitionsIsThere) {
  const SystemClock clock;
  TopicNews news;
  news.Publish(TableWith(ErrorCode::kNone, 1));
  EXPECT_OK(AwaitTopic(&news, clock, "t", clock.Now()));
}

TEST(TopicNews, WithoutWordOfTheTopicTheDeadlineCounts) {
  const SystemClock clock;
  TopicNews news;
  EXPECT_THAT(AwaitTopic(&news, clock, "t", clock.Now()),
              IsError(ErrorCode::kRequestTimedOut, "'t'"));
  news.WatchFailed(MakeError(ErrorCode::kBrokerNotAvailable, "host:1: refused"));
  EXPECT_THAT(AwaitTopic(&news, clock, "t", clock.Now()),
              IsError(ErrorCode::kBrokerNotAvailable, "host:1: refused"));
}

TEST(TopicNews, WhatEveryServerRefusesIsNotWaitedFor) {
  const SystemClock clock;
  TopicNews news;
  const absl::Status refusal = MakeError(ErrorCode::kAuthorizationFailed, "host:1: takes TLS only");
  const MonotonicTime far = clock.Now() + absl::Hours(1);
  news.WatchFailed(refusal);
  // One of several: the others are waited for, and at the deadline it is the answer.
  EXPECT_THAT(AwaitTopic(&news, clock, "t", clock.Now()),
              IsError(ErrorCode::kAuthorizationFailed, "host:1: takes TLS only"));
  news.WatchRefused(refusal);
  EXPECT_THAT(AwaitTopic(&news, clock, "t", far),
              IsError(ErrorCode::kAuthorizationFailed, "host:1: takes TLS only"));
  // One cannot be reached any more, and may come back as one that takes this client.
  news.WatchFailed(MakeError(ErrorCode::kBrokerNotAvailable, "host:2: refused"));
  EXPECT_THAT(AwaitTopic(&news, clock, "t", clock.Now()), HasCode(ErrorCode::kBrokerNotAvailable));
  news.WatchRefused(refusal);
  news.Publish(TableWith(ErrorCode::kNone, 1));
  EXPECT_OK(AwaitTopic(&news, clock, "t", clock.Now()));
  EXPECT_THAT(AwaitTopic(&news, clock, "u", clock.Now()), HasCode(ErrorCode::kRequestTimedOut));
}

TEST(TopicNews, ATopicThatIsSaidNotToExistIsAnErrorBeforeTheDeadline) {
  const SystemClock clock;
  TopicNews news;
  news.Publish(TableWith(ErrorCode::kUnknownTopicOrPartition, 0));
  EXPECT_THAT(AwaitTopic(&news, clock, "t", clock.Now() + absl::Hours(1)),
              IsError(ErrorCode::kUnknownTopicOrPartition, "millrace topic create t"));
}

}  // namespace
}  // namespace millrace::client

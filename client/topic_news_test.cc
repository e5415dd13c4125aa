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

TEST(TopicNews, ATopicThatIsSaidNotToExistIsAnErrorBeforeTheDeadline) {
  const SystemClock clock;
  TopicNews news;
  news.Publish(TableWith(ErrorCode::kUnknownTopicOrPartition, 0));
  EXPECT_THAT(AwaitTopic(&news, clock, "t", clock.Now() + absl::Hours(1)),
              IsError(ErrorCode::kUnknownTopicOrPartition, "millrace topic create t"));
}

}  // namespace
}  // namespace millrace::client

#include "client/topic_news.h"

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace millrace::client {
namespace {

// A topic that the cluster does not know may just be on its way to the server that is asked.
constexpr absl::Duration kUnknownTopicGrace = absl::Seconds(1);

absl::Status NotInTime(const TopicNews& news, const std::string& topic) {
  const std::shared_ptr<const absl::Status> failure = news.watch_failure.Get();
  if (failure == nullptr) {
    return MakeError(ErrorCode::kRequestTimedOut,
                     absl::StrCat("no server told the partitions of topic '", topic, "' in time"),
                     {.name = "topic", .value = topic});
  }
  if (CodeOf(*failure) == ErrorCode::kAuthorizationFailed) return *failure;
  return MakeError(
      ErrorCode::kBrokerNotAvailable,
      absl::StrCat("no server could be reached in time; the last tried was ", failure->message(),
                   ": is the server running? start one with `millrace server`"),
      {.name = "bootstrap.servers"});
}

}  // namespace

void TopicNews::Publish(const TopicTable& table) {
  watch_failure.Set(nullptr);
  refusal.Set(nullptr);
  board.Publish(std::make_shared<const TopicTable>(table));
  changed.Signal();
}

void TopicNews::WatchFailed(const absl::Status& why) {
  watch_failure.Set(std::make_shared<const absl::Status>(why));
  if (CodeOf(why) != ErrorCode::kAuthorizationFailed) refusal.Set(nullptr);
  changed.Signal();
}

void TopicNews::WatchRefused(const absl::Status& why) {
  refusal.Set(std::make_shared<const absl::Status>(why));
  changed.Signal();
}

absl::Status AwaitTopic(TopicNews* news, const Clock& clock, const std::string& topic,
                        MonotonicTime deadline) {
  MonotonicTime unknown_until = MonotonicTime::Never();
  while (true) {
    const std::shared_ptr<const TopicTable> table = news->board.Read();
    const api::TopicLeaders* leaders = table->Find(topic);
    const MonotonicTime now = clock.Now();
    if (leaders != nullptr) {
      const bool exists = leaders->code == ErrorCode::kNone;
      if (exists && !leaders->partitions.empty()) return absl::OkStatus();
      if (!exists) unknown_until = std::min(unknown_until, now + kUnknownTopicGrace);
    }
    if (now >= unknown_until) {
      return MakeError(
          ErrorCode::kUnknownTopicOrPartition,
          absl::StrCat("topic '", topic, "' does not exist: create it with `millrace topic create ",
                       topic, "`"),
          {.name = "topic", .value = topic});
    }
    const std::shared_ptr<const absl::Status> refusal = news->refusal.Get();
    if (refusal != nullptr) return *refusal;
    if (now >= deadline) return NotInTime(*news, topic);
    news->changed.WaitFor(std::min(deadline, unknown_until) - now);
  }
}

}  // namespace millrace::client

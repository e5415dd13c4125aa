// TopicNews: what a client's callers hear from its strand about topics: the latest table, or why
// there is none; and AwaitTopic, with which they wait for it.
//
// Thread: Publish, WatchFailed and WatchRefused: the strand. AwaitTopic: one caller at a time.
#ifndef CLIENT_TOPIC_NEWS_H_
#define CLIENT_TOPIC_NEWS_H_

#include <string>

#include "absl/status/status.h"
#include "base/clock.h"
#include "base/monotonic_time.h"
#include "base/shared_value.h"
#include "client/topic_table.h"
#include "rpc/wakeup.h"

namespace millrace::client {

struct TopicNews {
  TopicBoard board;
  // Why topics cannot be asked for now; null if they can.
  SharedValue<absl::Status> watch_failure;
  // Why every server refuses this client, which no waiting mends; null if one does not.
  SharedValue<absl::Status> refusal;
  // After each push, and whenever the watch fails.
  rpc::Wakeup changed;

  void Publish(const TopicTable& table);
  void WatchFailed(const absl::Status& why);
  // After the last of the servers has refused too.
  void WatchRefused(const absl::Status& why);
};

// Waits until the cluster has told of the topic's partitions. Errors: UNKNOWN_TOPIC_OR_PARTITION if
// it says that there is none, for longer than a creation under way would take; AUTHORIZATION_FAILED
// as soon as every server has refused this client; at the deadline, BROKER_NOT_AVAILABLE with what
// was tried, AUTHORIZATION_FAILED if that was refused, or REQUEST_TIMED_OUT. REQUIRES: the topic is
// watched.
absl::Status AwaitTopic(TopicNews* news, const Clock& clock, const std::string& topic,
                        MonotonicTime deadline);

}  // namespace millrace::client

#endif  // CLIENT_TOPIC_NEWS_H_

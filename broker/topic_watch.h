// TopicWatch: tells one client where the partitions of its topics are led, now and whenever that
// changes, from the images that the edge's shard gets.
//
// S-40: every message carries the metadata index; a client that has seen a newer image than this
// broker is answered when that index is reached here, or told that it was not reached in time.
//
// Thread: its gather's edge, where the sink is called.
#ifndef BROKER_TOPIC_WATCH_H_
#define BROKER_TOPIC_WATCH_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "api/watch_topics.h"
#include "base/config.h"
#include "base/monotonic_time.h"
#include "broker/gather.h"
#include "metadata/delta.h"
#include "metadata/image.h"

namespace millrace::broker {

// What resolves topic configs here.
struct ConfigView {
  NodeId broker = kNoNode;
  // The node's own file; outlives its users.
  const ConfigValues* static_config = nullptr;
};

// The leaders of `topic` in `image`, or that there is no such topic.
api::TopicLeaders LeadersOf(const metadata::Image& image, const std::string& topic,
                            const ConfigView& configs);
// All brokers that are not fenced, with their addresses on `listener`.
std::vector<api::BrokerAddress> AddressesOf(const metadata::Image& image,
                                            absl::string_view listener);

class TopicWatch {
 public:
  using Sink = std::function<void(api::WatchTopicsResponse)>;

  using Late = std::function<void(absl::Status)>;

  // The sink is called from the first image on that the request allows, perhaps at once. `late`
  // (may be null) is called once, with REQUEST_TIMED_OUT, if there is none shortly before
  // `deadline`.
  TopicWatch(Gather* gather, const Caller& caller, const ConfigView& configs,
             api::WatchTopicsRequest request, Sink sink, MonotonicTime deadline, Late late);
  ~TopicWatch();
  TopicWatch(const TopicWatch&) = delete;
  TopicWatch& operator=(const TopicWatch&) = delete;

  // While it is false changes are only remembered: a client that does not listen is told once how
  // things are then, not everything that happened.
  void SetWritable(bool writable);

 private:
  void OnImage(const metadata::Delta& delta);
  // What of the asked topics `delta` may have changed.
  bool Concerns(const std::string& topic, const metadata::Delta& delta) const;
  void SendStale();
  void BoundTheWait(MonotonicTime deadline);
  absl::Status NotInTime() const;

  Gather* const gather_;
  const Caller caller_;
  const ConfigView configs_;
  const api::WatchTopicsRequest request_;
  const Sink sink_;
  const Late late_;
  // Held by this only: a timer that finds it gone does nothing.
  const std::shared_ptr<TopicWatch*> self_ = std::make_shared<TopicWatch*>(this);
  bool began_ = false;
  bool writable_ = true;
  // What the client has not been told as it is now.
  std::set<std::string> stale_topics_;
  bool stale_brokers_ = false;
  uint64_t subscription_ = 0;
};

}  // namespace millrace::broker

#endif  // BROKER_TOPIC_WATCH_H_

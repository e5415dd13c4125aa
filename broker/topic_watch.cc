#include "broker/topic_watch.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "metadata/topic_config.h"

namespace millrace::broker {
namespace {

// A broker that is so far behind the rest of the cluster is the wrong one to ask.
constexpr absl::Duration kWaitMax = absl::Seconds(30);

}  // namespace

api::TopicLeaders LeadersOf(const metadata::Image& image, const std::string& topic,
                            const ConfigView& configs) {
  api::TopicLeaders leaders;
  leaders.topic = topic;
  const metadata::TopicImage* found = image.FindTopic(topic);
  if (found == nullptr) {
    leaders.code = ErrorCode::kUnknownTopicOrPartition;
    return leaders;
  }
  leaders.topic_id = found->id;
  leaders.message_bytes_max = static_cast<int32_t>(
      metadata::TopicConfigOf(image, found->id, configs.broker, *configs.static_config)
          .max_message_bytes);
  found->ForEachPartition([&](PartitionIndex index, const metadata::PartitionImage& partition) {
    api::PartitionLeader& leader = leaders.partitions.emplace_back();
    leader.partition = index;
    leader.leader_id = partition.leader;
    leader.leader_epoch = partition.leader_epoch;
    for (const metadata::ReplicaImage& replica : partition.replicas) {
      leader.replicas.push_back(replica.broker);
    }
    leader.in_sync_replicas.assign(partition.isr.begin(), partition.isr.end());
  });
  return leaders;
}

std::vector<api::BrokerAddress> AddressesOf(const metadata::Image& image,
                                            absl::string_view listener) {
  std::vector<api::BrokerAddress> addresses;
  image.ForEachBroker([&](const metadata::BrokerImage& broker) {
    if (broker.state == metadata::BrokerState::kFenced) return;
    const metadata::Listener* at = broker.FindListener(listener);
    addresses.push_back({broker.id, at == nullptr ? std::string() : at->address(), broker.rack});
  });
  return addresses;
}

TopicWatch::TopicWatch(Gather* gather, const Caller& caller, const ConfigView& configs,
                       api::WatchTopicsRequest request, Sink sink, MonotonicTime deadline,
                       Late late)
    : gather_(gather),
      caller_(caller),
      configs_(configs),
      request_(std::move(request)),
      sink_(std::move(sink)),
      late_(std::move(late)) {
  subscription_ =
      gather_->edge()->Subscribe([this](const metadata::Delta& delta) { OnImage(delta); });
  if (gather_->edge()->image() != nullptr) OnImage({});
  if (!began_ && late_ != nullptr) BoundTheWait(deadline);
}

void TopicWatch::BoundTheWait(MonotonicTime deadline) {
  const MonotonicTime now = gather_->now();
  absl::Duration wait = kWaitMax;
  if (deadline != MonotonicTime::Never()) {
    // Before the transport ends the call with an error that says nothing.
    const absl::Duration left = std::max(deadline - now, absl::ZeroDuration());
    wait = std::min(wait, left - std::min(left / 10, absl::Milliseconds(200)));
  }
  gather_->edge()->executor()->PostAt(now + wait, [weak = std::weak_ptr<TopicWatch*>(self_)] {
    const std::shared_ptr<TopicWatch*> self = weak.lock();
    if (self != nullptr && !(*self)->began_) (*self)->late_((*self)->NotInTime());
  });
}

absl::Status TopicWatch::NotInTime() const {
  const std::shared_ptr<const metadata::Image>& image = gather_->edge()->image();
  const int64_t here = image == nullptr ? 0 : image->index().value();
  return MakeError(
      ErrorCode::kRequestTimedOut,
      absl::StrCat("this broker has the cluster's metadata up to index ", here, ", and not up to ",
                   request_.metadata_index.value(),
                   ", which was asked for; ask another broker, or try again"),
      {.name = "metadata_index", .value = absl::StrCat(request_.metadata_index.value())});
}

TopicWatch::~TopicWatch() { gather_->edge()->Unsubscribe(subscription_); }

void TopicWatch::OnImage(const metadata::Delta& delta) {
  const bool first = !began_;
  if (first && gather_->edge()->image()->index() < request_.metadata_index) return;
  began_ = true;
  for (const std::string& topic : request_.topics) {
    if (first || Concerns(topic, delta)) stale_topics_.insert(topic);
  }
  stale_brokers_ |= first || !delta.brokers_changed.empty() || !delta.brokers_removed.empty();
  SendStale();
}

void TopicWatch::SetWritable(bool writable) {
  writable_ = writable;
  SendStale();
}

void TopicWatch::SendStale() {
  if (!writable_ || (stale_topics_.empty() && !stale_brokers_)) return;
  const metadata::Image& image = *gather_->edge()->image();
  api::WatchTopicsResponse response;
  response.metadata_index = image.index();
  response.cluster_id = image.cluster_id().ToString();
  for (const std::string& topic : request_.topics) {
    // Once, however often it was asked for.
    if (stale_topics_.erase(topic) == 0) continue;
    response.topics.push_back(LeadersOf(image, topic, configs_));
  }
  if (std::exchange(stale_brokers_, false)) {
    response.brokers = AddressesOf(image, caller_.listener);
  }
  sink_(std::move(response));
}

bool TopicWatch::Concerns(const std::string& topic, const metadata::Delta& delta) const {
  const auto named = [&](const metadata::RemovedTopic& removed) { return removed.name == topic; };
  if (std::any_of(delta.topics_removed.begin(), delta.topics_removed.end(), named)) return true;
  if (std::any_of(delta.topics_absent.begin(), delta.topics_absent.end(), named)) return true;
  const metadata::TopicImage* found = gather_->edge()->image()->FindTopic(topic);
  if (found == nullptr) return false;
  if (delta.topics_created.contains(found->id)) return true;
  const auto first =
      delta.partitions_changed.lower_bound(TopicPartition{found->id, PartitionIndex(0)});
  if (first != delta.partitions_changed.end() && first->topic_id == found->id) return true;
  return delta.configs_changed.contains(metadata::ConfigOwner::Topic(found->id));
}

}  // namespace millrace::broker

#include "client/consumer_strand.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace millrace::client {

void ConsumerInbox::Put(Item item) {
  Node* node = new Node{std::move(item), head_.load()};
  while (!head_.compare_exchange_weak(node->next, node)) {
  }
  arrived_.Signal();
}

std::vector<ConsumerInbox::Item> ConsumerInbox::TakeAll() {
  std::vector<Item> items;
  Node* node = head_.exchange(nullptr);
  while (node != nullptr) {
    const std::unique_ptr<Node> taken(node);
    items.push_back(std::move(taken->item));
    node = taken->next;
  }
  std::reverse(items.begin(), items.end());
  return items;
}

void ConsumerStrand::WatchTopics(const std::set<std::string>& topics) {
  const size_t before = topics_.size();
  topics_.insert(topics.begin(), topics.end());
  if (topics_.size() != before) channel_->Watch({topics_.begin(), topics_.end()});
}

void ConsumerStrand::Assign(const std::map<NamedPartition, Position>& partitions,
                            uint64_t generation) {
  std::set<std::string> topics;
  for (const auto& [name, position] : partitions) topics.insert(name.topic);
  core_.Assign(partitions, generation, clock_->Now());
  // What is known already is not pushed again.
  for (const std::string& topic : topics) {
    const api::TopicLeaders* leaders = table_.Find(topic);
    if (leaders != nullptr) core_.OnTopic(*leaders, clock_->Now());
  }
  WatchTopics(topics);
  Step();
}

void ConsumerStrand::Seek(const NamedPartition& partition, Position to, uint64_t generation) {
  core_.Seek(partition, to, generation, clock_->Now());
  Step();
}

void ConsumerStrand::Pause(const NamedPartition& partition, uint64_t generation) {
  core_.Pause(partition, generation, clock_->Now());
  Step();
}

void ConsumerStrand::Resume(const NamedPartition& partition, const std::optional<Position>& from,
                            uint64_t generation) {
  core_.Resume(partition, from, generation, clock_->Now());
  Step();
}

void ConsumerStrand::Consumed(const CreditSource& source, int64_t bytes) {
  core_.OnConsumed(source, bytes, clock_->Now());
  Step();
}

void ConsumerStrand::OnTopics(const api::WatchTopicsResponse& topics) {
  table_.Apply(topics);
  for (const api::TopicLeaders& topic : topics.topics) core_.OnTopic(topic, clock_->Now());
  news_->Publish(table_);
  Step();
}

void ConsumerStrand::OnFetchDown(NodeId broker, const absl::Status& why) {
  core_.OnStreamDown(broker, why, clock_->Now());
  Step();
}

void ConsumerStrand::OnFetched(NodeId broker, api::FetchStreamResponse response) {
  for (const api::FetchPartitionResult& result : response.partitions) {
    const std::optional<LeaderHint>& hint = result.outcome.leader;
    if (hint.has_value() && !hint->address.empty()) {
      hinted_addresses_[hint->leader] = hint->address;
    }
  }
  core_.OnFetched(broker, std::move(response), clock_->Now());
  Step();
}

std::string ConsumerStrand::AddressOf(NodeId broker) const {
  const std::string address = table_.AddressOf(broker);
  if (!address.empty()) return address;
  const auto hinted = hinted_addresses_.find(broker);
  return hinted == hinted_addresses_.end() ? std::string() : hinted->second;
}

void ConsumerStrand::Connect(NodeId broker) {
  const std::string address = AddressOf(broker);
  if (!address.empty()) return channel_->OpenFetch(broker, address);
  // The core tries again after its back-off; by then the address may be known.
  core_.OnStreamDown(broker, UnknownAddress(broker), clock_->Now());
}

absl::Status ConsumerStrand::UnknownAddress(NodeId broker) const {
  return MakeError(ErrorCode::kBrokerNotAvailable,
                   absl::StrCat("the address of broker ", broker.value(), " is not known (yet)"));
}

void ConsumerStrand::ListOffsets(NodeId broker, const api::ListOffsetsRequest& request,
                                 absl::Duration timeout, LogChannel::ListOffsetsCallback done) {
  const std::string address = AddressOf(broker);
  if (!address.empty()) {
    return channel_->ListOffsets(address, request, timeout, std::move(done));
  }
  std::move(done)(UnknownAddress(broker));
}

void ConsumerStrand::Ask(const ConsumerOutput::Check& check) {
  auto take = [this, number = check.number](
                  const absl::StatusOr<api::OffsetForLeaderEpochResponse>& response) {
    core_.OnEpochEnds(number, response, clock_->Now());
    Step();
  };
  const std::string address = AddressOf(check.broker);
  if (address.empty()) return take(UnknownAddress(check.broker));
  channel_->OffsetForLeaderEpoch(address, check.request, request_timeout_, std::move(take));
}

void ConsumerStrand::Step() {
  while (true) {
    ConsumerOutput output = core_.TakeOutput();
    if (output.empty()) break;
    if (output.change_watch) channel_->ChangeWatch();
    for (NodeId broker : output.connects) Connect(broker);
    for (const ConsumerOutput::Send& send : output.sends) {
      channel_->SendFetch(send.broker, send.request);
    }
    for (const ConsumerOutput::Lookup& lookup : output.lookups) {
      ListOffsets(
          lookup.broker, lookup.request, request_timeout_,
          [this, number = lookup.number](const absl::StatusOr<api::ListOffsetsResponse>& response) {
            core_.OnOffsets(number, response, clock_->Now());
            Step();
          });
    }
    for (const ConsumerOutput::Check& check : output.checks) Ask(check);
    // A position that was looked up comes before what was read there, and a failure after it.
    for (auto& resolved : output.resolved) inbox_->Put(std::move(resolved));
    for (auto& fetched : output.fetched) inbox_->Put(std::move(fetched));
    for (auto& failed : output.failed) inbox_->Put(std::move(failed));
  }
  timer_.Set(core_.next_deadline());
}

}  // namespace millrace::client

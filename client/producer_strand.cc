#include "client/producer_strand.h"

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace millrace::client {
namespace {

// It was there when the caller chose the partition, and pushes never go back in time (S-40). One
// that was made again under the same name is another topic.
bool IsGone(const api::TopicLeaders& topic, const ProducerPartition& partition) {
  return topic.code != ErrorCode::kNone || topic.topic_id != partition.topic_id;
}

absl::Status AddressUnknown(NodeId broker) {
  return MakeError(ErrorCode::kBrokerNotAvailable,
                   absl::StrCat("the address of broker ", broker.value(), " is not known (yet)"));
}

absl::Status TopicGone(const std::string& topic) {
  return MakeError(ErrorCode::kUnknownTopicId,
                   absl::StrCat("topic '", topic, "' was deleted before the record was sent"),
                   {.name = "topic", .value = topic});
}

}  // namespace

void ProducerStrand::WatchTopic(const std::string& topic) {
  if (!topics_.insert(topic).second) return;
  channel_->Watch({topics_.begin(), topics_.end()});
}

void ProducerStrand::AddPartition(ProducerPartition* partition) {
  partition->index =
      core_.AddPartition(partition->topic, partition->topic_id, partition->partition);
  partitions_.push_back(partition);
  const api::TopicLeaders* topic = table_.Find(partition->topic);
  const api::PartitionLeader* leader = table_.Find(partition->topic, partition->partition);
  if (topic != nullptr && IsGone(*topic, *partition)) {
    return core_.OnTopicGone(partition->index, TopicGone(partition->topic));
  }
  if (leader == nullptr) return;
  core_.OnLeader(partition->index, leader->leader_id, leader->leader_epoch, clock_->Now());
  Step();
}

void ProducerStrand::RecordsAdded(ProducerPartition* partition, bool full) {
  core_.OnRecords(partition->index, full, clock_->Now());
  Step();
}

void ProducerStrand::SetFlushing(bool flushing) {
  core_.SetFlushing(flushing, clock_->Now());
  Step();
}

void ProducerStrand::FailAll(const absl::Status& why) {
  core_.FailAll(why);
  Step();
}

void ProducerStrand::OnTopics(const api::WatchTopicsResponse& topics) {
  table_.Apply(topics);
  core_.OnPush();
  const MonotonicTime now = clock_->Now();
  for (const ProducerPartition* partition : partitions_) {
    const api::TopicLeaders* topic = table_.Find(partition->topic);
    if (topic == nullptr) continue;
    if (IsGone(*topic, *partition)) {
      core_.OnTopicGone(partition->index, TopicGone(partition->topic));
      continue;
    }
    const api::PartitionLeader* leader = table_.Find(partition->topic, partition->partition);
    if (leader == nullptr) continue;
    core_.OnLeader(partition->index, leader->leader_id, leader->leader_epoch, now);
  }
  shared_->news.Publish(table_);
  Step();
}

void ProducerStrand::OnWatchDown(const absl::Status& why) { shared_->news.WatchFailed(why); }

void ProducerStrand::OnWatchRefused(const absl::Status& why) { shared_->news.WatchRefused(why); }

void ProducerStrand::OnProduceUp(NodeId broker) {
  core_.OnStreamUp(broker, clock_->Now());
  Step();
}

void ProducerStrand::OnProduceDown(NodeId broker, const absl::Status& why) {
  core_.OnStreamDown(broker, why, clock_->Now());
  Step();
}

void ProducerStrand::OnProduced(NodeId broker, const api::ProduceStreamResponse& response) {
  for (const api::ProducePartitionResult& result : response.partitions) {
    const std::optional<LeaderHint>& hint = result.outcome.leader;
    if (hint.has_value() && !hint->address.empty()) {
      hinted_addresses_[hint->leader] = hint->address;
    }
  }
  core_.OnResponse(broker, response, clock_->Now());
  Step();
}

bool ProducerStrand::Take(SlotIndex slot, bool open_too, std::vector<CoreBatch>* batches) {
  std::vector<SlotBatch> taken;
  const bool more = partitions_[static_cast<size_t>(slot.value())]->slot.Take(open_too, &taken);
  for (SlotBatch& batch : taken) {
    const BatchToken token(next_token_++);
    pending_[token] = {std::move(batch.callbacks), batch.memory};
    batches->push_back({.token = token, .bytes = std::move(batch.bytes), .created = batch.created});
  }
  return more;
}

void ProducerStrand::OnDeadline() {
  core_.OnTime(clock_->Now());
  Step();
}

void ProducerStrand::Step() {
  while (true) {
    const ProducerOutput output = core_.TakeOutput();
    if (output.sends.empty() && output.fates.empty() && output.connects.empty() &&
        output.resets.empty() && output.suspects.empty() && !output.ask_producer_id.has_value() &&
        !output.change_watch) {
      break;
    }
    if (output.change_watch) channel_->ChangeWatch();
    if (output.ask_producer_id.has_value()) AskProducerId(*output.ask_producer_id);
    for (const ProducerOutput::Send& send : output.sends) {
      channel_->SendProduce(send.broker, send.request);
    }
    for (NodeId broker : output.resets) channel_->CloseProduce(broker);
    for (NodeId broker : output.suspects) channel_->Suspect(AddressOf(broker));
    for (NodeId broker : output.connects) Connect(broker);
    for (const ProducerOutput::Fate& fate : output.fates) Deliver(fate);
  }
  timer_.Set(core_.next_deadline());
}

std::string ProducerStrand::AddressOf(NodeId broker) const {
  std::string address = table_.AddressOf(broker);
  if (!address.empty()) return address;
  const auto hinted = hinted_addresses_.find(broker);
  return hinted == hinted_addresses_.end() ? std::string() : hinted->second;
}

void ProducerStrand::Connect(NodeId broker) {
  const std::string address = AddressOf(broker);
  if (!address.empty()) return channel_->OpenProduce(broker, address);
  // The core tries again after its back-off; by then the address may be known.
  core_.OnStreamDown(broker, AddressUnknown(broker), clock_->Now());
}

void ProducerStrand::AskProducerId(NodeId broker) {
  const std::string address = AddressOf(broker);
  if (address.empty()) return core_.OnProducerId(AddressUnknown(broker), clock_->Now());
  channel_->InitProducerId(address, options_.client_id, options_.request_timeout,
                           [this](const absl::StatusOr<api::ProducerIdentity>& identity) {
                             core_.OnProducerId(identity, clock_->Now());
                             Step();
                           });
}

void ProducerStrand::Deliver(const ProducerOutput::Fate& fate) {
  const auto found = pending_.find(fate.token);
  Pending pending = std::move(found->second);
  pending_.erase(found);
  ProducerPartition* partition = partitions_[static_cast<size_t>(fate.slot.value())];
  partition->batches.fetch_sub(1, std::memory_order_relaxed);
  DeliveryReport report{.status = fate.status,
                        .partition = partition->partition,
                        .offset = fate.base_offset,
                        .log_append_time_ms = fate.log_append_time_ms};
  const auto records = static_cast<int64_t>(pending.callbacks.size());
  for (DeliveryCallback& callback : pending.callbacks) {
    if (callback) std::move(callback)(report);
    if (report.offset != kNoOffset) ++report.offset;
  }
  // What a callback holds is gone before Flush returns.
  pending.callbacks.clear();
  shared_->memory.fetch_sub(pending.memory);
  shared_->records.fetch_sub(records);
  if (shared_->waiting.load()) shared_->fell.Signal();
}

}  // namespace millrace::client

#include "broker/replication/follower_streams.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/log.h"
#include "base/status.h"
#include "broker/replication/shard_index.h"

namespace millrace::broker {

// One stream, and the partitions that it carries.
class FollowerStreams::Stream : public FollowerSink {
 public:
  // Of one partition on this stream.
  struct Carried {
    LeaderEpoch leader_epoch;
    uint64_t attach = 0;
    // Where its position is among those to be sent; -1: none is.
    int position = -1;
    // Pushes that the log has not written yet: where they end, and their bytes.
    std::deque<std::pair<Offset, int64_t>> unwritten;
  };

  Stream(FollowerStreams* owner, NodeId leader, int shard)
      : owner(owner), leader(leader), shard(shard) {}

  void OnHello(const LeaderHello& hello) override {
    if (owner != nullptr) owner->OnHello(this, hello);
  }
  void OnMessage(ReceivedLeaderMessage message) override {
    if (owner != nullptr) owner->OnMessage(this, std::move(message));
  }
  void OnClosed(const absl::Status& status) override {
    if (owner != nullptr) owner->OnClosed(this, status);
  }

  Carried* Find(const TopicPartition& partition) {
    const auto found = carried.find(partition);
    return found == carried.end() ? nullptr : &found->second;
  }
  // Gives back what was sent for pushes that end up to `written`.
  void GiveBack(Carried* of, Offset written) {
    while (!of->unwritten.empty() && of->unwritten.front().first <= written) {
      outgoing.credit_bytes += of->unwritten.front().second;
      of->unwritten.pop_front();
    }
  }
  void Drop(const TopicPartition& partition) {
    const auto found = carried.find(partition);
    if (found == carried.end()) return;
    GiveBack(&found->second, Offset(INT64_MAX));
    carried.erase(found);
  }

  // Null: the stream has ended, for this side.
  FollowerStreams* owner;
  const NodeId leader;
  int shard;
  std::unique_ptr<FollowerStream> stream;
  // The leader has answered.
  bool open = false;
  // It carries a word that the leader must hear, and stays for that until the metadata moves on.
  bool lingers = false;
  std::map<TopicPartition, Carried> carried;
  FollowerMessage outgoing;
};

FollowerStreams::FollowerStreams(const Deps& deps) : deps_(deps) {}

FollowerStreams::~FollowerStreams() { Close(); }

void FollowerStreams::Close() {
  for (auto& [node, leader] : leaders_) {
    for (auto& [shard, stream] : leader.streams) {
      stream->owner = nullptr;
      stream->stream.reset();
    }
  }
  leaders_.clear();
  by_partition_.clear();
  refused_.clear();
}

size_t FollowerStreams::stream_count() const {
  size_t count = 0;
  for (const auto& [node, leader] : leaders_) count += leader.streams.size();
  return count;
}

// --- Who is where ---

void FollowerStreams::OnImage(std::shared_ptr<const metadata::Image> image, BrokerEpoch own_epoch) {
  image_ = std::move(image);
  const bool registered_again = own_epoch != own_epoch_;
  own_epoch_ = own_epoch;
  std::vector<NodeId> outdated;
  for (const auto& [node, leader] : leaders_) {
    for (const auto& [shard, stream] : leader.streams) stream->lingers = false;
    const auto now = Find(node);
    if (registered_again || !now.ok() || now->first != leader.epoch ||
        now->second != leader.address) {
      outdated.push_back(node);
    }
  }
  for (const NodeId node : outdated) {
    CloseLeader(node, MakeError(ErrorCode::kStaleBrokerEpoch,
                                absl::StrCat("broker ", node.value(),
                                             " or this one has registered again, or moved")));
  }
}

absl::StatusOr<std::pair<BrokerEpoch, std::string>> FollowerStreams::Find(NodeId broker) const {
  const metadata::BrokerImage* const found =
      image_ == nullptr ? nullptr : image_->FindBroker(broker);
  if (deps_.channel == nullptr || own_epoch_ == kNoBrokerEpoch || found == nullptr) {
    return MakeError(ErrorCode::kBrokerNotAvailable,
                     absl::StrCat("broker ", broker.value(),
                                  " or this one is not registered in the metadata seen here"));
  }
  const metadata::Listener* listener = found->FindListener(deps_.listener);
  if (deps_.listener.empty() && !found->listeners.empty()) listener = &found->listeners.front();
  if (listener == nullptr) {
    return MakeError(ErrorCode::kBrokerNotAvailable,
                     absl::StrCat("broker ", broker.value(), " has no listener \"", deps_.listener,
                                  "\": all brokers need inter.broker.listener.name"),
                     {.name = "inter.broker.listener.name", .value = deps_.listener});
  }
  return std::make_pair(found->epoch, listener->address());
}

std::shared_ptr<FollowerStreams::Stream> FollowerStreams::OpenStream(NodeId node, Leader* leader,
                                                                     int shard) {
  auto stream = std::make_shared<Stream>(this, node, shard);
  leader->streams[shard] = stream;
  FollowerHello hello;
  hello.cluster_id = deps_.cluster_id;
  hello.follower = {deps_.self, own_epoch_};
  hello.leader = node;
  hello.leader_epoch = leader->epoch;
  hello.leader_shard = shard;
  hello.window_bytes = deps_.window_bytes;
  stream->stream = deps_.channel->Open(leader->address, hello, deps_.executor, stream);
  return stream;
}

// --- What replicas want ---

void FollowerStreams::Attach(const AttachTo& attach) {
  Forget(attach.request.topic_partition);
  const auto where = Find(attach.leader);
  if (!where.ok()) return Refuse(attach.request, where.status());
  Leader& leader = leaders_[attach.leader];
  leader.epoch = where->first;
  leader.address = where->second;
  if (leader.shard_count != 0) return Route(attach.leader, &leader, attach.request);
  // Most brokers have as many shards as this one.
  if (leader.streams.empty()) OpenStream(attach.leader, &leader, deps_.shard);
  leader.waiting.push_back(attach.request);
}

void FollowerStreams::Route(NodeId node, Leader* leader, const AttachRequest& request) {
  const int shard = ShardIndexOf(request.topic_partition, leader->shard_count);
  const auto found = leader->streams.find(shard);
  const std::shared_ptr<Stream> stream =
      found != leader->streams.end() ? found->second : OpenStream(node, leader, shard);
  Stream::Carried& carried = stream->carried[request.topic_partition];
  carried.leader_epoch = request.leader_epoch;
  carried.attach = request.attach;
  by_partition_[request.topic_partition] = stream.get();
  stream->outgoing.attaches.push_back(request);
}

void FollowerStreams::Forget(const TopicPartition& partition) {
  for (auto& [node, leader] : leaders_) {
    std::erase_if(leader.waiting, [&](const AttachRequest& request) {
      return request.topic_partition == partition;
    });
  }
  const auto found = by_partition_.find(partition);
  if (found == by_partition_.end()) return;
  found->second->Drop(partition);
  by_partition_.erase(found);
}

void FollowerStreams::Refuse(const AttachRequest& request, const absl::Status& status) {
  refused_.push_back({request.topic_partition, request.leader_epoch, request.attach, status});
}

void FollowerStreams::Tell(const PositionTo& position) {
  const ReplicaPosition& told = position.position;
  const auto found = by_partition_.find(told.topic_partition);
  if (found == by_partition_.end()) return;
  Stream& stream = *found->second;
  Stream::Carried& carried = *stream.Find(told.topic_partition);
  stream.GiveBack(&carried, told.position.written);
  if (stream.leader != position.leader || carried.attach != told.attach) return;
  if (carried.position >= 0) {
    ReplicaPosition& waiting = stream.outgoing.positions[carried.position];
    const std::optional<Offset> log_start = told.log_start ? told.log_start : waiting.log_start;
    const bool same_attach = waiting.attach == told.attach;
    waiting = told;
    if (same_attach) waiting.log_start = log_start;
  } else {
    carried.position = static_cast<int>(stream.outgoing.positions.size());
    stream.outgoing.positions.push_back(told);
  }
}

void FollowerStreams::Detach(const DetachTo& detach) {
  const ReplicaDetach& over = detach.detach;
  const auto is_over = [&](const TopicPartition& partition, const auto& attach) {
    return partition == over.topic_partition && attach.leader_epoch == over.leader_epoch &&
           attach.attach == over.attach;
  };
  for (auto& [node, leader] : leaders_) {
    std::erase_if(leader.waiting, [&](const AttachRequest& request) {
      return is_over(request.topic_partition, request);
    });
  }
  const auto found = by_partition_.find(over.topic_partition);
  if (found == by_partition_.end()) return;
  // What a replica that led before says to a former follower is not for this side.
  if (!is_over(over.topic_partition, *found->second->Find(over.topic_partition))) return;
  found->second->outgoing.detaches.push_back(over);
  // A stream that ends says nothing of why; the in-sync set would be left by lag alone (S-35).
  if (CodeOf(over.status) == ErrorCode::kCorruptLog) found->second->lingers = true;
  Forget(over.topic_partition);
}

bool FollowerStreams::Flush() {
  for (auto leader = leaders_.begin(); leader != leaders_.end();) {
    for (auto at = leader->second.streams.begin(); at != leader->second.streams.end();) {
      Stream& stream = *at->second;
      FollowerMessage& outgoing = stream.outgoing;
      const bool worth_sending = !outgoing.attaches.empty() || !outgoing.positions.empty() ||
                                 !outgoing.detaches.empty() || outgoing.confirms ||
                                 outgoing.credit_bytes >= deps_.window_bytes / 4;
      if (stream.open && worth_sending) {
        for (const ReplicaPosition& sent : outgoing.positions) {
          Stream::Carried* const carried = stream.Find(sent.topic_partition);
          if (carried != nullptr) carried->position = -1;
        }
        stream.stream->Send(std::exchange(outgoing, {}));
      }
      // Nobody follows there any more.
      if (stream.carried.empty() && leader->second.waiting.empty() && !stream.lingers) {
        stream.owner = nullptr;
        stream.stream.reset();
        at = leader->second.streams.erase(at);
      } else {
        ++at;
      }
    }
    leader = leader->second.streams.empty() ? leaders_.erase(leader) : std::next(leader);
  }
  const std::vector<ReplicaDetach> refused = std::exchange(refused_, {});
  for (const ReplicaDetach& detach : refused) deps_.replicas->OnDetached(detach);
  return !refused.empty();
}

// --- What leaders say ---

void FollowerStreams::OnHello(Stream* stream, const LeaderHello& hello) {
  Leader& leader = leaders_.at(stream->leader);
  stream->open = true;
  unreachable_.erase(stream->leader);
  leader.shard_count = hello.shard_count;
  if (hello.shard != stream->shard) {
    // It was asked for by a guess.
    const std::shared_ptr<Stream> self = leader.streams.at(stream->shard);
    leader.streams.erase(stream->shard);
    stream->shard = hello.shard;
    leader.streams.emplace(hello.shard, self);
  }
  for (const AttachRequest& request : std::exchange(leader.waiting, {})) {
    Route(stream->leader, &leader, request);
  }
  deps_.replicas->Drain();
}

void FollowerStreams::OnMessage(Stream* stream, ReceivedLeaderMessage message) {
  // A step may end the stream.
  const std::shared_ptr<Stream> self = leaders_.at(stream->leader).streams.at(stream->shard);
  for (const AttachReply& reply : message.replies) deps_.replicas->OnAttachReply(reply);
  for (ReplicaPush& push : message.pushes) {
    const TopicPartition partition = push.topic_partition;
    const auto bytes = static_cast<int64_t>(push.batches.size());
    const bool current = [&] {
      const Stream::Carried* const carried = stream->Find(partition);
      return carried != nullptr && carried->attach == push.attach;
    }();
    if (deps_.bytes_received != nullptr) deps_.bytes_received->Add(bytes);
    // What was sent for an earlier attach is no use to anybody.
    if (!current) {
      stream->outgoing.credit_bytes += bytes;
      continue;
    }
    const ReplicaPort::LogEnd log = deps_.replicas->OnPush(std::move(push));
    Stream::Carried* const carried = stream->Find(partition);
    if (carried == nullptr || log.end <= log.written) {
      stream->outgoing.credit_bytes += bytes;
    } else if (bytes > 0) {
      carried->unwritten.emplace_back(log.end, bytes);
    }
  }
  for (const ReplicaDetach& detach : message.detaches) {
    const Stream::Carried* const carried = stream->Find(detach.topic_partition);
    if (carried == nullptr || carried->attach != detach.attach) continue;
    Forget(detach.topic_partition);
    deps_.replicas->OnDetached(detach);
  }
  if (message.asks) {
    // What replicas tell now goes with it. One that follows no longer tells nothing.
    stream->outgoing.confirms = true;
    for (const auto& [partition, carried] : stream->carried) deps_.replicas->OnAsked(partition);
  }
  deps_.replicas->Drain();
}

void FollowerStreams::OnClosed(Stream* stream, const absl::Status& status) {
  Leader& leader = leaders_.at(stream->leader);
  const std::shared_ptr<Stream> self = leader.streams.at(stream->shard);
  // Attempts that fail one after the other are told once.
  if (stream->open || unreachable_.insert(stream->leader).second) {
    LOG_INFO("replication", "the stream to a leader has ended",
             {{"leader", stream->leader},
              {"shard", stream->shard},
              {"partitions", stream->carried.size() + leader.waiting.size()},
              {"reason", status.message()}});
  }
  leader.streams.erase(stream->shard);
  Detached(self, status);
  for (const AttachRequest& request : std::exchange(leader.waiting, {})) Refuse(request, status);
  if (leader.streams.empty()) leaders_.erase(stream->leader);
  Flush();
  deps_.replicas->Drain();
}

void FollowerStreams::CloseLeader(NodeId node, const absl::Status& status) {
  Leader leader = std::move(leaders_.at(node));
  leaders_.erase(node);
  for (const auto& [shard, stream] : leader.streams) Detached(stream, status);
  for (const AttachRequest& request : leader.waiting) Refuse(request, status);
}

void FollowerStreams::Detached(const std::shared_ptr<Stream>& stream, const absl::Status& status) {
  stream->owner = nullptr;
  stream->stream.reset();
  for (const auto& [partition, carried] : stream->carried) {
    by_partition_.erase(partition);
    refused_.push_back({partition, carried.leader_epoch, carried.attach, status});
  }
  stream->carried.clear();
}

}  // namespace millrace::broker

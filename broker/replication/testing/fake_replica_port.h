// FakeReplicaPort: replicas that write down what they are told, and push what the test gave them.
//
// Thread: the test's one.
#ifndef BROKER_REPLICATION_TESTING_FAKE_REPLICA_PORT_H_
#define BROKER_REPLICATION_TESTING_FAKE_REPLICA_PORT_H_

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "broker/replication/replica_port.h"
#include "metadata/apply.h"
#include "metadata/image_records.h"
#include "metadata/record_types.h"

namespace millrace::broker {

inline TopicPartition PartitionNumber(int index) {
  return {TopicId(Uuid(9, 9)), PartitionIndex(index)};
}

// An image with these brokers, by (id, epoch), each at "host<id>:9092".
inline std::shared_ptr<const metadata::Image> ImageOf(std::vector<std::pair<int, int>> brokers) {
  // A registration's epoch is its place in the log.
  std::sort(brokers.begin(), brokers.end(),
            [](const auto& a, const auto& b) { return a.second < b.second; });
  metadata::Image image;
  for (const auto& [id, epoch] : brokers) {
    metadata::BrokerImage broker;
    broker.id = NodeId(id);
    broker.incarnation = IncarnationId(Uuid(5, static_cast<uint64_t>(epoch)));
    broker.feature_level_min = broker.feature_level_max = 1;
    broker.listeners = {{"PUBLIC", "public", 9092}, {"INTERNAL", absl::StrCat("host", id), 9093}};
    image = metadata::Apply(image, LogIndex(epoch),
                            {metadata::Encode(metadata::RegistrationRecordOf(broker))});
  }
  return std::make_shared<const metadata::Image>(std::move(image));
}

class FakeReplicaPort : public ReplicaPort {
 public:
  void OnAttachReply(const AttachReply& reply) override {
    Say("reply", reply.topic_partition, absl::StrCat("#", reply.attach));
  }
  LogEnd OnPush(ReplicaPush push) override {
    Say("push", push.topic_partition,
        absl::StrCat("#", push.attach, " @", push.base_offset.value(), " ", push.batches.size(),
                     " hw ", push.high_watermark.value()));
    return log;
  }
  void OnDetached(const ReplicaDetach& detach) override {
    Say("detached", detach.topic_partition,
        absl::StrCat("#", detach.attach, " ", ErrorCodeName(CodeOf(detach.status))));
  }
  void OnAsked(const TopicPartition& partition) override {
    Say("asked", partition, "");
    if (on_asked) on_asked(partition);
  }
  void OnAttach(const FollowerId& follower, const AttachRequest& request) override {
    Say("attach", request.topic_partition,
        absl::StrCat("#", request.attach, " of ", follower.broker.value()));
  }
  void OnFollowerPosition(const FollowerId& follower, const ReplicaPosition& position) override {
    Say("position", position.topic_partition,
        absl::StrCat(position.position.written.value(), " of ", follower.broker.value()));
  }
  void OnFollowerConfirmed(const FollowerId& follower, const ReplicaPosition& position,
                           MonotonicTime asked_at) override {
    Say("confirmed", position.topic_partition,
        absl::StrCat("of ", follower.broker.value(), " asked at ", asked_at.nanos()));
  }
  void OnFollowerDetached(const FollowerId& follower, const ReplicaDetach& detach) override {
    Say("follower detached", detach.topic_partition, absl::StrCat("of ", follower.broker.value()));
  }
  void OnFollowerGone(const FollowerId& follower, const TopicPartition& partition) override {
    Say("gone", partition, absl::StrCat("of ", follower.broker.value()));
  }
  bool IsThrottled(NodeId follower, const TopicPartition& partition) override {
    return throttled.contains({follower, partition});
  }
  std::optional<PendingPush> TakePush(NodeId follower, const TopicPartition& partition,
                                      size_t bytes_max) override {
    ++takes;
    std::deque<PendingPush>& queue = pushes[{follower, partition}];
    if (queue.empty()) return std::nullopt;
    last_bytes_max = bytes_max;
    PendingPush push = std::move(queue.front());
    queue.pop_front();
    return push;
  }
  void OnPushRead(NodeId follower, const ReplicaPush& header,
                  const absl::StatusOr<storage::ReadResult>& read) override {
    Say("read", header.topic_partition,
        absl::StrCat(read.ok() ? "ok" : "failed", " for ", follower.value()));
    if (on_read) on_read();
  }
  void Drain() override {
    ++drains;
    if (on_drain) on_drain();
  }

  // --- The test's side ---
  // What there is to push, in order; of `bytes` bytes, on the disk if `cold`.
  void Add(NodeId follower, int partition, uint64_t attach, int64_t base, size_t bytes,
           bool cold = false, absl::Status status = absl::OkStatus()) {
    PendingPush push;
    push.read.cold_reads = cold_reads[partition];
    push.header.topic_partition = PartitionNumber(partition);
    push.header.leader_epoch = LeaderEpoch(1);
    push.header.attach = attach;
    push.header.base_offset = Offset(base);
    push.header.high_watermark = Offset(base);
    push.header.log_start = Offset(0);
    storage::ReadResult result{{}, Offset(base + 1), bytes};
    if (bytes > 0) result.pieces = {Bytes::FromString(std::string(bytes, 'b'))};
    if (cold) {
      push.read.cold = [result, status]() -> absl::StatusOr<storage::ReadResult> {
        if (!status.ok()) return status;
        return result;
      };
    } else {
      push.read.result = std::move(result);
    }
    pushes[{follower, PartitionNumber(partition)}].push_back(std::move(push));
  }
  std::vector<std::string> TakeSaid() { return std::exchange(said, {}); }

  LogEnd log = {Offset(0), Offset(0)};
  std::map<std::pair<NodeId, TopicPartition>, std::deque<PendingPush>> pushes;
  // By partition.
  std::map<int, Executor*> cold_reads;
  std::set<std::pair<NodeId, TopicPartition>> throttled;
  std::vector<std::string> said;
  int takes = 0;
  int drains = 0;
  size_t last_bytes_max = 0;
  // What the shard would do.
  std::function<void()> on_drain;
  std::function<void()> on_read;
  std::function<void(const TopicPartition&)> on_asked;

 private:
  void Say(const char* what, const TopicPartition& partition, const std::string& more) {
    said.push_back(absl::StrCat(what, " p", partition.partition.value(), " ", more));
  }
};

}  // namespace millrace::broker

#endif  // BROKER_REPLICATION_TESTING_FAKE_REPLICA_PORT_H_

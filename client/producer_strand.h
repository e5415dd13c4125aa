// ProducerStrand: the producer's half that lives on its I/O strand: it feeds the core with records,
// leaders and answers, does what the core says through a LogChannel, and calls back for each
// record.
//
// The other half, which callers see, is producer.cc. What both touch is here as atomics
// (ProducerShared) and RecordSlots.
//
// Thread: all on the strand, except the constructor; destroyed after the strand has ended.
#ifndef CLIENT_PRODUCER_STRAND_H_
#define CLIENT_PRODUCER_STRAND_H_

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/deadline_timer.h"
#include "base/executor.h"
#include "client/log_channel.h"
#include "client/producer_core.h"
#include "client/record_slot.h"
#include "client/topic_news.h"
#include "client/topic_table.h"
#include "rpc/wakeup.h"

namespace millrace::client {

// What a producer's caller and its strand share.
struct ProducerShared {
  TopicNews news;

  // Records that were sent and whose callback has not run yet, and what they count.
  std::atomic<int64_t> records{0};
  std::atomic<int64_t> memory{0};
  // The caller waits for one of the two to fall.
  std::atomic<bool> waiting{false};
  rpc::Wakeup fell;
};

// A partition of a topic that the producer has sent to.
struct ProducerPartition {
  ProducerPartition(std::string topic_name, TopicId id, PartitionIndex index,
                    record::Compression compression)
      : topic(std::move(topic_name)), topic_id(id), partition(index), slot(compression) {}

  const std::string topic;
  const TopicId topic_id;
  const PartitionIndex partition;
  RecordSlot slot;
  // Batches begun by the caller and not yet told their fate by the strand.
  std::atomic<int64_t> batches{0};
  // The core's name for it. The strand's.
  SlotIndex index{-1};
};

class ProducerStrand final : public LogChannelEvents, public BatchSource {
 public:
  // All but the options outlive the strand; `channel` is given before anything else happens.
  ProducerStrand(ProducerCoreOptions options, Executor* executor, const Clock* clock,
                 ProducerShared* shared)
      : options_(options),
        clock_(clock),
        shared_(shared),
        core_(std::move(options), this),
        timer_(executor, [this] { OnDeadline(); }) {}
  void SetChannel(LogChannel* channel) { channel_ = channel; }

  // Adds to the topics watched.
  void WatchTopic(const std::string& topic);
  // `partition` outlives the strand.
  void AddPartition(ProducerPartition* partition);
  void RecordsAdded(ProducerPartition* partition, bool full);
  void SetFlushing(bool flushing);
  void FailAll(const absl::Status& why);

  void OnTopics(const api::WatchTopicsResponse& topics) override;
  void OnWatchDown(const absl::Status& why) override;
  void OnWatchRefused(const absl::Status& why) override;
  void OnProduceUp(NodeId broker) override;
  void OnProduceDown(NodeId broker, const absl::Status& why) override;
  void OnProduced(NodeId broker, const api::ProduceStreamResponse& response) override;

  bool Take(SlotIndex slot, bool open_too, std::vector<CoreBatch>* batches) override;

 private:
  // A batch that the core has: whom to tell of it.
  struct Pending {
    std::vector<DeliveryCallback> callbacks;
    int64_t memory = 0;
  };

  void OnDeadline();
  // Does what the core wants done, until it wants nothing more.
  void Step();
  void Connect(NodeId broker);
  void AskProducerId(NodeId broker);
  // Empty if it is not known (yet).
  std::string AddressOf(NodeId broker) const;
  void Deliver(const ProducerOutput::Fate& fate);

  const ProducerCoreOptions options_;
  const Clock* const clock_;
  ProducerShared* const shared_;
  LogChannel* channel_ = nullptr;
  ProducerCore core_;
  DeadlineTimer timer_;
  TopicTable table_;
  // Addresses of leaders that hints told, where the table has none.
  std::map<NodeId, std::string> hinted_addresses_;
  std::set<std::string> topics_;
  std::vector<ProducerPartition*> partitions_;
  std::map<BatchToken, Pending> pending_;
  uint64_t next_token_ = 1;
};

}  // namespace millrace::client

#endif  // CLIENT_PRODUCER_STRAND_H_

// ConsumerStrand: the consumer's half that lives on its I/O strand: it feeds the core with leaders
// and answers, does what the core says through a LogChannel, and hands what was fetched to the
// caller through an inbox.
//
// The other half, which callers see, is consumer.cc.
//
// Thread: all on the strand, except the constructor; destroyed after the strand has ended.
// ConsumerInbox: Put on the strand, the rest by the caller.
#ifndef CLIENT_CONSUMER_STRAND_H_
#define CLIENT_CONSUMER_STRAND_H_

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/deadline_timer.h"
#include "base/executor.h"
#include "client/consumer_core.h"
#include "client/log_channel.h"
#include "client/topic_news.h"
#include "client/topic_table.h"
#include "rpc/wakeup.h"

namespace millrace::client {

// From the strand to the caller, in order, without a lock: a list that grows at its head, taken as
// a whole and turned round.
class ConsumerInbox {
 public:
  using Item =
      std::variant<ConsumerOutput::Fetched, ConsumerOutput::Resolved, ConsumerOutput::Failed>;

  ConsumerInbox() = default;
  ~ConsumerInbox() { TakeAll(); }
  ConsumerInbox(const ConsumerInbox&) = delete;
  ConsumerInbox& operator=(const ConsumerInbox&) = delete;

  void Put(Item item);
  // All that is there, oldest first.
  std::vector<Item> TakeAll();
  // Until there is something, or the time has passed.
  void Wait(absl::Duration timeout) { arrived_.WaitFor(timeout); }

 private:
  struct Node {
    Item item;
    Node* next;
  };
  std::atomic<Node*> head_{nullptr};
  rpc::Wakeup arrived_;
};

class ConsumerStrand final : public LogChannelEvents {
 public:
  // All but the options outlive the strand; `channel` is given before anything else happens.
  ConsumerStrand(ConsumerCoreOptions options, absl::Duration request_timeout, Executor* executor,
                 const Clock* clock, TopicNews* news, ConsumerInbox* inbox)
      : request_timeout_(request_timeout),
        clock_(clock),
        news_(news),
        inbox_(inbox),
        core_(std::move(options)),
        timer_(executor, [this] {
          core_.OnTime(clock_->Now());
          Step();
        }) {}
  void SetChannel(LogChannel* channel) { channel_ = channel; }

  // Adds to the topics watched.
  void WatchTopics(const std::set<std::string>& topics);
  void Assign(const std::map<NamedPartition, Position>& partitions, uint64_t generation);
  void Seek(const NamedPartition& partition, Position to, uint64_t generation);
  void Pause(const NamedPartition& partition, uint64_t generation);
  void Resume(const NamedPartition& partition, const std::optional<Position>& from,
              uint64_t generation);
  void Consumed(const CreditSource& source, int64_t bytes);
  // Asks `broker` itself, for the caller.
  void ListOffsets(NodeId broker, const api::ListOffsetsRequest& request, absl::Duration timeout,
                   LogChannel::ListOffsetsCallback done);

  void OnTopics(const api::WatchTopicsResponse& topics) override;
  void OnWatchDown(const absl::Status& why) override { news_->WatchFailed(why); }
  void OnWatchRefused(const absl::Status& why) override { news_->WatchRefused(why); }
  void OnFetchDown(NodeId broker, const absl::Status& why) override;
  void OnFetched(NodeId broker, api::FetchStreamResponse response) override;

 private:
  // Does what the core wants done, until it wants nothing more.
  void Step();
  void Connect(NodeId broker);
  std::string AddressOf(NodeId broker) const;
  absl::Status UnknownAddress(NodeId broker) const;
  void Ask(const ConsumerOutput::Check& check);

  const absl::Duration request_timeout_;
  const Clock* const clock_;
  TopicNews* const news_;
  ConsumerInbox* const inbox_;
  LogChannel* channel_ = nullptr;
  ConsumerCore core_;
  DeadlineTimer timer_;
  TopicTable table_;
  // Addresses of leaders that hints told, where the table has none.
  std::map<NodeId, std::string> hinted_addresses_;
  std::set<std::string> topics_;
};

}  // namespace millrace::client

#endif  // CLIENT_CONSUMER_STRAND_H_

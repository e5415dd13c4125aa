// Forwarder: any broker serves any partition. It splits a unary call by who leads its partitions:
// what this broker leads goes to its own gather, the rest is passed on to the leaders, once, and
// all answers become one again. So a plain client behind one address for all brokers works; a
// client of ours goes to the leader directly, by the hint that every such answer carries (S-40).
//
// What is passed on counts against a budget of its own, and is refused beyond it rather than made
// to wait (S-37). A call that came from another broker is answered here in any case.
//
// Not here: produce streams, which pass on what their clients want passed on, by what this offers
// them (produce_stream.h); fetch streams, which are told who leads and are opened there.
//
// Thread: its gather's edge, where all callbacks run too.
#ifndef BROKER_FORWARDER_H_
#define BROKER_FORWARDER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "api/partition_name.h"
#include "base/memory_budget.h"
#include "broker/forward_channel.h"
#include "broker/gather.h"
#include "broker/ongoing_fetch.h"
#include "metadata/image.h"

namespace millrace::broker {

class Forwarder {
 public:
  struct Options {
    NodeId self = kNoNode;
    // Of the addresses by which brokers reach each other; empty: the first that a broker has.
    std::string listener;
    // Of produced batches that are under way to other brokers.
    int64_t bytes_max = 32 << 20;
  };

  // `gather` outlives this, and this outlives its calls.
  Forwarder(Options options, Gather* gather, std::unique_ptr<ForwardChannel> channel)
      : options_(std::move(options)),
        gather_(gather),
        channel_(std::move(channel)),
        budget_(options_.bytes_max) {}

  // As the gather's.
  void Produce(api::ProduceRequest request, const Caller& caller,
               absl::AnyInvocable<void(api::ProduceResponse) &&> done);
  // Gone, or at an end, once it has answered.
  std::weak_ptr<OngoingFetch> Fetch(api::FetchRequest request, const Caller& caller,
                                    absl::AnyInvocable<void(api::FetchResponse) &&> done);
  void ListOffsets(api::ListOffsetsRequest request, const Caller& caller,
                   absl::AnyInvocable<void(api::ListOffsetsResponse) &&> done);
  void DeleteRecords(api::DeleteRecordsRequest request, const Caller& caller,
                     absl::AnyInvocable<void(api::DeleteRecordsResponse) &&> done);
  void OffsetForLeaderEpoch(api::OffsetForLeaderEpochRequest request, const Caller& caller,
                            absl::AnyInvocable<void(api::OffsetForLeaderEpochResponse) &&> done);

  // --- For produce streams ---
  NodeId self() const { return options_.self; }
  // Who is to answer for the partition: its leader, or this broker if there is none that can be
  // reached. `nearby`: this broker answers what it has in sync, whoever leads.
  NodeId AnswererOf(const api::PartitionName& name, bool nearby = false) const;
  // A stream of batches to `broker`, which AnswererOf named.
  std::unique_ptr<ForwardStream> OpenProduceStream(NodeId broker, std::weak_ptr<ForwardSink> sink) {
    return channel_->OpenProduceStream(AddressOf(broker), std::move(sink));
  }
  // A part of the budget for `bytes` on their way to other brokers. Errors: RESOURCE_EXHAUSTED.
  absl::StatusOr<Reservation> Reserve(int64_t bytes);
  // Tells the caller who leads, so that it goes there next time.
  template <class Result>
  void NameLeader(const Caller& caller, NodeId leader, Result* result) const;

 private:
  class FetchRound;
  // Positions in a request, by who answers them; this broker itself for what nobody leads.
  using Parts = std::map<NodeId, std::vector<size_t>>;

  template <class Request>
  Parts Split(const Request& request, bool nearby = false) const;
  std::string AddressOf(NodeId broker) const;
  bool IsHereAlone(const Parts& parts) const {
    return parts.empty() || (parts.size() == 1 && parts.begin()->first == options_.self);
  }
  template <class Response, class Request, class Here, class There>
  void Pass(Request request, const Parts& parts, const Caller& caller,
            absl::AnyInvocable<void(Response) &&> done, Here here, There there);

  const Options options_;
  Gather* const gather_;
  const std::unique_ptr<ForwardChannel> channel_;
  MemoryBudget budget_;
};

template <class Result>
void Forwarder::NameLeader(const Caller& caller, NodeId leader, Result* result) const {
  if (result->outcome.leader.has_value()) {
    return gather_->FillHint(caller, &result->outcome);
  }
  const metadata::TopicImage* topic = gather_->edge()->image()->FindTopic(result->name.topic_id);
  const metadata::PartitionImage* partition =
      topic == nullptr ? nullptr : topic->FindPartition(result->name.partition);
  if (partition == nullptr || partition->leader != leader) return;
  result->outcome.leader = LeaderHint{leader, partition->leader_epoch, ""};
  gather_->FillHint(caller, &result->outcome);
}

}  // namespace millrace::broker

#endif  // BROKER_FORWARDER_H_

// Gather: the edge of one shard, where calls come in. It finds out which partitions a call means,
// splits it over the shards that own them, and gathers the answers. What belongs to the edge's own
// shard is served by a plain call: no hand-off between threads.
//
// Not here: what a partition answers (shard.h, replica.h); the streams, which are objects of their
// own over this (produce_stream.h, fetch_stream.h, topic_watch.h).
//
// Thread: its edge shard's executor, where all callbacks run too.
#ifndef BROKER_GATHER_H_
#define BROKER_GATHER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "api/delete_records.h"
#include "api/fetch.h"
#include "api/list_offsets.h"
#include "api/offset_for_leader_epoch.h"
#include "api/partition_name.h"
#include "api/produce.h"
#include "broker/replication/shard_index.h"
#include "broker/shard.h"
#include "metadata/authorizer.h"

namespace millrace::broker {

class FetchCall;

// Who calls, and by which listener: the addresses in leader hints are that listener's.
struct Caller {
  std::string listener;
  metadata::Principal principal;
  // Another broker passed the call on: it is answered here (S-40).
  bool forwarded = false;
};

struct GatherOptions {
  // This broker.
  NodeId self = kNoNode;
  // replica.selector.class: whether readers may be served by a replica in their rack.
  bool reads_by_rack = true;
  // No answer gets larger than this, whatever the client allows.
  int64_t fetch_bytes_max = 55 << 20;
  // Longest waits, whatever the client asks for.
  absl::Duration produce_timeout_max = absl::Minutes(5);
  absl::Duration fetch_wait_max = absl::Minutes(5);
};

class Gather {
 public:
  // `shards` in order of index, the edge's among them; `authorizer` may be null (all is allowed)
  // and outlives this.
  Gather(int edge, std::vector<std::shared_ptr<Shard>> shards,
         const metadata::Authorizer* authorizer, const GatherOptions& options);

  void Produce(api::ProduceRequest request, const Caller& caller,
               absl::AnyInvocable<void(api::ProduceResponse) &&> done);
  // Gone once it has answered.
  std::weak_ptr<FetchCall> Fetch(api::FetchRequest request, const Caller& caller,
                                 absl::AnyInvocable<void(api::FetchResponse) &&> done);
  void ListOffsets(api::ListOffsetsRequest request, const Caller& caller,
                   absl::AnyInvocable<void(api::ListOffsetsResponse) &&> done);
  void DeleteRecords(api::DeleteRecordsRequest request, const Caller& caller,
                     absl::AnyInvocable<void(api::DeleteRecordsResponse) &&> done);
  void OffsetForLeaderEpoch(api::OffsetForLeaderEpochRequest request, const Caller& caller,
                            absl::AnyInvocable<void(api::OffsetForLeaderEpochResponse) &&> done);

  // --- For the calls that are objects of their own ---
  // The partition that `name` means. Errors: UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID,
  // BROKER_NOT_AVAILABLE before the first image.
  absl::StatusOr<TopicPartition> Resolve(const api::PartitionName& name, const Caller& caller,
                                         metadata::Operation operation) const;
  // One partition of a produce; `done` runs here.
  void ProduceOne(ShardProduce produce, ShardProduceDone done);
  // One pass of reading at `shard`; `done` runs here.
  void Read(const std::shared_ptr<Shard>& shard, std::vector<ShardFetchItem> items,
            FetchBudget budget, ShardFetchDone done);
  // A fetch was parked since then, and is so no more.
  void NoteWait(MonotonicTime parked) const {
    edge()->metrics().Stage(FetchStage::kWait, now() - parked);
  }
  // The partition's own shard; calls on it go through On.
  const std::shared_ptr<Shard>& ShardOf(const TopicPartition& topic_partition) const;
  // Runs `task` on `shard`: at once if that is the edge.
  void On(const std::shared_ptr<Shard>& shard, Task task) const;
  // The reverse, from a task on `shard`: runs `task` here.
  void Back(const Shard& shard, Task task) const;
  // Completes a leader hint with the leader's address on the caller's listener (S-40).
  void FillHint(const Caller& caller, api::PartitionOutcome* outcome) const;
  // Whether a reader in `rack` is this broker's neighbour, so that its followers may serve it too.
  bool IsNearby(absl::string_view rack) const;
  // Where a reader in `rack` may better read what this broker has served; see near_replica.h.
  std::optional<NodeId> NearReplica(const TopicPartition& topic_partition,
                                    absl::string_view rack) const;
  // Until when to wait for a produce that came at `arrived`.
  MonotonicTime ProduceDeadline(absl::Duration timeout, MonotonicTime arrived) const;
  // Never used before in this broker.
  ParkId NewParkId();

  const std::shared_ptr<Shard>& edge() const { return shards_[edge_]; }
  const GatherOptions& options() const { return options_; }
  MonotonicTime now() const { return edge()->clock().Now(); }

 private:
  template <class Response, class Request, class Ask>
  void AskEach(Request request, const Caller& caller, metadata::Operation operation,
               absl::AnyInvocable<void(Response) &&> done, Ask ask);

  const int edge_;
  const std::vector<std::shared_ptr<Shard>> shards_;
  const metadata::Authorizer* const authorizer_;
  const GatherOptions options_;
  uint64_t next_park_ = 0;
  // Of fetches: where each begins among its partitions.
  uint64_t rotation_ = 0;
};

}  // namespace millrace::broker

#endif  // BROKER_GATHER_H_

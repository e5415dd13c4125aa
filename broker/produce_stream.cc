#include "broker/produce_stream.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace millrace::broker {

struct ProduceStream::Request {
  uint64_t number = 0;
  size_t unanswered = 0;
  // Results that wait to be sent together, and since when.
  std::vector<api::ProducePartitionResult> ready;
  MonotonicTime ready_since;
  bool send_posted = false;
};

struct ProduceStream::Slot {
  std::shared_ptr<Request> request;
  std::optional<api::ProducePartitionResult> result;
  // When its shard answered; the beginning of time if none was asked.
  MonotonicTime answered;
};

struct ProduceStream::Lane {
  // Of a partition that was found: shared with its shard.
  std::shared_ptr<StreamOrder> order = std::make_shared<StreamOrder>();
  // In the order of the batches; a result goes out when it is at the front.
  std::deque<std::shared_ptr<Slot>> slots;
};

struct ProduceStream::State {
  Gather* gather;
  Caller caller;
  // Null once the stream is gone.
  Sink sink;
  int64_t outstanding = 0;
  // Ordered maps: their nodes stay where they are.
  std::map<TopicPartition, Lane> lanes;
  // Partitions that could not be found, by the name that was asked for.
  std::map<api::PartitionName, Lane> lost;
};

ProduceStream::ProduceStream(Gather* gather, const Caller& caller, Sink sink)
    : state_(std::make_shared<State>()) {
  state_->gather = gather;
  state_->caller = caller;
  state_->sink = std::move(sink);
}

ProduceStream::~ProduceStream() { state_->sink = nullptr; }

int64_t ProduceStream::outstanding() const { return state_->outstanding; }

void ProduceStream::Handle(api::ProduceStreamRequest stream_request) {
  auto request = std::make_shared<Request>();
  request->number = stream_request.request_number;
  api::ProduceRequest& produce = stream_request.request;
  request->unanswered = produce.partitions.size();
  if (produce.partitions.empty()) return state_->sink({request->number, {}});
  const MonotonicTime arrived = state_->gather->now();
  const MonotonicTime deadline = state_->gather->ProduceDeadline(produce.timeout, arrived);
  state_->outstanding += static_cast<int64_t>(produce.partitions.size());
  for (api::ProducePartition& partition : produce.partitions) {
    HandlePartition(std::move(partition), request, produce.acks, arrived, deadline);
  }
}

void ProduceStream::HandlePartition(api::ProducePartition partition,
                                    const std::shared_ptr<Request>& request, api::Acks acks,
                                    MonotonicTime arrived, MonotonicTime deadline) {
  api::ProducePartitionResult result;
  const absl::StatusOr<TopicPartition> resolved =
      state_->gather->Resolve(partition.name, state_->caller, metadata::Operation::kWrite);
  Lane* const lane = resolved.ok() ? &state_->lanes[*resolved] : &state_->lost[partition.name];
  auto slot = std::make_shared<Slot>();
  slot->request = request;
  lane->slots.push_back(slot);
  // A partition that was lost and is there now goes on as one that failed there would.
  const auto lost = state_->lost.find(partition.name);
  const bool was_lost = lost != state_->lost.end() && lost->second.order->broken;
  if (was_lost && partition.restart <= lost->second.order->restart) {
    result.outcome = api::PartitionOutcome::Of(
        MakeError(ErrorCode::kStreamOrderBroken,
                  "an earlier batch for this partition failed on this stream, so this one was not "
                  "appended; send them again in order, with a higher `restart`",
                  {.name = "restart", .value = absl::StrCat(partition.restart)}));
  } else if (!resolved.ok()) {
    *lane->order = {true, partition.restart};
    result.outcome = api::PartitionOutcome::Of(resolved.status());
  }
  result.name = std::move(partition.name);
  if (!result.outcome.ok()) return Complete(state_, lane, slot, std::move(result));
  result.name.topic_id = resolved->topic_id;

  ShardProduce produce;
  produce.topic_partition = *resolved;
  produce.order = lane->order;
  produce.restart = partition.restart;
  produce.event.batches = std::move(partition.batches);
  produce.event.leader_epoch = partition.leader_epoch;
  produce.event.topic_checksum = partition.topic_checksum;
  produce.event.acks = acks;
  produce.event.deadline = deadline;
  produce.event.arrived = arrived;
  state_->gather->ProduceOne(
      std::move(produce),
      [state = state_, lane, slot, result = std::move(result)](ProduceReply reply) mutable {
        result.outcome = std::move(reply.outcome);
        result.base_offset = reply.base_offset;
        result.log_append_time_ms = reply.log_append_time_ms;
        result.log_start_offset = reply.log_start_offset;
        result.level = reply.level;
        slot->answered = reply.answered;
        state->gather->FillHint(state->caller, &result.outcome);
        Complete(state, lane, slot, std::move(result));
      });
}

void ProduceStream::Complete(const std::shared_ptr<State>& state, Lane* lane,
                             const std::shared_ptr<Slot>& slot,
                             api::ProducePartitionResult result) {
  slot->result = std::move(result);
  while (!lane->slots.empty() && lane->slots.front()->result) {
    const std::shared_ptr<Slot> front = std::move(lane->slots.front());
    lane->slots.pop_front();
    --state->outstanding;
    const std::shared_ptr<Request>& request = front->request;
    if (request->ready.empty()) request->ready_since = front->answered;
    request->ready.push_back(*std::move(front->result));
    if (--request->unanswered == 0) {
      Send(state, request);
    } else if (!request->send_posted) {
      // Others of this request may be answered in the same breath: they go out in one message.
      request->send_posted = true;
      state->gather->edge()->executor()->Post([state, request] {
        request->send_posted = false;
        Send(state, request);
      });
    }
  }
}

void ProduceStream::Send(const std::shared_ptr<State>& state,
                         const std::shared_ptr<Request>& request) {
  if (state->sink == nullptr || request->ready.empty()) return;
  if (request->ready_since != MonotonicTime()) {
    state->gather->edge()->metrics().Stage(ProduceStage::kReply,
                                           state->gather->now() - request->ready_since);
  }
  state->sink({request->number, std::exchange(request->ready, {})});
}

}  // namespace millrace::broker

#include "broker/produce_stream.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/deadline_timer.h"
#include "base/mutant.h"
#include "base/status.h"
#include "broker/forward_lane.h"
#include "broker/forwarder.h"

namespace millrace::broker {
namespace {

// Of one stream's batches at other brokers: what a client has in flight, and more than a link
// holds.
constexpr int64_t kForwardedBytesMax = 4 << 20;
// Beyond what the leader may take itself: its answer then says more than silence would.
constexpr absl::Duration kForwardMargin = absl::Seconds(2);

absl::Status OrderBroken(uint32_t restart) {
  return MakeError(ErrorCode::kStreamOrderBroken,
                   "an earlier batch for this partition failed on this stream, so this one was not "
                   "appended; send them again in order, with a higher `restart`",
                   {.name = "restart", .value = absl::StrCat(restart)});
}

}  // namespace

struct ProduceStream::Request {
  uint64_t number = 0;
  api::Acks acks = api::Acks::kUnspecified;
  absl::Duration timeout;
  std::string client_id;
  MonotonicTime arrived;
  MonotonicTime deadline;
  size_t unanswered = 0;
  // Results that wait to be sent together, and since when.
  std::vector<api::ProducePartitionResult> ready;
  MonotonicTime ready_since;
  bool send_posted = false;
};

struct ProduceStream::Slot {
  std::shared_ptr<Request> request;
  uint32_t restart = 0;
  std::optional<api::ProducePartitionResult> result;
  // When its shard answered; the beginning of time if none was asked.
  MonotonicTime answered;
};

struct ProduceStream::Lane {
  // As it was asked for first.
  api::PartitionName name;
  // Of a partition that was found: shared with its shard.
  std::shared_ptr<StreamOrder> order = std::make_shared<StreamOrder>();
  // In the order of the batches; a result goes out when it is at the front.
  std::deque<std::shared_ptr<Slot>> slots;
  // The greatest restart number under which a batch failed.
  std::optional<uint32_t> failed;
  // Who its batches go to; kNoNode: to nobody yet.
  NodeId answerer = kNoNode;
  // If that is another broker: on the way there, and until when to wait.
  std::shared_ptr<ForwardLane> forward;
  std::unique_ptr<DeadlineTimer> forward_timer;

  bool Failed(uint32_t restart) const { return failed && restart <= *failed; }
};

struct ProduceStream::State {
  Gather* gather;
  // Null if nothing is passed on, by what the client asked for.
  Forwarder* forwarder;
  Caller caller;
  // Null once the stream is gone.
  Sink sink;
  // The first message has come.
  bool begun = false;
  int64_t outstanding = 0;
  int64_t forwarded_bytes = 0;
  // Of images, from the first lane that goes elsewhere on.
  std::optional<uint64_t> subscription;
  // Ordered maps: their nodes stay where they are.
  std::map<TopicPartition, Lane> lanes;
  // Partitions that could not be found, by the name that was asked for.
  std::map<api::PartitionName, Lane> lost;
};

ProduceStream::ProduceStream(Gather* gather, Forwarder* forwarder, const Caller& caller, Sink sink)
    : state_(std::make_shared<State>()) {
  state_->gather = gather;
  state_->forwarder = caller.forwarded ? nullptr : forwarder;
  state_->caller = caller;
  state_->sink = std::move(sink);
}

ProduceStream::~ProduceStream() {
  state_->sink = nullptr;
  if (state_->subscription) state_->gather->edge()->Unsubscribe(*state_->subscription);
  for (auto& [topic_partition, lane] : state_->lanes) {
    lane.forward = nullptr;
    lane.forward_timer = nullptr;
  }
}

int64_t ProduceStream::outstanding() const { return state_->outstanding; }

bool ProduceStream::may_read() const { return state_->forwarded_bytes < kForwardedBytesMax; }

void ProduceStream::Handle(api::ProduceStreamRequest stream_request) {
  if (!std::exchange(state_->begun, true) && !stream_request.forward) state_->forwarder = nullptr;
  auto request = std::make_shared<Request>();
  request->number = stream_request.request_number;
  api::ProduceRequest& produce = stream_request.request;
  request->acks = produce.acks;
  request->timeout = produce.timeout;
  request->client_id = std::move(produce.client_id);
  request->unanswered = produce.partitions.size();
  if (produce.partitions.empty()) return state_->sink({request->number, {}});
  request->arrived = state_->gather->now();
  request->deadline = state_->gather->ProduceDeadline(produce.timeout, request->arrived);
  state_->outstanding += static_cast<int64_t>(produce.partitions.size());
  for (api::ProducePartition& partition : produce.partitions) {
    HandlePartition(std::move(partition), request);
  }
}

void ProduceStream::HandlePartition(api::ProducePartition partition,
                                    const std::shared_ptr<Request>& request) {
  api::ProducePartitionResult result;
  const absl::StatusOr<TopicPartition> resolved =
      state_->gather->Resolve(partition.name, state_->caller, metadata::Operation::kWrite);
  Lane* const lane = resolved.ok() ? &state_->lanes[*resolved] : LaneOfLost(partition.name);
  if (lane->name == api::PartitionName()) lane->name = partition.name;
  // Nothing that was sent before can still fail, and nothing has that is not known to the client.
  const bool settled = lane->slots.empty() && !lane->Failed(partition.restart);
  auto slot = std::make_shared<Slot>();
  slot->request = request;
  slot->restart = partition.restart;
  lane->slots.push_back(slot);
  // A partition that was lost and is there now goes on as one that failed there would.
  const auto lost = state_->lost.find(partition.name);
  const bool was_lost = lost != state_->lost.end() && lost->second.order->broken;
  if (was_lost && partition.restart <= lost->second.order->restart) {
    result.outcome = api::PartitionOutcome::Of(OrderBroken(partition.restart));
  } else if (!resolved.ok()) {
    *state_->lost[partition.name].order = {true, partition.restart};
    result.outcome = api::PartitionOutcome::Of(resolved.status());
  }
  result.name = std::move(partition.name);
  if (!result.outcome.ok()) return Complete(state_, lane, slot, std::move(result));
  result.name.topic_id = resolved->topic_id;
  if (IsElsewhere(lane, result.name, settled)) {
    return PassOn(std::move(partition), lane, slot, std::move(result));
  }
  Append(std::move(partition), *resolved, lane, slot, std::move(result));
}

// Batches that were sent when the partition was there may not be answered yet: behind them.
ProduceStream::Lane* ProduceStream::LaneOfLost(const api::PartitionName& name) {
  Lane* last = nullptr;
  for (auto& [topic_partition, lane] : state_->lanes) {
    if (lane.slots.empty() || lane.name != name) continue;
    const auto number = [](const Lane& of) { return of.slots.back()->request->number; };
    if (last == nullptr || number(lane) > number(*last)) last = &lane;
  }
  return last != nullptr ? last : &state_->lost[name];
}

void ProduceStream::Append(api::ProducePartition partition, const TopicPartition& topic_partition,
                           Lane* lane, const std::shared_ptr<Slot>& slot,
                           api::ProducePartitionResult result) {
  ShardProduce produce;
  produce.topic_partition = topic_partition;
  produce.order = lane->order;
  produce.restart = partition.restart;
  produce.event.batches = std::move(partition.batches);
  produce.event.leader_epoch = partition.leader_epoch;
  produce.event.topic_checksum = partition.topic_checksum;
  produce.event.acks = slot->request->acks;
  produce.event.deadline = slot->request->deadline;
  produce.event.arrived = slot->request->arrived;
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

// --- Other brokers ---

bool ProduceStream::IsElsewhere(Lane* lane, const api::PartitionName& name, bool settled) {
  if (state_->forwarder == nullptr) return false;
  if (settled || MUTANT("broker.stream-follows-leader-at-once")) {
    const NodeId answerer = state_->forwarder->AnswererOf(name);
    if (lane->answerer != answerer) lane->forward = nullptr;
    lane->answerer = answerer;
  }
  return lane->answerer != kNoNode && lane->answerer != state_->forwarder->self();
}

void ProduceStream::OpenForward(Lane* lane) {
  lane->forward = std::make_shared<ForwardLane>();
  lane->forward->Begin(state_->forwarder->OpenProduceStream(lane->answerer, lane->forward));
  if (lane->forward_timer == nullptr) {
    lane->forward_timer = std::make_unique<DeadlineTimer>(
        state_->gather->edge()->executor(), [weak = std::weak_ptr<State>(state_), lane] {
          // Both kept: what is told may be the end of this stream.
          const std::shared_ptr<State> state = weak.lock();
          if (state == nullptr) return;
          const std::shared_ptr<ForwardLane> forward = lane->forward;
          if (forward != nullptr) forward->OnTime(state->gather->now());
          if (lane->forward != nullptr) lane->forward_timer->Set(lane->forward->next_deadline());
        });
  }
  if (!state_->subscription) {
    state_->subscription =
        state_->gather->edge()->Subscribe([this](const metadata::Delta&) { FollowLeaders(); });
  }
}

void ProduceStream::PassOn(api::ProducePartition partition, Lane* lane,
                           const std::shared_ptr<Slot>& slot, api::ProducePartitionResult result) {
  const NodeId leader = lane->answerer;
  const auto bytes = static_cast<int64_t>(partition.batches.size());
  absl::StatusOr<Reservation> share = OrderBroken(partition.restart);
  const bool failed = lane->Failed(partition.restart) && !MUTANT("broker.passed-on-after-failure");
  if (!failed) share = state_->forwarder->Reserve(bytes);
  if (!share.ok()) {
    result.outcome = api::PartitionOutcome::Of(share.status());
    state_->forwarder->NameLeader(state_->caller, leader, &result);
    return Complete(state_, lane, slot, std::move(result));
  }
  if (lane->forward == nullptr || !lane->forward->is_open()) OpenForward(lane);
  // By its id as well: a topic of the same name, made again meanwhile, is another one.
  partition.name = std::move(result.name);
  const Request& request = *slot->request;
  state_->forwarded_bytes += bytes;
  lane->forward->Send(
      {.partition = std::move(partition),
       .acks = request.acks,
       .timeout = request.timeout,
       .client_id = request.client_id,
       .deadline = request.deadline + kForwardMargin,
       .share = *std::move(share)},
      [state = state_, lane, slot, leader, bytes](api::ProducePartitionResult answer) {
        state->forwarded_bytes -= bytes;
        if (state->sink != nullptr) {
          state->forwarder->NameLeader(state->caller, leader, &answer);
        }
        Complete(state, lane, slot, std::move(answer));
      });
  lane->forward_timer->Set(lane->forward->next_deadline());
}

// A leader that was deposed and does not say so is not waited for until the deadline.
void ProduceStream::FollowLeaders() {
  const MonotonicTime now = state_->gather->now();
  for (auto& [topic_partition, lane] : state_->lanes) {
    if (lane.forward == nullptr) continue;
    const api::PartitionName name{.topic_id = topic_partition.topic_id,
                                  .partition = topic_partition.partition};
    lane.forward->NoteLeader(state_->forwarder->AnswererOf(name) == lane.answerer, now);
    lane.forward_timer->Set(lane.forward->next_deadline());
  }
}

// --- Answers ---

void ProduceStream::Complete(const std::shared_ptr<State>& state, Lane* lane,
                             const std::shared_ptr<Slot>& slot,
                             api::ProducePartitionResult result) {
  if (!result.outcome.ok()) lane->failed = std::max(lane->failed.value_or(0), slot->restart);
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

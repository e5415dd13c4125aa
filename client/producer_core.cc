#include "client/producer_core.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/topic_checksum.h"
#include "base/check.h"
#include "base/status.h"

namespace millrace::client {
namespace {

// What a batch that was in flight on a stream is told when the stream ends. It may have been
// appended: sent again, it may be there twice, unless the stream was refused as such.
absl::Status StreamLost(const absl::Status& why, bool timed_out) {
  if (timed_out) {
    return MakeError(ErrorCode::kRequestTimedOut,
                     "the broker did not answer in time, or was replaced as the leader first");
  }
  switch (CodeOf(why)) {
    // The same bytes fare no better on another stream.
    case ErrorCode::kMessageTooLarge:
    case ErrorCode::kInvalidRequest:
    case ErrorCode::kAuthorizationFailed:
    case ErrorCode::kUnsupportedVersion:
      return why;
    default:
      return MakeError(ErrorCode::kBrokerNotAvailable,
                       absl::StrCat("the connection was lost before the answer: ", why.message()));
  }
}

absl::Status RefusalOf(const api::PartitionName& name, const api::PartitionOutcome& outcome) {
  const absl::string_view why =
      outcome.message.empty() ? ErrorCodeName(outcome.code) : absl::string_view(outcome.message);
  return MakeError(outcome.code, absl::StrCat(name.topic, "-", name.partition.value(), ": ", why));
}

// What a broker says to a number it did not expect: none of this batch is in its log.
bool IsSequenceLost(ErrorCode code) {
  return code == ErrorCode::kOutOfOrderSequenceNumber || code == ErrorCode::kInvalidProducerEpoch ||
         code == ErrorCode::kUnknownProducerId;
}

// A batch that a former leader took may be in the log and may not. Its number makes a second
// attempt safe; without one the record may be there twice, as after a lost connection.
bool IsSentAgain(ErrorCode code) { return IsRetriable(code) || code == ErrorCode::kOutcomeUnknown; }

}  // namespace

SlotIndex ProducerCore::AddPartition(const std::string& topic, TopicId topic_id,
                                     PartitionIndex partition) {
  const SlotIndex slot(static_cast<int32_t>(partitions_.size()));
  CHECK(slots_.emplace(std::pair(topic_id, partition), slot).second) << topic;
  partitions_.emplace_back();
  partitions_.back().name = {.topic = topic, .topic_id = topic_id, .partition = partition};
  return slot;
}

SlotIndex ProducerCore::SlotNamed(const api::PartitionName& name) const {
  const auto found = slots_.find({name.topic_id, name.partition});
  if (found != slots_.end()) return found->second;
  // An answer may name the topic by its name alone.
  for (size_t i = 0; name.topic_id.is_zero() && i < partitions_.size(); ++i) {
    const api::PartitionName& known = partitions_[i].name;
    if (known.topic == name.topic && known.partition == name.partition) {
      return SlotIndex(static_cast<int32_t>(i));
    }
  }
  return SlotIndex(-1);
}

void ProducerCore::OnRecords(SlotIndex slot, bool full, MonotonicTime now) {
  Partition& partition = At(slot);
  if (!partition.has_open) partition.waiting_since = now;
  if (!partition.has_open || full) {
    partition.open_since = now;
    partition.lingered = options_.linger == absl::ZeroDuration();
    partition.overdue = false;
  }
  partition.has_open = true;
  partition.has_full = partition.has_full || full;
  if (!partition.gone.ok()) return FailWaiting(slot);
  SendReady(now);
}

bool ProducerCore::AdoptLeader(Partition* partition, NodeId leader, LeaderEpoch epoch,
                               MonotonicTime now) {
  if (epoch < partition->leader_epoch) return false;
  if (epoch == partition->leader_epoch && partition->leader != kNoNode) return false;
  partition->leader = leader;
  partition->leader_epoch = epoch;
  partition->led_since = now;
  // A new leader is worth an attempt at once.
  partition->retry_at = MonotonicTime();
  return true;
}

void ProducerCore::OnLeader(SlotIndex slot, NodeId leader, LeaderEpoch epoch, MonotonicTime now) {
  // A topic of which leaders are told is there (again).
  At(slot).gone = absl::OkStatus();
  if (AdoptLeader(&At(slot), leader, epoch, now)) SendReady(now);
}

void ProducerCore::OnTopicGone(SlotIndex slot, const absl::Status& why) {
  At(slot).gone = why;
  FailWaiting(slot);
}

// Of a partition whose topic is gone.
void ProducerCore::FailWaiting(SlotIndex slot) {
  Partition& partition = At(slot);
  TakeFromSource(slot, /*open_too=*/true);
  std::deque<Batch> in_flight;
  for (Batch& batch : partition.batches) {
    if (batch.in_flight) {
      in_flight.push_back(std::move(batch));
    } else {
      Report(slot, batch, partition.gone);
    }
  }
  partition.batches = std::move(in_flight);
}

void ProducerCore::OnStreamUp(NodeId id, MonotonicTime now) {
  Broker& broker = brokers_[id];
  broker.up = true;
  broker.connecting = false;
  SendReady(now);
}

void ProducerCore::OnStreamDown(NodeId id, const absl::Status& why, MonotonicTime now) {
  Broker& broker = brokers_[id];
  const absl::Status lost = StreamLost(why, broker.resetting);
  broker.up = broker.connecting = broker.resetting = false;
  broker.down = lost;
  const std::map<uint64_t, Request> unanswered = std::exchange(broker.requests, {});
  for (const auto& [number, request] : unanswered) {
    for (const auto& [slot, token] : request.batches) FailAttempt(slot, token, id, lost, now);
  }
  // Partitions with nothing in flight there wait too: a broker that is gone refuses at once, and
  // asking it without pause would be a busy loop.
  for (Partition& partition : partitions_) {
    if (partition.leader == id) {
      partition.retry_at = std::max(partition.retry_at, now + options_.retry_backoff);
      watch_doubt_.Raise(now);
    }
  }
  SendReady(now);
}

void ProducerCore::OnResponse(NodeId id, const api::ProduceStreamResponse& response,
                              MonotonicTime now) {
  Broker& broker = brokers_[id];
  const auto found = broker.requests.find(response.request_number);
  // An answer to what was given up already.
  if (found == broker.requests.end()) return;
  for (const api::ProducePartitionResult& result : response.partitions) {
    const SlotIndex slot = SlotNamed(result.name);
    const auto sent = found->second.batches.find(slot);
    if (sent == found->second.batches.end()) continue;
    const BatchToken token = sent->second;
    found->second.batches.erase(sent);
    // Also an answer that succeeded may name the leader: it was forwarded. Others know him already,
    // so he should have been pushed as well.
    const std::optional<LeaderHint>& hint = result.outcome.leader;
    if (hint.has_value() && AdoptLeader(&At(slot), hint->leader, hint->leader_epoch, now)) {
      watch_doubt_.Raise(now);
    }
    // A copy that came too late to be told where the first one lies: it is there.
    const bool duplicate =
        options_.idempotent && result.outcome.code == ErrorCode::kDuplicateSequenceNumber;
    if (result.outcome.ok() || duplicate) {
      Acknowledge(slot, token, result);
    } else {
      FailAttempt(slot, token, id, RefusalOf(At(slot).name, result.outcome), now);
    }
  }
  if (found->second.batches.empty()) broker.requests.erase(found);
  SendReady(now);
}

void ProducerCore::Acknowledge(SlotIndex slot, BatchToken token,
                               const api::ProducePartitionResult& result) {
  Partition& partition = At(slot);
  output_.fates.push_back({.token = token,
                           .slot = slot,
                           .status = absl::OkStatus(),
                           .base_offset = result.base_offset,
                           .log_append_time_ms = result.log_append_time_ms});
  Remove(&partition, token);
  --partition.in_flight;
  SettleIfReturned(&partition);
}

// `from` is the broker that refused it, or was to answer.
void ProducerCore::FailAttempt(SlotIndex slot, BatchToken token, NodeId from,
                               const absl::Status& why, MonotonicTime now) {
  Partition& partition = At(slot);
  Batch* batch = Find(&partition, token);
  CHECK(batch != nullptr && batch->in_flight) << partition.name;
  batch->in_flight = false;
  --partition.in_flight;
  partition.broken = true;
  const bool lost = options_.idempotent && IsSequenceLost(CodeOf(why));
  if (lost) partition.sequence.Lost();
  const bool retriable = lost || IsSentAgain(CodeOf(why));
  if (CodeOf(why) == ErrorCode::kStreamOrderBroken) {
    // A batch that was refused only because an earlier one failed has not had its attempt.
    --batch->attempts;
  } else {
    batch->failure = why;
    // One who does not lead any more was worth one question; the new leader is asked at once. And a
    // new id is asked for before the next attempt.
    if (retriable && !lost && partition.leader == from) {
      partition.retry_at = std::max(partition.retry_at, now + options_.retry_backoff);
      if (CodeOf(why) == ErrorCode::kNotLeaderOrFollower) watch_doubt_.Raise(now);
    }
  }
  const bool again = retriable && partition.gone.ok() && batch->attempts <= options_.retries &&
                     now < batch->core.created + options_.delivery_timeout;
  if (!again) {
    // "An earlier one failed" is no reason to give to somebody.
    const bool says_nothing = CodeOf(why) == ErrorCode::kStreamOrderBroken && !partition.gone.ok();
    Report(slot, *batch, says_nothing ? partition.gone : why);
    Remove(&partition, token);
  }
  SettleIfReturned(&partition);
}

bool ProducerCore::HasIdentity(Partition* partition, MonotonicTime now) {
  if (partition->sequence.ready()) return true;
  if (partition->broken || partition->in_flight != 0) return false;
  if (identity_.id != kNoProducerId && partition->sequence.Begin(identity_)) {
    for (Batch& batch : partition->batches) batch.stamped = false;
    return true;
  }
  const bool has_records =
      !partition->batches.empty() || partition->has_open || partition->has_full;
  if (has_records && !identity_asked_ && now >= identity_retry_at_) {
    identity_asked_ = true;
    output_.ask_producer_id = partition->leader;
  }
  return false;
}

void ProducerCore::OnProducerId(const absl::StatusOr<api::ProducerIdentity>& identity,
                                MonotonicTime now) {
  identity_asked_ = false;
  identity_failure_ = identity.status();
  if (identity.ok()) {
    identity_ = *identity;
  } else {
    identity_retry_at_ = now + options_.retry_backoff;
  }
  SendReady(now);
}

void ProducerCore::SettleIfReturned(Partition* partition) {
  if (!partition->broken || partition->in_flight != 0) return;
  // All have come back: the partition goes on from its oldest batch, under a new number.
  partition->broken = false;
  ++partition->restart;
}

void ProducerCore::Report(SlotIndex slot, const Batch& batch, absl::Status status) {
  output_.fates.push_back({.token = batch.core.token, .slot = slot, .status = std::move(status)});
}

ProducerCore::Batch* ProducerCore::Find(Partition* partition, BatchToken token) {
  for (Batch& batch : partition->batches) {
    if (batch.core.token == token) return &batch;
  }
  return nullptr;
}

void ProducerCore::Remove(Partition* partition, BatchToken token) {
  auto& batches = partition->batches;
  batches.erase(std::find_if(batches.begin(), batches.end(),
                             [&](const Batch& batch) { return batch.core.token == token; }));
}

bool ProducerCore::MayTakeOpen(const Partition& partition, const Broker& broker,
                               MonotonicTime now) const {
  if (!partition.has_open) return false;
  if (flushing_) return true;
  if (!partition.lingered && now < partition.open_since + options_.linger) return false;
  // The pipe is busy: the batch may as well fill until it is not. But what is under way may be
  // other partitions', whose answers can be long in coming: that is not waited for.
  return broker.requests.empty() || (partition.in_flight == 0 && now >= OverdueAt(partition));
}

bool ProducerCore::WaitsForOthers(const Partition& partition) const {
  const auto broker = brokers_.find(partition.leader);
  return partition.in_flight == 0 && !partition.overdue && broker != brokers_.end() &&
         !broker->second.requests.empty();
}

ProducerCore::Batch* ProducerCore::NextBatch(SlotIndex slot, const Broker& broker,
                                             MonotonicTime now) {
  Partition& partition = At(slot);
  if (partition.broken || now < partition.retry_at) return nullptr;
  auto waiting = std::find_if(partition.batches.begin(), partition.batches.end(),
                              [](const Batch& batch) { return !batch.in_flight; });
  if (waiting != partition.batches.end()) return &*waiting;
  const bool open_too = MayTakeOpen(partition, broker, now);
  if (!partition.has_full && !open_too) return nullptr;
  const size_t first = partition.batches.size();
  TakeFromSource(slot, open_too);
  if (partition.batches.size() == first) return nullptr;
  partition.taken_at = now;
  partition.overdue = false;
  return &partition.batches[first];
}

void ProducerCore::TakeFromSource(SlotIndex slot, bool open_too) {
  Partition& partition = At(slot);
  std::vector<CoreBatch> taken;
  // What is open and was not taken goes on lingering, and nothing older is left.
  partition.has_open = source_->Take(slot, open_too, &taken);
  partition.waiting_since = partition.open_since;
  for (CoreBatch& batch : taken)
    partition.batches.push_back({.core = std::move(batch), .failure = {}});
  partition.has_full = false;
}

void ProducerCore::SendReady(MonotonicTime now) {
  for (const Partition& partition : partitions_) {
    if (partition.leader != kNoNode) brokers_.try_emplace(partition.leader);
  }
  for (auto& [id, broker] : brokers_) SendTo(id, &broker, now);
}

void ProducerCore::SendTo(NodeId id, Broker* broker, MonotonicTime now) {
  if (!broker->up) return ConnectIfWanted(id, broker, now);
  // A stream that is being cancelled takes nothing more.
  while (!broker->resetting && static_cast<int>(broker->requests.size()) < options_.max_in_flight) {
    ProducerOutput::Send send{.broker = id, .request = {}};
    Request request{.sent = now, .batches = {}};
    size_t bytes = 0;
    for (size_t i = 0; i < partitions_.size(); ++i) {
      const SlotIndex slot(static_cast<int32_t>((first_slot_ + i) % partitions_.size()));
      Partition& partition = At(slot);
      if (partition.leader != id) continue;
      // What is in flight to a former leader may come back; until then nothing may overtake it.
      if (partition.in_flight != 0 && partition.in_flight_at != id) continue;
      if (options_.idempotent && !HasIdentity(&partition, now)) continue;
      Batch* batch = NextBatch(slot, *broker, now);
      if (batch == nullptr) continue;
      if (bytes != 0 && bytes + batch->core.bytes.size() > options_.request_bytes_max) continue;
      bytes += batch->core.bytes.size();
      if (options_.idempotent && !batch->stamped) {
        partition.sequence.Stamp(&batch->core.bytes);
        batch->stamped = true;
      }
      batch->in_flight = true;
      ++batch->attempts;
      ++partition.in_flight;
      partition.in_flight_at = id;
      AddToRequest(partition, *batch, &send.request.request);
      request.batches[slot] = batch->core.token;
    }
    if (request.batches.empty()) return;
    first_slot_ = (first_slot_ + 1) % partitions_.size();
    send.request.request_number = next_request_;
    send.request.request.acks = options_.acks;
    // The broker gives up before we do, so that its answer is not lost with the stream.
    send.request.request.timeout = options_.request_timeout * 0.8;
    send.request.request.client_id = options_.client_id;
    broker->requests[next_request_++] = std::move(request);
    output_.sends.push_back(std::move(send));
  }
}

void ProducerCore::ConnectIfWanted(NodeId id, Broker* broker, MonotonicTime now) {
  if (broker->connecting) return;
  for (const Partition& partition : partitions_) {
    const bool has_records = !partition.batches.empty() || partition.has_open || partition.has_full;
    if (partition.leader != id || !has_records || now < partition.retry_at) continue;
    broker->connecting = true;
    output_.connects.push_back(id);
    return;
  }
}

void ProducerCore::AddToRequest(const Partition& partition, const Batch& batch,
                                api::ProduceRequest* request) {
  const absl::StatusOr<uint32_t> checksum =
      api::TopicChecksum({partition.name.topic_id, partition.name.partition}, batch.core.bytes);
  CHECK_OK(checksum);
  request->partitions.push_back({.name = partition.name,
                                 .batches = batch.core.bytes,
                                 .plain_records = {},
                                 .leader_epoch = partition.leader_epoch,
                                 .topic_checksum = *checksum,
                                 .restart = partition.restart});
}

absl::Status ProducerCore::Expired(const Partition& partition, const Batch& batch) const {
  if (!batch.failure.ok()) return batch.failure;
  // It was waited for, as for any leader: only the cluster can say why there is none.
  std::string why =
      absl::StrCat("it has no leader, since no broker that has all of it can lead it now; ",
                   "'millrace topic describe ", partition.name.topic, "' says what it waits for");
  if (!identity_failure_.ok()) {
    why = absl::StrCat("no producer id: ", identity_failure_.message());
  } else if (const auto broker = brokers_.find(partition.leader); broker != brokers_.end()) {
    why = broker->second.down.ok() ? "the broker takes no more"
                                   : std::string(broker->second.down.message());
  }
  return MakeError(ErrorCode::kRequestTimedOut,
                   absl::StrCat(partition.name.topic, "-", partition.name.partition.value(),
                                ": not sent within delivery.timeout.ms (",
                                absl::FormatDuration(options_.delivery_timeout), "): ", why));
}

void ProducerCore::ExpireBatches(MonotonicTime now) {
  for (size_t i = 0; i < partitions_.size(); ++i) {
    const SlotIndex slot(static_cast<int32_t>(i));
    Partition& partition = partitions_[i];
    // Records that nobody leads wait in the source: they expire too.
    if (partition.has_open && now >= partition.waiting_since + options_.delivery_timeout) {
      TakeFromSource(slot, /*open_too=*/true);
    }
    for (auto batch = partition.batches.begin(); batch != partition.batches.end();) {
      const bool expired = now >= batch->core.created + options_.delivery_timeout;
      // One in flight is answered, or its stream is reset: its outcome is not guessed here.
      if (batch->in_flight || !expired) {
        ++batch;
        continue;
      }
      Report(slot, *batch, Expired(partition, *batch));
      batch = partition.batches.erase(batch);
    }
  }
}

void ProducerCore::OnTime(MonotonicTime now) {
  // A deadline that has passed is one no longer: what waits then waits for an answer.
  for (Partition& partition : partitions_) {
    if (now >= partition.retry_at) partition.retry_at = MonotonicTime();
    if (now >= partition.open_since + options_.linger) partition.lingered = true;
    if (now >= OverdueAt(partition)) partition.overdue = true;
  }
  if (now >= identity_retry_at_) identity_retry_at_ = MonotonicTime();
  if (watch_doubt_.TakeConfirmed(now)) output_.change_watch = true;
  ExpireBatches(now);
  for (const Partition& partition : partitions_) {
    if (now >= CallBackAt(partition)) Reset(partition.in_flight_at);
  }
  for (auto& [id, broker] : brokers_) {
    if (now >= SuspicionAt(broker)) {
      broker.suspected = broker.requests.begin()->first;
      output_.suspects.push_back(id);
    }
    if (now >= ResetAt(broker)) Reset(id);
  }
  SendReady(now);
}

MonotonicTime ProducerCore::SuspicionAt(const Broker& broker) const {
  if (broker.requests.empty() || broker.resetting) return MonotonicTime::Never();
  const auto& [number, request] = *broker.requests.begin();
  return number == broker.suspected ? MonotonicTime::Never()
                                    : request.sent + options_.suspect_after;
}

MonotonicTime ProducerCore::ResetAt(const Broker& broker) const {
  if (broker.requests.empty() || broker.resetting) return MonotonicTime::Never();
  return broker.requests.begin()->second.sent + options_.request_timeout;
}

MonotonicTime ProducerCore::CallBackAt(const Partition& partition) const {
  if (partition.in_flight == 0 || partition.leader == kNoNode ||
      partition.leader == partition.in_flight_at) {
    return MonotonicTime::Never();
  }
  const auto former = brokers_.find(partition.in_flight_at);
  if (former == brokers_.end() || former->second.resetting) return MonotonicTime::Never();
  return partition.led_since + options_.former_leader_grace;
}

// A former leader that lives answers at once that it does not lead; one that is stopped never does.
void ProducerCore::Reset(NodeId id) {
  Broker& broker = brokers_[id];
  if (broker.resetting) return;
  broker.resetting = true;
  output_.resets.push_back(id);
}

void ProducerCore::SetFlushing(bool flushing, MonotonicTime now) {
  flushing_ = flushing;
  SendReady(now);
}

void ProducerCore::FailAll(const absl::Status& why) {
  for (size_t i = 0; i < partitions_.size(); ++i) {
    const SlotIndex slot(static_cast<int32_t>(i));
    Partition& partition = partitions_[i];
    TakeFromSource(slot, /*open_too=*/true);
    for (const Batch& batch : partition.batches) Report(slot, batch, why);
    partition.batches.clear();
    partition.in_flight = 0;
    partition.has_open = partition.has_full = partition.broken = false;
  }
  for (auto& [id, broker] : brokers_) broker.requests.clear();
}

MonotonicTime ProducerCore::next_deadline() const {
  MonotonicTime next = watch_doubt_.deadline();
  if (identity_retry_at_ != MonotonicTime()) next = std::min(next, identity_retry_at_);
  for (const Partition& partition : partitions_) {
    if (partition.has_open) {
      next = std::min(next, partition.waiting_since + options_.delivery_timeout);
      if (!partition.lingered) next = std::min(next, partition.open_since + options_.linger);
      if (WaitsForOthers(partition)) next = std::min(next, OverdueAt(partition));
    }
    if (partition.retry_at != MonotonicTime()) next = std::min(next, partition.retry_at);
    next = std::min(next, CallBackAt(partition));
    for (const Batch& batch : partition.batches) {
      if (!batch.in_flight) next = std::min(next, batch.core.created + options_.delivery_timeout);
    }
  }
  for (const auto& [id, broker] : brokers_) {
    next = std::min({next, SuspicionAt(broker), ResetAt(broker)});
  }
  return next;
}

bool ProducerCore::idle() const {
  return std::all_of(partitions_.begin(), partitions_.end(), [](const Partition& partition) {
    return partition.batches.empty() && !partition.has_open && !partition.has_full;
  });
}

ProducerOutput ProducerCore::TakeOutput() { return std::exchange(output_, {}); }

}  // namespace millrace::client

#include "client/consumer_core.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace millrace::client {
namespace {

api::OffsetPosition WirePosition(Position::Kind kind) {
  switch (kind) {
    case Position::Kind::kEarliest:
      return api::OffsetPosition::kEarliest;
    case Position::Kind::kLatest:
      return api::OffsetPosition::kLatest;
    default:
      return api::OffsetPosition::kTimestamp;
  }
}

}  // namespace

void ConsumerCore::Begin(Partition* partition, const Position& position, uint64_t generation,
                         MonotonicTime now) const {
  partition->generation = generation;
  partition->failed = false;
  partition->question = 0;
  partition->retry_at = MonotonicTime();
  partition->looking.reset();
  partition->began.reset();
  partition->resetting = partition->has_end = false;
  partition->checked = kNoLeaderEpoch;
  partition->near_replica = kNoNode;
  partition->late_at = MonotonicTime::Never();
  if (now >= partition->gone_at) partition->gone_at = now + options_.unknown_topic_grace;
  if (position.kind == Position::Kind::kOffset) {
    partition->position = ReadPosition::At(position);
    partition->began = partition->position;
  } else {
    partition->looking = position;
  }
}

// Takes the partition off its stream, if it is on one.
void ConsumerCore::Detach(const NamedPartition& name, Partition* partition) {
  if (partition->assigned_at == kNoNode) return;
  if (brokers_[partition->assigned_at].open) {
    MessageTo(partition->assigned_at).unassign.push_back({.name = WireName(name, *partition)});
  }
  partition->assigned_at = kNoNode;
}

void ConsumerCore::Assign(const std::map<NamedPartition, Position>& partitions, uint64_t generation,
                          MonotonicTime now) {
  for (auto& [name, partition] : partitions_) Detach(name, &partition);
  Assigned former = std::exchange(partitions_, {});
  for (const auto& [name, position] : partitions) {
    Partition partition;
    // What is known of the topic stays known.
    if (const auto known = former.find(name); known != former.end()) {
      partition = known->second;
      partition.paused = false;
    }
    Begin(&partition, position, generation, now);
    partitions_.emplace(name, std::move(partition));
  }
  Advance(now);
}

void ConsumerCore::Seek(const NamedPartition& name, Position to, uint64_t generation,
                        MonotonicTime now) {
  const auto found = partitions_.find(name);
  if (found == partitions_.end()) return;
  Detach(name, &found->second);
  Begin(&found->second, to, generation, now);
  Advance(now);
}

void ConsumerCore::Pause(const NamedPartition& name, uint64_t generation, MonotonicTime now) {
  const auto found = partitions_.find(name);
  if (found == partitions_.end()) return;
  Detach(name, &found->second);
  found->second.paused = true;
  found->second.generation = generation;
  // What is asked about the position is about records that the caller may not have taken, and that
  // are forgotten now: an answer would lead him past them. Only where he has no position yet it is
  // his.
  if (!found->second.looking || found->second.resetting) found->second.question = 0;
  Advance(now);
}

void ConsumerCore::Resume(const NamedPartition& name, const std::optional<Position>& from,
                          uint64_t generation, MonotonicTime now) {
  const auto found = partitions_.find(name);
  if (found == partitions_.end()) return;
  Partition* const partition = &found->second;
  partition->paused = false;
  Detach(name, partition);
  if (from.has_value()) {
    Begin(partition, *from, generation, now);
  } else if (const std::optional<ReadPosition> began = partition->began; began.has_value()) {
    Begin(partition, {.kind = Position::Kind::kOffset, .offset = began->next}, generation, now);
    // With the epoch in which it was looked up.
    partition->position = *began;
    partition->began = began;
  } else {
    // Asked anew, the end would be another one.
    partition->generation = generation;
    partition->failed = false;
  }
  Advance(now);
}

void ConsumerCore::Fail(const NamedPartition& name, Partition* partition,
                        const absl::Status& status) {
  Detach(name, partition);
  partition->failed = true;
  partition->question = 0;
  output_.failed.push_back({name, partition->generation, Annotate(status, TextOf(name))});
}

void ConsumerCore::Retry(Partition* partition, MonotonicTime now) {
  partition->retry_at = std::max(partition->retry_at, now + options_.retry_backoff);
}

void ConsumerCore::AdoptHint(Partition* partition, const LeaderHint& hint, MonotonicTime now) {
  // Others know it already, so it should have been pushed as well.
  if (AdoptLeader(partition, hint.leader, hint.leader_epoch)) watch_doubt_.Raise(now);
}

void ConsumerCore::NoteNearReplica(Partition* partition, const api::FetchPartitionResult& result,
                                   NodeId from, MonotonicTime now) const {
  if (!result.preferred_read_replica || options_.rack.empty() || from != partition->leader) return;
  if (now >= partition->leader_only_until) {
    partition->near_replica = *result.preferred_read_replica;
  }
}

void ConsumerCore::LeaveNearReplica(Partition* partition, MonotonicTime now) const {
  partition->near_replica = kNoNode;
  partition->leader_only_until = now + options_.near_replica_pause;
}

bool ConsumerCore::AdoptLeader(Partition* partition, NodeId leader, LeaderEpoch epoch) {
  if (epoch < partition->leader_epoch) return false;
  if (epoch == partition->leader_epoch && partition->leader != kNoNode) return false;
  partition->leader = leader;
  partition->leader_epoch = epoch;
  // A new leader is worth a question at once; the former one's answer is worth nothing any more.
  partition->question = 0;
  partition->near_replica = kNoNode;
  partition->retry_at = MonotonicTime();
  return true;
}

// Of a failed partition whose topic does not exist. One made again under the name is what the
// caller means when he goes on, and it may be told of before or after that.
void ConsumerCore::ForgetTopic(Partition* partition) {
  partition->topic_id = TopicId();
  partition->leader = kNoNode;
  partition->leader_epoch = kNoLeaderEpoch;
  partition->near_replica = kNoNode;
}

void ConsumerCore::OnTopic(const api::TopicLeaders& topic, MonotonicTime now) {
  watch_doubt_.End();
  const NamedPartition first{topic.topic, PartitionIndex(0)};
  for (auto at = partitions_.lower_bound(first);
       at != partitions_.end() && at->first.topic == topic.topic; ++at) {
    const NamedPartition& name = at->first;
    const auto& partition = at->second;
    const auto leader =
        std::find_if(topic.partitions.begin(), topic.partitions.end(),
                     [&](const api::PartitionLeader& p) { return p.partition == name.partition; });
    if (topic.code != ErrorCode::kNone || leader == topic.partitions.end()) {
      at->second.gone_at = std::min(partition.gone_at, now + options_.unknown_topic_grace);
      if (partition.failed) ForgetTopic(&at->second);
      continue;
    }
    at->second.gone_at = MonotonicTime::Never();
    if (!partition.topic_id.is_zero() && partition.topic_id != topic.topic_id) {
      // Its offsets mean other records now. One that has failed already is sought or assigned anew
      // anyway, and is then read from the topic that there is.
      if (!partition.failed) {
        Fail(name, &at->second,
             MakeError(ErrorCode::kUnknownTopicId,
                       "the topic was deleted and made again: assign its partitions anew"));
      }
      at->second.leader_epoch = kNoLeaderEpoch;
    }
    at->second.topic_id = topic.topic_id;
    AdoptLeader(&at->second, leader->leader_id, leader->leader_epoch);
    const auto& in_sync = leader->in_sync_replicas;
    if (partition.near_replica != kNoNode &&
        std::find(in_sync.begin(), in_sync.end(), partition.near_replica) == in_sync.end()) {
      LeaveNearReplica(&at->second, now);
    }
  }
  Advance(now);
}

void ConsumerCore::OnStreamDown(NodeId id, const absl::Status& why, MonotonicTime now) {
  Broker& broker = brokers_[id];
  broker.open = false;
  broker.owed = 0;
  const ErrorCode code = CodeOf(why);
  // What cannot be taken in once cannot be taken in again.
  const bool refused =
      code == ErrorCode::kAuthorizationFailed || code == ErrorCode::kInvalidRequest ||
      code == ErrorCode::kUnsupportedVersion || code == ErrorCode::kMessageTooLarge;
  for (auto& [name, partition] : partitions_) {
    const bool was_there = partition.assigned_at == id;
    if (was_there) partition.assigned_at = kNoNode;
    if (partition.near_replica == id) {
      LeaveNearReplica(&partition, now);
    } else if (was_there && refused) {
      Fail(name, &partition, why);
    } else if (was_there || partition.leader == id) {
      Retry(&partition, now);
      watch_doubt_.Raise(now);
    }
  }
  Advance(now);
}

ConsumerCore::Assigned::iterator ConsumerCore::Find(const api::PartitionName& name) {
  if (!name.topic.empty()) return partitions_.find({name.topic, name.partition});
  return std::find_if(partitions_.begin(), partitions_.end(), [&](const auto& entry) {
    return entry.second.topic_id == name.topic_id && entry.first.partition == name.partition;
  });
}

void ConsumerCore::OnFetched(NodeId id, api::FetchStreamResponse response, MonotonicTime now) {
  Broker& broker = brokers_[id];
  for (api::FetchPartitionResult& result : response.partitions) {
    const auto bytes = static_cast<int64_t>(api::TotalBytes(result.batches));
    const auto found = Find(result.name);
    // Begun before the latest change, or by one who is not asked any more.
    const bool stale = found == partitions_.end() || found->second.assigned_at != id ||
                       response.assignment_number < found->second.assigned_number;
    if (stale) {
      broker.owed += bytes;
      continue;
    }
    Partition* partition = &found->second;
    if (!result.outcome.ok()) {
      Refuse(found->first, partition, result.outcome, id, now);
    } else {
      NoteNearReplica(partition, result, id, now);
      if (!Accept(found->first, partition, {id, broker.stream}, &result, now)) {
        broker.owed += bytes;
      }
    }
  }
  Advance(now);
}

bool ConsumerCore::Accept(const NamedPartition& name, Partition* partition,
                          const CreditSource& source, api::FetchPartitionResult* result,
                          MonotonicTime now) {
  if (api::TotalBytes(result->batches) == 0) return false;
  if (result->batches.size() > 1) {
    // A batch may lie across two pieces.
    std::string joined;
    for (const Bytes& piece : result->batches) absl::StrAppend(&joined, piece.slice());
    result->batches = {Bytes::FromString(std::move(joined))};
  }
  const absl::StatusOr<BatchRun> run = RunOf(result->batches[0]);
  if (!run.ok()) {
    // Damaged on its way: the checksum of what is stored was verified by the broker.
    Detach(name, partition);
    Retry(partition, now);
    return false;
  }
  if (run->next <= partition->position.next) return false;
  partition->position.Pass(*run);
  output_.fetched.push_back({name, partition->generation, source, std::move(result->batches)});
  return true;
}

void ConsumerCore::Refuse(const NamedPartition& name, Partition* partition,
                          const api::PartitionOutcome& outcome, NodeId from, MonotonicTime now) {
  Detach(name, partition);
  const bool was_near = from == partition->near_replica;
  if (outcome.leader.has_value()) AdoptHint(partition, *outcome.leader, now);
  // Whatever it is: the leader is asked, and says what is to be believed.
  if (was_near) return LeaveNearReplica(partition, now);
  if (outcome.code == ErrorCode::kOffsetOutOfRange) return Reset(name, partition, outcome);
  if (!IsRetriable(outcome.code)) {
    const absl::string_view why =
        outcome.message.empty() ? ErrorCodeName(outcome.code) : absl::string_view(outcome.message);
    return Fail(name, partition, MakeError(outcome.code, why));
  }
  // One who does not lead any more was worth one question; the new leader is asked at once.
  if (partition->leader != from) return;
  Retry(partition, now);
  if (outcome.code == ErrorCode::kNotLeaderOrFollower) watch_doubt_.Raise(now);
}

void ConsumerCore::Reset(const NamedPartition& name, Partition* partition,
                         const api::PartitionOutcome& outcome) {
  if (options_.reset.has_value()) {
    partition->looking = Position{.kind = *options_.reset};
    partition->resetting = true;
    return;
  }
  Fail(name, partition,
       MakeError(ErrorCode::kOffsetOutOfRange,
                 absl::StrCat("offset ", partition->position.next.value(), " is out of range",
                              outcome.message.empty() ? "" : ": ", outcome.message,
                              ": seek to another one, or set auto.offset.reset"),
                 {.name = "offset", .value = absl::StrCat(partition->position.next.value())}));
}

// --- Answers ---

template <class Response, class Take>
void ConsumerCore::OnAnswer(uint64_t number, const absl::StatusOr<Response>& response,
                            MonotonicTime now, Take take) {
  const auto asked = questions_.find(number);
  if (asked == questions_.end()) return;
  const Question question = std::move(asked->second);
  questions_.erase(asked);
  for (const NamedPartition& name : question.partitions) {
    const auto found = partitions_.find(name);
    if (found == partitions_.end() || found->second.question != number) continue;
    Partition* partition = &found->second;
    partition->question = 0;
    using Result = std::decay_t<decltype(response->partitions[0])>;
    const Result* answer = nullptr;
    for (size_t i = 0; response.ok() && i < response->partitions.size(); ++i) {
      if (Find(response->partitions[i].name) == found) answer = &response->partitions[i];
    }
    if (answer != nullptr) {
      take(name, partition, *answer, question.broker);
    } else if (response.ok() || IsRetriable(CodeOf(response.status()))) {
      Retry(partition, now);
      watch_doubt_.Raise(now);
    } else {
      Fail(name, partition, response.status());
    }
  }
  Advance(now);
}

void ConsumerCore::OnOffsets(uint64_t number,
                             const absl::StatusOr<api::ListOffsetsResponse>& response,
                             MonotonicTime now) {
  OnAnswer(number, response, now,
           [&](const NamedPartition& name, Partition* partition,
               const api::ListOffsetsPartitionResult& result,
               NodeId from) { OnOffset(name, partition, result, from, now); });
}

void ConsumerCore::OnOffset(const NamedPartition& name, Partition* partition,
                            const api::ListOffsetsPartitionResult& result, NodeId from,
                            MonotonicTime now) {
  if (!result.outcome.ok()) return Refuse(name, partition, result.outcome, from, now);
  const bool is_end = partition->looking->kind == Position::Kind::kTimestamp && !partition->has_end;
  // No record is so young: reading begins with those that came after the end was asked for.
  const bool is_none = result.offset == kNoOffset && partition->has_end;
  if (!is_none) {
    // What lies before it is of the leader's epoch at most.
    partition->position = {.next = result.offset, .epoch = result.leader_epoch};
    partition->checked = partition->leader_epoch;
  }
  partition->has_end = is_end;
  if (is_end) return;
  if (!partition->began.has_value()) partition->began = partition->position;
  partition->looking.reset();
  partition->resetting = false;
  output_.resolved.push_back({name, partition->generation, partition->position.next});
}

void ConsumerCore::OnEpochEnds(uint64_t number,
                               const absl::StatusOr<api::OffsetForLeaderEpochResponse>& response,
                               MonotonicTime now) {
  OnAnswer(number, response, now,
           [&](const NamedPartition& name, Partition* partition,
               const api::OffsetForLeaderEpochPartitionResult& result,
               NodeId from) { OnEpochEnd(name, partition, result, from, now); });
}

void ConsumerCore::OnEpochEnd(const NamedPartition& name, Partition* partition,
                              const api::OffsetForLeaderEpochPartitionResult& result, NodeId from,
                              MonotonicTime now) {
  if (!result.outcome.ok()) return Refuse(name, partition, result.outcome, from, now);
  partition->checked = partition->leader_epoch;
  const std::optional<Offset> divergence =
      DivergenceOf(partition->position, result.leader_epoch, result.end_offset);
  if (!divergence) return;
  if (!options_.reset) {
    return Fail(name, partition,
                LogTruncated(partition->position, *divergence, partition->leader_epoch));
  }
  partition->position = {.next = *divergence, .epoch = result.leader_epoch};
  output_.resolved.push_back({name, partition->generation, *divergence});
}

// --- Time ---

void ConsumerCore::OnConsumed(const CreditSource& source, int64_t bytes, MonotonicTime now) {
  const auto found = brokers_.find(source.broker);
  if (found == brokers_.end() || !found->second.open || found->second.stream != source.stream) {
    return;
  }
  found->second.owed += bytes;
  Advance(now);
}

void ConsumerCore::OnTime(MonotonicTime now) {
  if (watch_doubt_.TakeConfirmed(now)) output_.change_watch = true;
  for (auto& [name, partition] : partitions_) {
    if (now >= partition.retry_at) partition.retry_at = MonotonicTime();
    if (now >= partition.late_at && partition.is_late()) {
      Reset(
          name, &partition,
          {.message = absl::StrCat("it was read in leader epoch ", partition.position.epoch.value(),
                                   ", and the partition is in ", partition.leader_epoch.value(),
                                   ": perhaps the topic was deleted and made again")});
    }
    if (partition.failed || now < partition.gone_at) continue;
    Fail(name, &partition,
         MakeError(ErrorCode::kUnknownTopicOrPartition,
                   absl::StrCat("the topic or the partition does not exist: create it with "
                                "`millrace topic create ",
                                name.topic, "`")));
    ForgetTopic(&partition);
  }
  Advance(now);
}

MonotonicTime ConsumerCore::next_deadline() const {
  MonotonicTime next = watch_doubt_.deadline();
  for (const auto& [name, partition] : partitions_) {
    if (partition.retry_at != MonotonicTime()) next = std::min(next, partition.retry_at);
    if (!partition.failed) next = std::min(next, partition.gone_at);
    next = std::min(next, partition.late_at);
  }
  return next;
}

// --- What is to be done ---

void ConsumerCore::Advance(MonotonicTime now) {
  AwaitLateMetadata(now);
  LookUp(now);
  CheckPositions(now);
  AssignReady(now);
  SendMessages();
}

api::PartitionName ConsumerCore::WireName(const NamedPartition& name,
                                          const Partition& partition) const {
  return {.topic = name.topic, .topic_id = partition.topic_id, .partition = name.partition};
}

// A position that was kept may be of a later epoch than the metadata has. Who leads in an earlier
// one has nothing to say about it.
void ConsumerCore::AwaitLateMetadata(MonotonicTime now) {
  for (auto& [name, partition] : partitions_) {
    if (!partition.is_late()) {
      partition.late_at = MonotonicTime::Never();
    } else if (partition.late_at == MonotonicTime::Never()) {
      partition.late_at = now + options_.late_epoch_grace;
    }
  }
}

void ConsumerCore::NoteQuestion(uint64_t number, const NamedPartition& name, Partition* partition) {
  partition->question = number;
  Question& question = questions_[number];
  question.broker = partition->leader;
  question.partitions.push_back(name);
}

void ConsumerCore::CheckPositions(MonotonicTime now) {
  std::map<NodeId, ConsumerOutput::Check> checks;
  for (auto& [name, partition] : partitions_) {
    if (partition.paused || !partition.needs_check() || !partition.may_ask(now)) continue;
    ConsumerOutput::Check& check = checks[partition.leader];
    if (check.number == 0) {
      check.number = next_question_++;
      check.broker = partition.leader;
    }
    check.request.partitions.push_back({.name = WireName(name, partition),
                                        .current_leader_epoch = partition.leader_epoch,
                                        .leader_epoch = partition.position.epoch});
    NoteQuestion(check.number, name, &partition);
  }
  for (auto& [broker, check] : checks) output_.checks.push_back(std::move(check));
}

void ConsumerCore::LookUp(MonotonicTime now) {
  std::map<NodeId, ConsumerOutput::Lookup> lookups;
  for (auto& [name, partition] : partitions_) {
    if (!partition.needs_lookup() || !partition.may_ask(now)) continue;
    ConsumerOutput::Lookup& lookup = lookups[partition.leader];
    if (lookup.number == 0) {
      lookup.number = next_question_++;
      lookup.broker = partition.leader;
      lookup.request.isolation_level = options_.isolation_level;
    }
    const bool asks_end =
        partition.looking->kind == Position::Kind::kTimestamp && !partition.has_end;
    lookup.request.partitions.push_back({.name = WireName(name, partition),
                                         .position = asks_end
                                                         ? api::OffsetPosition::kLatest
                                                         : WirePosition(partition.looking->kind),
                                         .timestamp_ms = partition.looking->timestamp_ms,
                                         .leader_epoch = partition.leader_epoch});
    NoteQuestion(lookup.number, name, &partition);
  }
  for (auto& [broker, lookup] : lookups) output_.lookups.push_back(std::move(lookup));
}

void ConsumerCore::AssignReady(MonotonicTime now) {
  for (auto& [name, partition] : partitions_) {
    if (partition.assigned_at != partition.source() || partition.needs_check()) {
      Detach(name, &partition);
    }
    if (partition.paused || partition.looking || partition.needs_check() || partition.is_late() ||
        partition.assigned_at != kNoNode || !partition.may_ask(now)) {
      continue;
    }
    const NodeId source = partition.source();
    Broker& broker = brokers_[source];
    api::FetchStreamRequest& message = MessageTo(source);
    if (!broker.open) {
      broker.open = true;
      broker.stream = next_stream_++;
      broker.owed = 0;
      output_.connects.push_back(source);
      message.credit_bytes = options_.prefetch_bytes;
      message.isolation_level = options_.isolation_level;
      message.format = api::RecordFormat::kBatches;
      message.client_id = options_.client_id;
      message.rack = options_.rack;
    }
    // To go on elsewhere is one change, not an end and a beginning in an order nobody defines.
    const api::PartitionName wire_name = WireName(name, partition);
    auto& ends = message.unassign;
    ends.erase(std::remove_if(ends.begin(), ends.end(),
                              [&](const api::FetchPartition& p) { return p.name == wire_name; }),
               ends.end());
    message.assign.push_back({.name = wire_name,
                              .offset = partition.position.next,
                              .bytes_max = options_.partition_bytes_max,
                              .leader_epoch = partition.leader_epoch});
    partition.assigned_at = source;
    partition.assigned_number = next_assignment_;
  }
}

// The message to a broker that goes out at the end of this step.
api::FetchStreamRequest& ConsumerCore::MessageTo(NodeId broker) { return messages_[broker]; }

void ConsumerCore::SendMessages() {
  for (auto& [id, broker] : brokers_) {
    // Credit goes back in portions worth a message.
    const bool worth = broker.owed >= std::max<int64_t>(1, options_.prefetch_bytes / 4);
    if (broker.open && (worth || messages_.contains(id))) {
      messages_[id].credit_bytes += std::exchange(broker.owed, 0);
    }
  }
  bool any_changes = false;
  for (auto& [id, message] : messages_) {
    // A stream that has ended meanwhile needs no unassigning.
    if (!brokers_[id].open) continue;
    const bool changes = !message.assign.empty() || !message.unassign.empty();
    any_changes = any_changes || changes;
    // One that only gives credit must not carry the number of the next change.
    message.assignment_number = changes ? next_assignment_ : next_assignment_ - 1;
    output_.sends.push_back({id, std::move(message)});
  }
  messages_.clear();
  if (any_changes) ++next_assignment_;
}

}  // namespace millrace::client

#include "test/sim/cluster_verdict.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "record/batch_view.h"
#include "test/sim/client_records.h"
#include "test/sim/cluster_commands.h"
#include "test/sim/cluster_logs.h"

namespace millrace::sim {
namespace {

constexpr absl::Duration kHealthBound = absl::Seconds(100);
constexpr absl::Duration kCallBound = absl::Seconds(20);
constexpr absl::Duration kPoll = absl::Milliseconds(100);

absl::Status Liveness(const ClusterTopic& topic, const TopicPartition& partition,
                      absl::string_view what) {
  return absl::InternalError(
      absl::StrCat("LIVENESS: ", topic.name, "-", partition.partition.value(), ": ", what));
}

// Of the intact batches at the beginning of a log that end at or before `end`.
size_t BytesUpTo(Slice log, Offset end) {
  size_t bytes = 0;
  while (!log.empty()) {
    const auto batch = record::BatchView::Parse(log);
    if (!batch.ok() || batch->next_offset() > end) break;
    bytes += batch->size();
    log.remove_prefix(batch->size());
  }
  return bytes;
}

}  // namespace

std::optional<v1::DescribeTopicsResponse> ClusterVerdict::Describe() {
  v1::DescribeTopicsRequest request;
  for (const auto& topic : world_.topics) request.add_topic_ids(topic->id.ToBytes());
  for (int host = 1; host <= world_.options.controllers; ++host) {
    std::optional<absl::StatusOr<v1::DescribeTopicsResponse>> answer;
    AskController<v1::DescribeTopicsResponse>(&world_, host, absl::Seconds(1), request,
                                              [&](const auto& said) { answer = said; });
    if (!world_.loop.RunUntil([&] { return answer.has_value(); }, absl::Seconds(3))) continue;
    if (answer->ok()) return **answer;
  }
  return std::nullopt;
}

std::string ClusterVerdict::WhatIsNotHealthy() {
  for (const int host : world_.hosts()) {
    SimServer& server = world_.server(host);
    if (!server.serving() && !world_.away.contains(host)) {
      return absl::StrCat("node ", host, " does not serve: ",
                          server.started() ? server.started()->ToString() : "it starts");
    }
  }
  if (world_.topics.empty()) return decommission_.WhatIsNotDone();
  const std::optional<v1::DescribeTopicsResponse> described = Describe();
  if (!described) return "no controller answers";
  for (const v1::TopicDescription& topic : described->topics()) {
    if (topic.code() != 0) {
      return absl::StrCat("a topic whose creation was acknowledged is not there: ",
                          topic.message());
    }
    for (const v1::PartitionDescription& partition : topic.partitions()) {
      if (partition.leader_id() >= 0 &&
          partition.in_sync_replicas_size() == partition.replicas_size() &&
          partition.adding_replicas().empty() && partition.removing_replicas().empty() &&
          !partition.raising_durability()) {
        continue;
      }
      return absl::StrCat(topic.name(), "-", partition.partition(), " has leader ",
                          partition.leader_id(), " in epoch ", partition.leader_epoch(),
                          ", replicas ", absl::StrJoin(partition.replicas(), ","), ", coming ",
                          absl::StrJoin(partition.adding_replicas(), ","), ", in sync ",
                          absl::StrJoin(partition.in_sync_replicas(), ","), ", eligible ",
                          absl::StrJoin(partition.eligible_leader_replicas(), ","),
                          partition.raising_durability() ? ", its durability being raised" : "");
    }
  }
  if (std::string undone = decommission_.WhatIsNotDone(); !undone.empty()) return undone;
  if (const int64_t pending = clients_.Pending() + streams_.Pending(); pending > 0) {
    return absl::StrCat(pending, " batches of producers are not acknowledged");
  }
  return "";
}

absl::Status ClusterVerdict::AwaitHealth() {
  const MonotonicTime end = world_.loop.now() + kHealthBound;
  std::string what;
  while (world_.loop.now() < end && world_.violation.ok()) {
    what = WhatIsNotHealthy();
    if (what.empty()) return absl::OkStatus();
    world_.loop.RunFor(kPoll);
    // A supervisor's doing.
    faults_.EnsureRunning();
    for (const int host : world_.hosts()) world_.Start(host);
    // An administrator's.
    admin_.ElectWhereNobodyLeads();
    decommission_.GoOn();
  }
  RETURN_IF_ERROR(world_.violation);
  return absl::InternalError(absl::StrCat("LIVENESS: after ", absl::FormatDuration(kHealthBound),
                                          " without faults: ", what));
}

absl::Status ClusterVerdict::ReadEverything() {
  RETURN_IF_ERROR(AwaitDeletions());
  RETURN_IF_ERROR(decommission_.Judge());
  for (const auto& topic : world_.topics) {
    for (int i = 0; i < topic->partitions; ++i) {
      RETURN_IF_ERROR(AwaitEqualEnds(*topic, topic->Partition(i)));
      RETURN_IF_ERROR(ReadPartition(*topic, topic->Partition(i)));
      RETURN_IF_ERROR(CompareLogs(*topic, topic->Partition(i)));
    }
  }
  return world_.violation;
}

absl::Status ClusterVerdict::AwaitDeletions() {
  const MonotonicTime end = world_.loop.now() + kCallBound;
  for (const auto& topic : world_.deleted) {
    for (int i = 0; i < topic->partitions; ++i) {
      for (const int host : world_.broker_hosts()) {
        while (world_.ReplicaOn(host, topic->Partition(i))) {
          if (world_.loop.now() > end) {
            return Liveness(*topic, topic->Partition(i),
                            absl::StrCat("is deleted, and not gone from broker ", host));
          }
          world_.loop.RunFor(kPoll);
        }
      }
    }
    world_.Reached("deleted-is-gone");
  }
  return absl::OkStatus();
}

absl::Status ClusterVerdict::AwaitEqualEnds(const ClusterTopic& topic,
                                            const TopicPartition& partition) {
  const MonotonicTime end = world_.loop.now() + kCallBound;
  std::string seen;
  while (world_.loop.now() < end) {
    std::optional<Offset> common;
    bool equal = true;
    seen.clear();
    for (const int host : world_.broker_hosts()) {
      const auto state = world_.ReplicaOn(host, partition);
      if (!state) continue;
      absl::StrAppend(&seen, " ", host, ": end ", state->end_offset.value(), ", high watermark ",
                      state->high_watermark.value(), ";");
      if (!common) common = state->end_offset;
      equal &= state->end_offset == *common && state->high_watermark == *common;
    }
    if (equal && common) return absl::OkStatus();
    world_.loop.RunFor(kPoll);
  }
  return Liveness(topic, partition, absl::StrCat("replicas do not become equal:", seen));
}

Offset ClusterVerdict::LogStart(const TopicPartition& partition) {
  // One may be handing over.
  for (const MonotonicTime end = world_.loop.now() + kCallBound; world_.loop.now() < end;) {
    for (const int host : world_.broker_hosts()) {
      const auto state = world_.ReplicaOn(host, partition);
      if (state && state->is_leader) return state->log_start_offset;
    }
    world_.loop.RunFor(kPoll);
  }
  return Offset(0);
}

absl::Status ClusterVerdict::ReadPartition(const ClusterTopic& topic,
                                           const TopicPartition& partition) {
  std::vector<ReadRecord> records;
  const Offset start = LogStart(partition);
  Offset next = start;
  const Offset floor = world_.history.high_watermark_floor(partition);
  for (;;) {
    const auto result = clients_.FetchNow(partition, next, kCallBound);
    if (!result.ok()) return Liveness(topic, partition, result.status().ToString());
    if (!result->outcome.ok()) {
      return Liveness(
          topic, partition,
          absl::StrCat("reading at ", next.value(), ": ", ErrorCodeName(result->outcome.code), " ",
                       result->outcome.message));
    }
    RETURN_IF_ERROR(world_.history.OnHighWatermark(partition, floor, result->high_watermark));
    ASSIGN_OR_RETURN(const auto more, RecordsOf(*result, next));
    if (more.empty()) break;
    records.insert(records.end(), more.begin(), more.end());
    next = more.back().offset + 1;
  }
  world_.report.records_read += static_cast<int64_t>(records.size());
  return world_.history.CheckWhole(partition, start, records);
}

absl::Status ClusterVerdict::CompareLogs(const ClusterTopic& topic,
                                         const TopicPartition& partition) {
  std::vector<int> holders;
  Offset start(0);
  for (const int host : world_.broker_hosts()) {
    const auto state = world_.ReplicaOn(host, partition);
    if (!state) continue;
    holders.push_back(host);
    start = std::max(start, state->log_start_offset);
  }
  std::optional<std::string> first;
  for (const int host : holders) {
    std::string log = LogOn(world_, host, topic, partition.partition);
    log.erase(0, BytesUpTo(log, start));
    if (!first) first = log;
    if (log == *first) continue;
    const auto differ = std::mismatch(log.begin(), log.end(), first->begin(), first->end());
    return absl::InternalError(absl::StrCat(
        "VIOLATION: ", topic.name, "-", partition.partition.value(), " on ", host, " (", log.size(),
        " bytes from offset ", start.value(), " on) and on ", holders.front(), " (", first->size(),
        ") differ from byte ", differ.first - log.begin(), " on"));
  }
  world_.Reached("replicas-compared");
  return absl::OkStatus();
}

absl::Status ClusterVerdict::AreWhole(const ClusterTopic& topic, const TopicPartition& partition) {
  for (const int host : world_.broker_hosts()) {
    const auto state = world_.ReplicaOn(host, partition);
    if (!state) continue;
    const std::string log = LogOn(world_, host, topic, partition.partition);
    const size_t whole = BytesUpTo(log, state->end_offset);
    if (whole == log.size()) continue;
    return absl::InternalError(absl::StrCat(topic.name, "-", partition.partition.value(), " on ",
                                            host, " is damaged at byte ", whole, " of ",
                                            log.size()));
  }
  return absl::OkStatus();
}

absl::Status ClusterVerdict::SurviveDamage() {
  for (const auto& topic : world_.topics) {
    for (int i = 0; i < topic->partitions; ++i) {
      RETURN_IF_ERROR(ReadWhatIsServed(*topic, topic->Partition(i)));
    }
  }
  RETURN_IF_ERROR(WriteEverywhere());
  const MonotonicTime end = world_.loop.now() + kHealthBound;
  absl::Status last;
  while (world_.loop.now() < end && world_.violation.ok()) {
    last = AwaitHealth();
    for (const auto& topic : world_.topics) {
      for (int i = 0; i < topic->partitions && last.ok(); ++i) {
        last = AwaitEqualEnds(*topic, topic->Partition(i));
        if (last.ok()) last = AreWhole(*topic, topic->Partition(i));
        if (last.ok()) last = CompareLogs(*topic, topic->Partition(i));
      }
    }
    if (last.ok()) return ReadEverything();
    world_.loop.RunFor(kPoll);
  }
  RETURN_IF_ERROR(world_.violation);
  return absl::InternalError(absl::StrCat("LIVENESS: damage is not repaired: ", last.message()));
}

absl::Status ClusterVerdict::ReadWhatIsServed(const ClusterTopic& topic,
                                              const TopicPartition& partition) {
  for (Offset next = LogStart(partition);;) {
    const auto result = clients_.FetchNow(partition, next, kCallBound);
    if (!result.ok()) return Liveness(topic, partition, result.status().ToString());
    if (!result->outcome.ok()) {
      if (result->outcome.code == ErrorCode::kCorruptLog) {
        world_.Reached("read-CORRUPT_LOG");
        return absl::OkStatus();
      }
      return Liveness(topic, partition, result->outcome.message);
    }
    ASSIGN_OR_RETURN(const auto records,
                     CheckedRecordsOf(&world_.history, partition, *result, next));
    if (records.empty()) return absl::OkStatus();
    next = records.back().offset + 1;
  }
}

std::string ClusterVerdict::DescribeLogs() {
  std::string text;
  for (const auto& topic : world_.topics) {
    for (int i = 0; i < topic->partitions; ++i) {
      for (const int host : world_.broker_hosts()) {
        const auto state = world_.ReplicaOn(host, topic->Partition(i));
        if (!state) continue;
        absl::StrAppend(&text, world_.NameOf(topic->Partition(i)), " on ", host,
                        state->is_leader ? ", leader" : "", ", end ", state->end_offset.value(),
                        ", high watermark ", state->high_watermark.value(), ":");
        const std::string log = LogOn(world_, host, *topic, PartitionIndex(i));
        for (Slice rest = log; !rest.empty();) {
          const auto batch = record::BatchView::Parse(rest);
          if (!batch.ok()) break;
          absl::StrAppend(&text, " ", batch->base_offset().value(), "+", batch->record_count(), "e",
                          batch->leader_epoch().value(), "p", batch->producer_id().value(), "s",
                          batch->base_sequence());
          rest.remove_prefix(batch->size());
        }
        absl::StrAppend(&text, "\n");
      }
    }
  }
  return text;
}

absl::Status ClusterVerdict::WriteEverywhere() {
  for (const auto& topic : world_.topics) {
    for (int i = 0; i < topic->partitions; ++i) {
      const TopicPartition partition = topic->Partition(i);
      const absl::Status written = clients_.ProduceNow(partition, kCallBound);
      RETURN_IF_ERROR(world_.violation);
      if (!written.ok()) return Liveness(*topic, partition, written.ToString());
    }
  }
  return absl::OkStatus();
}

}  // namespace millrace::sim

#include "client/consumer_core.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "base/status_matchers.h"
#include "record/batch_builder.h"

namespace millrace::client {
namespace {

constexpr NodeId kA{1};
constexpr NodeId kB{2};

TopicId Topic(uint64_t number = 7) { return TopicId(Uuid(1, number)); }
NamedPartition Named(int partition) { return {"t", PartitionIndex(partition)}; }
Position At(int64_t offset) { return {.kind = Position::Kind::kOffset, .offset = Offset(offset)}; }

Position At(int64_t offset, int epoch) {
  return {.kind = Position::Kind::kOffset,
          .offset = Offset(offset),
          .leader_epoch = LeaderEpoch(epoch)};
}

Bytes Batch(int64_t base, int records, LeaderEpoch epoch = kNoLeaderEpoch) {
  record::BatchBuilder builder({.base_offset = Offset(base), .leader_epoch = epoch});
  for (int i = 0; i < records; ++i) builder.Add(1, absl::nullopt, Slice("value"));
  return builder.Build();
}

// Drives a core by hand and writes down what it wants done:
//   connect 1 | send 1#3 +p0@5 -p1 c100 (broker, assignment number, assigned at, unassigned,
//   credit) | lookup 1 n1 p0 p1end p2t5 (broker, number, the earliest, the end, of a time) |
//   check 1 n1 p0e3 (broker, number, asked epoch) | fetched p0 g1 | at p0@5 | failed p0 CODE |
//   watch elsewhere
class Trace {
 public:
  explicit Trace(ConsumerCoreOptions options = {.prefetch_bytes = 1000})
      : core_(std::move(options)) {}

  std::string Assign(const std::map<NamedPartition, Position>& partitions) {
    core_.Assign(partitions, ++generation_, now_);
    return Output();
  }
  std::string Seek(int partition, Position to) {
    core_.Seek(Named(partition), to, ++generation_, now_);
    return Output();
  }
  std::string Pause(int partition) {
    core_.Pause(Named(partition), ++generation_, now_);
    return Output();
  }
  std::string Resume(int partition, const std::optional<Position>& from) {
    core_.Resume(Named(partition), from, ++generation_, now_);
    return Output();
  }
  // Both partitions are led by `leader`.
  std::string Leader(NodeId leader, int epoch, uint64_t topic = 7,
                     const std::vector<NodeId>& in_sync = {kA, kB}) {
    api::TopicLeaders leaders{.topic = "t", .topic_id = Topic(topic)};
    for (int i = 0; i < 2; ++i) {
      leaders.partitions.push_back({.partition = PartitionIndex(i),
                                    .leader_id = leader,
                                    .leader_epoch = LeaderEpoch(epoch),
                                    .in_sync_replicas = in_sync});
    }
    core_.OnTopic(leaders, now_);
    return Output();
  }
  std::string Gone() {
    core_.OnTopic({.topic = "t", .code = ErrorCode::kUnknownTopicOrPartition}, now_);
    return Output();
  }
  std::string Down(NodeId broker, ErrorCode code = ErrorCode::kBrokerNotAvailable) {
    core_.OnStreamDown(broker, MakeError(code, "gone"), now_);
    return Output();
  }
  std::string Push(NodeId broker, uint64_t number, int partition, const Bytes& batch) {
    return Respond(broker, number, {.name = Wire(partition), .batches = {batch}});
  }
  // The leader names a replica in the client's rack beside what it pushes.
  std::string PushNaming(NodeId broker, uint64_t number, int partition, const Bytes& batch,
                         NodeId near) {
    return Respond(broker, number,
                   {.name = Wire(partition), .batches = {batch}, .preferred_read_replica = near});
  }
  std::string Refuse(NodeId broker, uint64_t number, int partition, ErrorCode code,
                     std::optional<LeaderHint> hint = std::nullopt) {
    return Respond(broker, number,
                   {.name = Wire(partition), .outcome = {.code = code, .leader = hint}});
  }
  std::string Offsets(uint64_t lookup, int partition, int64_t offset, int epoch = -1) {
    core_.OnOffsets(lookup,
                    api::ListOffsetsResponse{{{.name = Wire(partition),
                                               .outcome = {},
                                               .offset = Offset(offset),
                                               .leader_epoch = LeaderEpoch(epoch)}}},
                    now_);
    return Output();
  }
  // The epoch asked about, or the largest below it, ends at `end` in the leader's log.
  std::string EpochEnd(uint64_t check, int partition, int epoch, int64_t end) {
    return EpochAnswer(check, {.name = Wire(partition),
                               .outcome = {},
                               .leader_epoch = LeaderEpoch(epoch),
                               .end_offset = Offset(end)});
  }
  std::string CheckRefused(uint64_t check, int partition, ErrorCode code,
                           std::optional<LeaderHint> hint = std::nullopt) {
    return EpochAnswer(check, {.name = Wire(partition), .outcome = {.code = code, .leader = hint}});
  }
  std::string LookupFailed(uint64_t lookup, ErrorCode code) {
    core_.OnOffsets(lookup, MakeError(code, "no"), now_);
    return Output();
  }
  std::string Consumed(const CreditSource& source, int64_t bytes) {
    core_.OnConsumed(source, bytes, now_);
    return Output();
  }
  std::string After(absl::Duration duration) {
    now_ = now_ + duration;
    core_.OnTime(now_);
    return Output();
  }
  absl::Duration until_deadline() const { return core_.next_deadline() - now_; }
  const CreditSource& last_source() const { return last_source_; }
  const absl::Status& last_failure() const { return last_failure_; }
  // Of the partition that was assigned to a stream last.
  const api::FetchPartition& last_assigned() const { return last_assigned_; }

 private:
  static api::PartitionName Wire(int partition) {
    return {.topic = "t", .topic_id = Topic(), .partition = PartitionIndex(partition)};
  }
  std::string EpochAnswer(uint64_t check, api::OffsetForLeaderEpochPartitionResult result) {
    core_.OnEpochEnds(check, api::OffsetForLeaderEpochResponse{{std::move(result)}}, now_);
    return Output();
  }
  std::string Respond(NodeId broker, uint64_t number, api::FetchPartitionResult result) {
    core_.OnFetched(broker, {.assignment_number = number, .partitions = {std::move(result)}}, now_);
    return Output();
  }

  static std::string TextOf(const ConsumerOutput::Send& send) {
    std::string text =
        absl::StrCat("send ", send.broker.value(), "#", send.request.assignment_number);
    for (const auto& p : send.request.assign) {
      absl::StrAppend(&text, " +p", p.name.partition.value(), "@", p.offset.value());
    }
    for (const auto& p : send.request.unassign) {
      absl::StrAppend(&text, " -p", p.name.partition.value());
    }
    if (send.request.credit_bytes != 0) absl::StrAppend(&text, " c", send.request.credit_bytes);
    return text;
  }

  std::string Output() {
    const ConsumerOutput output = core_.TakeOutput();
    std::vector<std::string> words;
    if (output.change_watch) words.push_back("watch elsewhere");
    for (NodeId broker : output.connects) words.push_back(absl::StrCat("connect ", broker.value()));
    for (const auto& send : output.sends) {
      words.push_back(TextOf(send));
      if (!send.request.assign.empty()) last_assigned_ = send.request.assign.back();
    }
    for (const auto& lookup : output.lookups) {
      std::string word = absl::StrCat("lookup ", lookup.broker.value(), " n", lookup.number);
      for (const auto& p : lookup.request.partitions) {
        absl::StrAppend(&word, " p", p.name.partition.value());
        if (p.position == api::OffsetPosition::kTimestamp)
          absl::StrAppend(&word, "t", p.timestamp_ms);
        if (p.position == api::OffsetPosition::kLatest) absl::StrAppend(&word, "end");
      }
      words.push_back(word);
    }
    for (const auto& check : output.checks) {
      std::string word = absl::StrCat("check ", check.broker.value(), " n", check.number);
      for (const auto& p : check.request.partitions) {
        absl::StrAppend(&word, " p", p.name.partition.value(), "e", p.leader_epoch.value());
      }
      words.push_back(word);
    }
    for (const auto& fetched : output.fetched) {
      last_source_ = fetched.source;
      words.push_back(
          absl::StrCat("fetched p", fetched.partition.partition.value(), " g", fetched.generation));
    }
    for (const auto& resolved : output.resolved) {
      words.push_back(
          absl::StrCat("at p", resolved.partition.partition.value(), "@", resolved.offset.value()));
    }
    for (const auto& failed : output.failed) {
      last_failure_ = failed.status;
      words.push_back(absl::StrCat("failed p", failed.partition.partition.value(), " ",
                                   ErrorCodeName(CodeOf(failed.status))));
    }
    return absl::StrJoin(words, " | ");
  }

  ConsumerCore core_;
  MonotonicTime now_ = MonotonicTime::FromNanos(1'000'000'000'000);
  uint64_t generation_ = 0;
  CreditSource last_source_;
  absl::Status last_failure_;
  api::FetchPartition last_assigned_;
};

TEST(ConsumerCore, PartitionsAreAssignedAtTheirLeaderWithTheWholeCredit) {
  Trace t;
  EXPECT_EQ(t.Assign({{Named(0), At(5)}, {Named(1), At(9)}}), "");
  EXPECT_EQ(t.Leader(kA, 1), "connect 1 | send 1#1 +p0@5 +p1@9 c1000");
  EXPECT_EQ(t.Push(kA, 1, 0, Batch(5, 3)), "fetched p0 g1");
  EXPECT_EQ(t.until_deadline(), absl::InfiniteDuration());
}

TEST(ConsumerCore, CreditGoesBackInPortionsAsTheCallerTakes) {
  Trace t;
  t.Assign({{Named(0), At(0)}});
  t.Leader(kA, 1);
  t.Push(kA, 1, 0, Batch(0, 1));
  EXPECT_EQ(t.Consumed(t.last_source(), 100), "");
  // Only credit: it must not carry the number of the next change.
  EXPECT_EQ(t.Consumed(t.last_source(), 200), "send 1#1 c300");
  EXPECT_EQ(t.Seek(0, At(7)), "send 1#2 +p0@7");
}

TEST(ConsumerCore, CreditOfAStreamThatIsGoneIsNotGivenToTheNext) {
  Trace t;
  t.Assign({{Named(0), At(0)}});
  t.Leader(kA, 1);
  t.Push(kA, 1, 0, Batch(0, 1));
  const CreditSource former = t.last_source();
  t.Down(kA);
  EXPECT_EQ(t.After(absl::Milliseconds(100)), "connect 1 | send 1#2 +p0@1 c1000");
  EXPECT_EQ(t.Consumed(former, 1000), "");
}

TEST(ConsumerCore, WhatWasPushedBeforeASeekIsDroppedAndItsCreditGivenBack) {
  Trace t;
  t.Assign({{Named(0), At(0)}});
  t.Leader(kA, 1);
  EXPECT_EQ(t.Seek(0, At(100)), "send 1#2 +p0@100");
  const Bytes large = Batch(0, 20);
  EXPECT_EQ(t.Push(kA, 1, 0, large), absl::StrCat("send 1#2 c", large.size()));
  EXPECT_EQ(t.Push(kA, 2, 0, Batch(100, 1)), "fetched p0 g2");
}

TEST(ConsumerCore, BatchesThatLieBeforeThePositionAreDropped) {
  Trace t;
  t.Assign({{Named(0), At(5)}});
  t.Leader(kA, 1);
  EXPECT_EQ(t.Push(kA, 1, 0, Batch(0, 5)), "");
  // The position lies inside this one.
  EXPECT_EQ(t.Push(kA, 1, 0, Batch(3, 5)), "fetched p0 g1");
  EXPECT_EQ(t.Push(kA, 1, 0, Batch(3, 5)), "");
}

TEST(ConsumerCore, NewLeaderIsReadFromTheNextOffset) {
  Trace t;
  t.Assign({{Named(0), At(0)}});
  t.Leader(kA, 1);
  t.Push(kA, 1, 0, Batch(0, 3));
  EXPECT_EQ(t.Leader(kB, 2), "connect 2 | send 1#2 -p0 | send 2#2 +p0@3 c1000");
  // What the former one still pushes is not counted.
  EXPECT_EQ(t.Push(kA, 1, 0, Batch(3, 3)), "");
  // S-40.
  EXPECT_EQ(t.Leader(kA, 1), "");
}

TEST(ConsumerCore, HintOfANewLeaderIsFollowedAtOnceAndARefusalWithoutOneWaits) {
  Trace t;
  t.Assign({{Named(0), At(0)}});
  t.Leader(kA, 1);
  EXPECT_EQ(t.Refuse(kA, 1, 0, ErrorCode::kNotLeaderOrFollower,
                     LeaderHint{.leader = kB, .leader_epoch = LeaderEpoch(2)}),
            "connect 2 | send 1#2 -p0 | send 2#2 +p0@0 c1000");
  EXPECT_EQ(t.Refuse(kB, 2, 0, ErrorCode::kNotLeaderOrFollower), "send 2#3 -p0");
  EXPECT_EQ(t.until_deadline(), absl::Milliseconds(100));
  EXPECT_EQ(t.After(absl::Milliseconds(100)), "send 2#4 +p0@0");
}

TEST(ConsumerCore, PositionsAreLookedUpTogetherAndToldToTheCaller) {
  Trace t;
  t.Assign({{Named(0), {}}, {Named(1), {.kind = Position::Kind::kLatest}}});
  EXPECT_EQ(t.Leader(kA, 1), "lookup 1 n1 p0 p1end");
  // One answer does not mention the other partition, which is asked for again.
  EXPECT_EQ(t.Offsets(1, 0, 42), "connect 1 | send 1#1 +p0@42 c1000 | at p0@42");
  EXPECT_EQ(t.After(absl::Milliseconds(100)), "lookup 1 n2 p1end");
  EXPECT_EQ(t.LookupFailed(2, ErrorCode::kBrokerNotAvailable), "");
  EXPECT_EQ(t.After(absl::Milliseconds(100)), "lookup 1 n3 p1end");
  EXPECT_EQ(t.LookupFailed(3, ErrorCode::kAuthorizationFailed), "failed p1 AUTHORIZATION_FAILED");
}

TEST(ConsumerCore, TimeIsLookedUpOnceTheEndIsKnown) {
  Trace t;
  t.Assign({{Named(0), {.kind = Position::Kind::kTimestamp, .timestamp_ms = 5}}});
  EXPECT_EQ(t.Leader(kA, 1), "lookup 1 n1 p0end");
  EXPECT_EQ(t.Offsets(1, 0, 9), "lookup 1 n2 p0t5");
  EXPECT_EQ(t.Offsets(2, 0, 3), "connect 1 | send 1#1 +p0@3 c1000 | at p0@3");
}

// What came after the end was asked for is not passed over.
TEST(ConsumerCore, TimeWithoutARecordMeansTheEndOfBeforeItWasLookedUp) {
  Trace t;
  t.Assign({{Named(0), {.kind = Position::Kind::kTimestamp, .timestamp_ms = 5}}});
  t.Leader(kA, 1);
  t.Offsets(1, 0, 9, /*epoch=*/1);
  EXPECT_EQ(t.Offsets(2, 0, -1), "connect 1 | send 1#1 +p0@9 c1000 | at p0@9");
  // A later one for a time begins with the end anew.
  EXPECT_EQ(t.Seek(0, {.kind = Position::Kind::kTimestamp, .timestamp_ms = 7}),
            "send 1#2 -p0 | lookup 1 n3 p0end");
}

TEST(ConsumerCore, TheEndOfAFormerLeaderIsCheckedBeforeItIsReadFrom) {
  Trace t;
  t.Assign({{Named(0), {.kind = Position::Kind::kTimestamp, .timestamp_ms = 5}}});
  t.Leader(kA, 1);
  t.Offsets(1, 0, 9, /*epoch=*/1);
  EXPECT_EQ(t.Leader(kB, 2), "lookup 2 n3 p0t5");
  EXPECT_EQ(t.Offsets(3, 0, -1), "check 2 n4 p0e1 | at p0@9");
  EXPECT_EQ(t.EpochEnd(4, 0, 1, 9), "connect 2 | send 2#1 +p0@9 c1000");
}

TEST(ConsumerCore, ASeekMakesALookupUnderWayVoid) {
  Trace t;
  t.Assign({{Named(0), {}}});
  t.Leader(kA, 1);
  EXPECT_EQ(t.Seek(0, At(3)), "connect 1 | send 1#1 +p0@3 c1000");
  EXPECT_EQ(t.Offsets(1, 0, 42), "");
}

TEST(ConsumerCore, OutOfRangeIsResetIfThereIsAPolicyAndElseFails) {
  Trace lenient({.reset = Position::Kind::kLatest, .prefetch_bytes = 1000});
  lenient.Assign({{Named(0), At(5)}});
  lenient.Leader(kA, 1);
  EXPECT_EQ(lenient.Refuse(kA, 1, 0, ErrorCode::kOffsetOutOfRange),
            "send 1#2 -p0 | lookup 1 n1 p0end");
  EXPECT_EQ(lenient.Offsets(1, 0, 77), "send 1#3 +p0@77 | at p0@77");

  Trace strict;
  strict.Assign({{Named(0), At(5)}});
  strict.Leader(kA, 1);
  EXPECT_EQ(strict.Refuse(kA, 1, 0, ErrorCode::kOffsetOutOfRange),
            "send 1#2 -p0 | failed p0 OFFSET_OUT_OF_RANGE");
  EXPECT_THAT(strict.last_failure(), IsError(ErrorCode::kOffsetOutOfRange, "t-0: offset 5"));
  EXPECT_EQ(strict.After(absl::Seconds(10)), "");
  EXPECT_EQ(strict.Seek(0, At(6)), "send 1#3 +p0@6");
}

TEST(ConsumerCore, PauseTakesThePartitionOffItsStreamAndResumePutsItBack) {
  Trace t;
  t.Assign({{Named(0), At(0)}, {Named(1), At(0)}});
  t.Leader(kA, 1);
  EXPECT_EQ(t.Pause(0), "send 1#2 -p0");
  const Bytes late = Batch(0, 1);
  EXPECT_EQ(t.Push(kA, 1, 0, late), "");
  EXPECT_EQ(t.Leader(kA, 2), "");
  EXPECT_EQ(t.Resume(0, At(4)), absl::StrCat("send 1#3 +p0@4 c", late.size()));
}

TEST(ConsumerCore, AssignReplacesWhatWasAssigned) {
  Trace t;
  t.Assign({{Named(0), At(0)}});
  t.Leader(kA, 1);
  EXPECT_EQ(t.Assign({{Named(1), At(0)}}), "send 1#2 -p0");
  EXPECT_EQ(t.Leader(kA, 1), "send 1#3 +p1@0");
  EXPECT_EQ(t.Push(kA, 3, 0, Batch(0, 1)), "");
}

TEST(ConsumerCore, ABrokerThatIsGoneIsAskedOncePerBackoff) {
  Trace t;
  t.Assign({{Named(0), At(0)}});
  t.Leader(kA, 1);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(t.Down(kA), "");
    EXPECT_EQ(t.until_deadline(), absl::Milliseconds(100));
    EXPECT_NE(t.After(absl::Milliseconds(100)), "");
    EXPECT_GE(t.until_deadline(), absl::Milliseconds(700)) << "no sooner than the watch's doubt";
  }
  EXPECT_EQ(t.Down(kA, ErrorCode::kAuthorizationFailed), "failed p0 AUTHORIZATION_FAILED");
}

TEST(ConsumerCore, AMessageThatIsTooLargeIsToldInsteadOfAskedForAgain) {
  Trace t;
  t.Assign({{Named(0), At(0)}});
  t.Leader(kA, 1);
  EXPECT_EQ(t.Down(kA, ErrorCode::kMessageTooLarge), "failed p0 MESSAGE_TOO_LARGE");
  EXPECT_EQ(t.until_deadline(), absl::InfiniteDuration());
}

TEST(ConsumerCore, ATopicThatStaysUnknownFailsAfterAGraceAndOneMadeAgainAtOnce) {
  Trace t;
  t.Assign({{Named(0), At(0)}});
  EXPECT_EQ(t.Gone(), "");
  EXPECT_EQ(t.until_deadline(), absl::Seconds(1));
  EXPECT_EQ(t.Leader(kA, 1), "connect 1 | send 1#1 +p0@0 c1000");
  EXPECT_EQ(t.until_deadline(), absl::InfiniteDuration());
  EXPECT_EQ(t.Leader(kA, 1, /*topic=*/8), "send 1#2 -p0 | failed p0 UNKNOWN_TOPIC_ID");
  t.Gone();
  EXPECT_EQ(t.After(absl::Seconds(1)), "");
  t.Assign({{Named(0), At(0)}});
  t.Gone();
  EXPECT_EQ(t.After(absl::Seconds(1)), "failed p0 UNKNOWN_TOPIC_OR_PARTITION");
  EXPECT_EQ(t.until_deadline(), absl::InfiniteDuration());
}

TEST(ConsumerCore, ASeekInATopicThatIsStillGoneFailsAgainOrReadsWhatIsMadeMeanwhile) {
  Trace t;
  t.Assign({{Named(0), At(5)}});
  t.Leader(kA, 1);
  t.Gone();
  t.After(absl::Seconds(1));
  EXPECT_EQ(t.Seek(0, At(0)), "");
  EXPECT_EQ(t.until_deadline(), absl::Seconds(1));
  EXPECT_EQ(t.After(absl::Seconds(1)), "failed p0 UNKNOWN_TOPIC_OR_PARTITION");
  t.Seek(0, At(0));
  EXPECT_EQ(t.Leader(kA, 1, /*topic=*/8), "send 1#3 +p0@0");
  EXPECT_EQ(t.until_deadline(), absl::InfiniteDuration());
}

TEST(ConsumerCore, AFailedPartitionIsReadFromTheTopicThatWasMadeAgainOnceItIsSoughtOrAssigned) {
  for (const bool assigned : {false, true}) {
    Trace t;
    t.Assign({{Named(0), At(5)}});
    t.Leader(kA, 4);
    EXPECT_EQ(t.Refuse(kA, 1, 0, ErrorCode::kOffsetOutOfRange),
              "send 1#2 -p0 | failed p0 OFFSET_OUT_OF_RANGE");
    // It has failed once; that it is another topic now is no second failure.
    EXPECT_EQ(t.Leader(kB, 1, /*topic=*/8), "");
    EXPECT_EQ(assigned ? t.Assign({{Named(0), At(0)}}) : t.Seek(0, At(0)),
              "connect 2 | send 2#3 +p0@0 c1000");
    EXPECT_EQ(t.last_assigned().name.topic_id, Topic(8));
    EXPECT_EQ(t.last_assigned().leader_epoch, LeaderEpoch(1));
    EXPECT_EQ(t.Leader(kB, 1, /*topic=*/8), "") << "what is known is told again";
  }
}

TEST(ConsumerCore, AFailedPartitionStillLearnsOfNewLeaders) {
  Trace t;
  t.Assign({{Named(0), At(5)}});
  t.Leader(kA, 1);
  EXPECT_EQ(t.Refuse(kA, 1, 0, ErrorCode::kOffsetOutOfRange),
            "send 1#2 -p0 | failed p0 OFFSET_OUT_OF_RANGE");
  EXPECT_EQ(t.Leader(kB, 2), "");
  EXPECT_EQ(t.Seek(0, At(0)), "connect 2 | send 2#3 +p0@0 c1000");
}

// --- KIP-320: the position is checked in each new leader epoch ---

TEST(ConsumerCore, ANewLeaderIsAskedWhereTheEpochThatWasReadEndsBeforeItIsReadFrom) {
  Trace t;
  t.Assign({{Named(0), At(0)}});
  t.Leader(kA, 1);
  t.Push(kA, 1, 0, Batch(0, 3, LeaderEpoch(1)));
  EXPECT_EQ(t.Leader(kB, 2), "send 1#2 -p0 | check 2 n1 p0e1");
  EXPECT_EQ(t.EpochEnd(1, 0, 1, 3), "connect 2 | send 2#3 +p0@3 c1000");
  // Once per epoch, also where the leader stays.
  t.Push(kB, 3, 0, Batch(3, 2, LeaderEpoch(2)));
  EXPECT_EQ(t.Leader(kB, 2), "");
  EXPECT_EQ(t.Leader(kB, 3), "send 2#4 -p0 | check 2 n2 p0e2");
  EXPECT_EQ(t.EpochEnd(2, 0, 2, 5), "send 2#5 +p0@5");
}

TEST(ConsumerCore, WhatAnUncleanElectionTookAwayIsAnErrorWithTheOffsetWhereTheLogsPart) {
  Trace t;
  t.Assign({{Named(0), At(0)}});
  t.Leader(kA, 1);
  t.Push(kA, 1, 0, Batch(0, 20, LeaderEpoch(1)));
  t.Leader(kB, 2);
  EXPECT_EQ(t.EpochEnd(1, 0, 1, 12), "failed p0 OFFSET_OUT_OF_RANGE");
  EXPECT_THAT(t.last_failure(), IsError(ErrorCode::kOffsetOutOfRange,
                                        "t-0: the log was truncated by an unclean election: the "
                                        "position is 20, and records from offset 12 on"));
  EXPECT_EQ(TruncatedAt(t.last_failure()), Offset(12));
  EXPECT_EQ(t.After(absl::Seconds(10)), "");
  EXPECT_EQ(t.Seek(0, At(12)), "connect 2 | send 2#3 +p0@12 c1000");
}

TEST(ConsumerCore, ALogThatGrewPastThePositionWithoutTheEpochHasPartedToo) {
  Trace t;
  t.Assign({{Named(0), At(0)}});
  t.Leader(kA, 1);
  t.Push(kA, 1, 0, Batch(0, 5, LeaderEpoch(1)));
  t.Leader(kB, 2);
  t.EpochEnd(1, 0, 1, 5);
  t.Push(kB, 3, 0, Batch(5, 3, LeaderEpoch(2)));
  t.Leader(kA, 3);
  EXPECT_EQ(t.EpochEnd(2, 0, 1, 10), "failed p0 OFFSET_OUT_OF_RANGE");
  EXPECT_EQ(TruncatedAt(t.last_failure()), Offset(5));
}

TEST(ConsumerCore, WithAResetPolicyItGoesOnWhereTheLogsPart) {
  Trace t({.reset = Position::Kind::kLatest, .prefetch_bytes = 1000});
  t.Assign({{Named(0), At(0)}});
  t.Leader(kA, 1);
  t.Push(kA, 1, 0, Batch(0, 20, LeaderEpoch(1)));
  t.Leader(kB, 2);
  EXPECT_EQ(t.EpochEnd(1, 0, 1, 12), "connect 2 | send 2#3 +p0@12 c1000 | at p0@12");
  EXPECT_EQ(t.Push(kB, 3, 0, Batch(12, 3, LeaderEpoch(2))), "fetched p0 g1");
}

// What was fetched ahead may be more than the caller has taken: where that goes on is not where he
// does.
TEST(ConsumerCore, APauseMakesACheckUnderWayVoid) {
  Trace t({.reset = Position::Kind::kLatest, .prefetch_bytes = 1000});
  t.Assign({{Named(0), At(0)}});
  t.Leader(kA, 1);
  t.Push(kA, 1, 0, Batch(0, 20, LeaderEpoch(1)));
  t.Leader(kB, 2);
  EXPECT_EQ(t.Pause(0), "");
  EXPECT_EQ(t.EpochEnd(1, 0, 1, 12), "");
  EXPECT_EQ(t.Resume(0, At(5, 1)), "check 2 n2 p0e1");
  EXPECT_EQ(t.EpochEnd(2, 0, 1, 12), "connect 2 | send 2#3 +p0@5 c1000");
}

TEST(ConsumerCore, APauseMakesALookupOfTheResetPolicyVoid) {
  Trace t({.reset = Position::Kind::kLatest, .prefetch_bytes = 1000});
  t.Assign({{Named(0), At(0)}});
  t.Leader(kA, 1);
  t.Push(kA, 1, 0, Batch(0, 20));
  EXPECT_EQ(t.Refuse(kA, 1, 0, ErrorCode::kOffsetOutOfRange), "send 1#2 -p0 | lookup 1 n1 p0end");
  EXPECT_EQ(t.Pause(0), "");
  EXPECT_EQ(t.Offsets(1, 0, 12), "");
  EXPECT_EQ(t.Resume(0, At(5)), "send 1#3 +p0@5");
}

TEST(ConsumerCore, APauseKeepsTheLookupOfWhereReadingBegins) {
  Trace t;
  t.Assign({{Named(0), {.kind = Position::Kind::kLatest}}});
  t.Leader(kA, 1);
  EXPECT_EQ(t.Pause(0), "");
  EXPECT_EQ(t.Offsets(1, 0, 12), "at p0@12");
  EXPECT_EQ(t.Resume(0, At(12)), "connect 1 | send 1#1 +p0@12 c1000");
}

TEST(ConsumerCore, WhereReadingBeginsIsLookedUpDuringAPauseUntilItIsAnswered) {
  Trace t;
  t.Assign({{Named(0), {.kind = Position::Kind::kLatest}}});
  t.Leader(kA, 1);
  EXPECT_EQ(t.Pause(0), "");
  EXPECT_EQ(t.LookupFailed(1, ErrorCode::kBrokerNotAvailable), "");
  EXPECT_EQ(t.After(absl::Milliseconds(100)), "lookup 1 n2 p0end");
  EXPECT_EQ(t.Leader(kB, 2), "lookup 2 n3 p0end");
  EXPECT_EQ(t.Offsets(3, 0, 12), "at p0@12");

  Trace unknown;
  unknown.Assign({{Named(0), {.kind = Position::Kind::kLatest}}});
  unknown.Pause(0);
  EXPECT_EQ(unknown.Leader(kA, 1), "lookup 1 n1 p0end");
  // Resumed before the answer, it is not asked anew.
  EXPECT_EQ(unknown.Resume(0, std::nullopt), "");
  EXPECT_EQ(unknown.Offsets(1, 0, 12), "connect 1 | send 1#1 +p0@12 c1000 | at p0@12");
}

// He may have paused before he came to hear of it.
TEST(ConsumerCore, WhoKnowsNoOffsetGoesOnWhereHeBegan) {
  Trace t({.reset = Position::Kind::kLatest, .prefetch_bytes = 1000});
  t.Assign({{Named(0), {.kind = Position::Kind::kLatest}}});
  t.Leader(kA, 1);
  EXPECT_EQ(t.Offsets(1, 0, 12, 1), "connect 1 | send 1#1 +p0@12 c1000 | at p0@12");
  t.Push(kA, 1, 0, Batch(12, 3));
  t.Pause(0);
  EXPECT_EQ(t.Resume(0, std::nullopt), "send 1#3 +p0@12");
  // Also after a reset that he has not heard of either.
  EXPECT_EQ(t.Refuse(kA, 3, 0, ErrorCode::kOffsetOutOfRange), "send 1#4 -p0 | lookup 1 n2 p0end");
  EXPECT_EQ(t.Offsets(2, 0, 20), "send 1#5 +p0@20 | at p0@20");
  t.Pause(0);
  EXPECT_EQ(t.Resume(0, std::nullopt), "send 1#7 +p0@12");
}

TEST(ConsumerCore, ASeekOfAPausedPartitionIsLookedUpAndNotReadUntilItIsResumed) {
  Trace t;
  t.Assign({{Named(0), At(5)}});
  t.Leader(kA, 1);
  t.Pause(0);
  EXPECT_EQ(t.Seek(0, At(3)), "");
  EXPECT_EQ(t.Seek(0, {.kind = Position::Kind::kLatest}), "lookup 1 n1 p0end");
  EXPECT_EQ(t.Offsets(1, 0, 12), "at p0@12");
  EXPECT_EQ(t.Resume(0, std::nullopt), "send 1#3 +p0@12");
}

TEST(ConsumerCore, ALookupThatFailedDuringAPauseIsTriedOnceMoreWhenItEnds) {
  Trace t;
  t.Assign({{Named(0), {.kind = Position::Kind::kLatest}}});
  t.Leader(kA, 1);
  t.Pause(0);
  EXPECT_EQ(t.LookupFailed(1, ErrorCode::kAuthorizationFailed), "failed p0 AUTHORIZATION_FAILED");
  EXPECT_EQ(t.Resume(0, std::nullopt), "lookup 1 n2 p0end");
}

TEST(ConsumerCore, APositionThatWasKeptIsCheckedBeforeAnythingIsRead) {
  Trace t;
  t.Assign({{Named(0), At(20, 3)}, {Named(1), At(20, 5)}});
  // Partition 1 was read in the present epoch: there is nothing to ask.
  EXPECT_EQ(t.Leader(kA, 5), "connect 1 | send 1#1 +p1@20 c1000 | check 1 n1 p0e3");
  EXPECT_EQ(t.EpochEnd(1, 0, 3, 15), "failed p0 OFFSET_OUT_OF_RANGE");
}

TEST(ConsumerCore, APositionOfALaterEpochThanTheMetadataWaitsForNewer) {
  Trace t;
  EXPECT_EQ(t.Assign({{Named(0), At(20, 5)}}), "");
  EXPECT_EQ(t.Leader(kA, 4), "");
  EXPECT_EQ(t.until_deadline(), absl::Seconds(10));
  EXPECT_EQ(t.Leader(kB, 5), "connect 2 | send 2#1 +p0@20 c1000");
  EXPECT_EQ(t.until_deadline(), absl::InfiniteDuration());

  Trace never;
  never.Assign({{Named(0), At(20, 5)}});
  never.Leader(kA, 4);
  EXPECT_EQ(never.After(absl::Seconds(10)), "failed p0 OFFSET_OUT_OF_RANGE");
  EXPECT_THAT(never.last_failure(),
              IsError(ErrorCode::kOffsetOutOfRange, "read in leader epoch 5"));
  EXPECT_EQ(never.until_deadline(), absl::InfiniteDuration());
}

TEST(ConsumerCore, ALookedUpPositionIsCheckedByTheEpochItWasFoundIn) {
  Trace t;
  t.Assign({{Named(0), {.kind = Position::Kind::kLatest}}});
  t.Leader(kA, 3);
  t.Offsets(1, 0, 20, 3);
  EXPECT_EQ(t.Leader(kB, 4), "send 1#2 -p0 | check 2 n2 p0e3");
  // Nothing need be of epoch 3; the log only must not end before.
  EXPECT_EQ(t.EpochEnd(2, 0, 1, 20), "connect 2 | send 2#3 +p0@20 c1000");
}

TEST(ConsumerCore, ACheckIsRepeatedUntilTheLeaderAnswersAndVoidUnderTheNext) {
  Trace t;
  t.Assign({{Named(0), At(20, 3)}});
  EXPECT_EQ(t.Leader(kA, 4), "check 1 n1 p0e3");
  EXPECT_EQ(t.CheckRefused(1, 0, ErrorCode::kUnknownLeaderEpoch), "");
  EXPECT_EQ(t.After(absl::Milliseconds(100)), "check 1 n2 p0e3");
  EXPECT_EQ(t.CheckRefused(2, 0, ErrorCode::kFencedLeaderEpoch,
                           LeaderHint{.leader = kB, .leader_epoch = LeaderEpoch(5)}),
            "check 2 n3 p0e3");
  EXPECT_EQ(t.Leader(kA, 6), "check 1 n4 p0e3");
  EXPECT_EQ(t.EpochEnd(3, 0, 3, 10), "");
  EXPECT_EQ(t.EpochEnd(4, 0, 3, 20), "connect 1 | send 1#1 +p0@20 c1000");
}

// --- KIP-392: reading in one's own rack ---

// It reads partition 0 at kB, which the leader kA has named.
Trace AtNearReplica() {
  Trace t({.prefetch_bytes = 1000, .rack = "here"});
  t.Assign({{Named(0), At(0)}});
  t.Leader(kA, 1);
  EXPECT_EQ(t.PushNaming(kA, 1, 0, Batch(0, 3), kB),
            "connect 2 | send 1#2 -p0 | send 2#2 +p0@3 c1000 | fetched p0 g1");
  return t;
}

TEST(ConsumerCore, AReplicaInItsRackThatTheLeaderNamesIsReadFromInstead) {
  Trace t = AtNearReplica();
  EXPECT_EQ(t.Push(kB, 2, 0, Batch(3, 3)), "fetched p0 g1");
  // What the leader has pushed meanwhile is not counted.
  EXPECT_EQ(t.Push(kA, 1, 0, Batch(3, 3)), "");
  EXPECT_EQ(t.Leader(kA, 1), "");

  Trace no_rack;
  no_rack.Assign({{Named(0), At(0)}});
  no_rack.Leader(kA, 1);
  EXPECT_EQ(no_rack.PushNaming(kA, 1, 0, Batch(0, 3), kB), "fetched p0 g1");
}

TEST(ConsumerCore, AnyErrorOfANearReplicaLeadsBackToTheLeaderForAWhile_S38) {
  for (const ErrorCode code :
       {ErrorCode::kOffsetOutOfRange, ErrorCode::kOffsetNotAvailable, ErrorCode::kCorruptLog,
        ErrorCode::kNotLeaderOrFollower, ErrorCode::kUnknownLeaderEpoch}) {
    Trace t = AtNearReplica();
    EXPECT_EQ(t.Refuse(kB, 2, 0, code), "send 1#3 +p0@3 | send 2#3 -p0") << code;
    // Asked again at once, it would refuse again.
    EXPECT_EQ(t.PushNaming(kA, 3, 0, Batch(3, 1), kB), "fetched p0 g1");
    t.After(absl::Seconds(5));
    EXPECT_EQ(t.PushNaming(kA, 3, 0, Batch(4, 1), kB),
              "send 1#4 -p0 | send 2#4 +p0@5 | fetched p0 g1");
  }
}

TEST(ConsumerCore, ANearReplicaThatIsGoneOrOutOfSyncIsLeftAtOnce) {
  Trace gone = AtNearReplica();
  EXPECT_EQ(gone.Down(kB), "send 1#3 +p0@3");
  Trace refused = AtNearReplica();
  EXPECT_EQ(refused.Down(kB, ErrorCode::kAuthorizationFailed), "send 1#3 +p0@3");
  Trace lagging = AtNearReplica();
  EXPECT_EQ(lagging.Leader(kA, 1, 7, {kA}), "send 1#3 +p0@3 | send 2#3 -p0");
}

TEST(ConsumerCore, ASeekOrANewEpochBeginsAtTheLeader) {
  Trace sought = AtNearReplica();
  EXPECT_EQ(sought.Seek(0, At(100)), "send 1#3 +p0@100 | send 2#3 -p0");
  Trace elected = AtNearReplica();
  EXPECT_EQ(elected.Leader(kA, 2), "send 1#3 +p0@3 | send 2#3 -p0");
}

TEST(ConsumerCore, WhereALeaderIsLostAndNothingIsPushedLeadersAreWatchedElsewhereOnce) {
  Trace t;
  t.Assign({{Named(0), At(0)}});
  t.Leader(kA, 1);
  t.Down(kA);
  EXPECT_EQ(t.After(absl::Milliseconds(100)), "connect 1 | send 1#2 +p0@0 c1000");
  EXPECT_EQ(t.until_deadline(), absl::Milliseconds(900));
  EXPECT_EQ(t.After(absl::Milliseconds(900)), "watch elsewhere");
  EXPECT_EQ(t.until_deadline(), absl::InfiniteDuration()) << "not again without another reason";
}

TEST(ConsumerCore, AWatchThatTellsSomethingIsKept) {
  Trace t;
  t.Assign({{Named(0), At(0)}});
  t.Leader(kA, 1);
  t.Down(kA);
  t.Leader(kB, 2);
  EXPECT_EQ(t.After(absl::Seconds(5)), "");
}

TEST(ConsumerCore, AHintThatTheWatchDoesNotConfirmIsFollowedAndTheWatchIsChanged) {
  Trace t;
  t.Assign({{Named(0), At(0)}});
  t.Leader(kA, 1);
  EXPECT_EQ(
      t.Refuse(kA, 1, 0, ErrorCode::kNotLeaderOrFollower, LeaderHint{kB, LeaderEpoch(2), "b:1"}),
      "connect 2 | send 1#2 -p0 | send 2#2 +p0@0 c1000");
  EXPECT_EQ(t.After(absl::Seconds(1)), "watch elsewhere");
}

TEST(ConsumerCore, AQuestionThatNobodyAnswersIsADoubtInTheWatchToo) {
  Trace t;
  t.Assign({{Named(0), {.kind = Position::Kind::kEarliest}}});
  EXPECT_EQ(t.Leader(kA, 1), "lookup 1 n1 p0");
  t.LookupFailed(1, ErrorCode::kRequestTimedOut);
  t.After(absl::Milliseconds(100));
  EXPECT_EQ(t.After(absl::Milliseconds(900)), "watch elsewhere");
}

}  // namespace
}  // namespace millrace::client

// Messages of every kind, for the tests of the codec: one filled in by hand each, and random ones.
//
// Thread: any (pure functions).
#ifndef RAFT_CODEC_TESTING_SAMPLE_MESSAGES_H_
#define RAFT_CODEC_TESTING_SAMPLE_MESSAGES_H_

#include <algorithm>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/random.h"
#include "raft/codec/message_encoder.h"
#include "raft/messages.h"

namespace millrace::raft {

inline std::string Join(const Pieces& pieces) {
  std::string bytes;
  for (const Bytes& piece : pieces) bytes += piece.ToString();
  return bytes;
}

// A whole ReplicateRequest with these messages. REQUIRES: they have the right form.
inline std::string Encode(const std::vector<Message>& messages) {
  RequestWriter writer;
  for (const Message& message : messages) CHECK(writer.Add(message).ok()) << message;
  return Join(writer.Finish());
}

template <class Body>
Message MessageOf(Body body) {
  Message message;
  message.from = VoterId{NodeId(1), DirectoryId(Uuid(0x1112, 0x1314))};
  message.to = VoterId{NodeId(2), DirectoryId(Uuid(0x2122, 0x2324))};
  message.term = Term(9);
  message.body = std::move(body);
  return message;
}

inline Entry EntryOf(int64_t term, int64_t index, EntryType type, std::string payload) {
  return Entry{Term(term), LogIndex(index), type, Bytes::FromString(std::move(payload))};
}

inline std::vector<Voter> SampleVoters() {
  return {{{NodeId(1), DirectoryId(Uuid(0, 1))}, "one:9093", false},
          {{NodeId(2), DirectoryId(Uuid(0, 2))}, "two:9093", true}};
}

// One of each kind, with no field at its default.
inline std::vector<Message> SampleMessages() {
  const SnapshotId snapshot{EntryId{Term(3), LogIndex(40)}, 1000, 0xabcdef01};
  const std::string voters = *EncodeVoters(SampleVoters());
  return {
      MessageOf(VoteRequest{true, Term(10), EntryId{Term(8), LogIndex(77)}, true}),
      MessageOf(VoteResponse{true, Term(10), true}),
      MessageOf(AppendRequest{
          EntryId{Term(7), LogIndex(76)},
          {EntryOf(8, 77, EntryType::kNoOp, ""), EntryOf(8, 78, EntryType::kPayload, "create"),
           EntryOf(9, 79, EntryType::kVoters, voters),
           EntryOf(9, 80, EntryType::kPayload, std::string(3000, 'p'))},
          LogIndex(75),
          Round(5)}),
      MessageOf(AppendResponse{true, LogIndex(80), true, LogIndex(70),
                               EntryId{Term(6), LogIndex(60)}, LogIndex(81), Round(5)}),
      MessageOf(SnapshotOffer{snapshot, VoterSet{EntryId{Term(2), LogIndex(30)}, SampleVoters()},
                              Round(6)}),
      MessageOf(
          SnapshotChunk{snapshot, 200, 300, Bytes::FromString(std::string(300, 'c')), Round(7)}),
      MessageOf(SnapshotResponse{snapshot, 500, Round(8)}),
      MessageOf(TimeoutNow{}),
  };
}

// Of any kind, with small and large entries.
inline Message RandomMessage(Random& random) {
  std::vector<Message> samples = SampleMessages();
  Message message = std::move(samples[random.Below(samples.size())]);
  auto position = [&random] {
    return static_cast<int64_t>(random.Next() >> (3 + random.Below(60)));
  };
  message.term = Term(position());
  if (auto* append = std::get_if<AppendRequest>(&message.body)) {
    append->previous = EntryId{Term(message.term.value() / 2), LogIndex(position() / 2 + 1)};
    append->entries.clear();
    EntryId id = append->previous;
    for (uint64_t i = random.Below(20); i > 0; --i) {
      id.index = id.index + 1;
      if (random.Below(4) == 0) id.term = std::min(message.term, id.term + 1);
      const size_t size = random.Below(2 * kSharedPayloadBytesMin);
      append->entries.push_back(EntryOf(id.term.value(), id.index.value(), EntryType::kPayload,
                                        std::string(size, static_cast<char>(random.Next()))));
    }
  } else if (auto* response = std::get_if<AppendResponse>(&message.body)) {
    response->accepted = random.Below(2) == 0;
    response->match = LogIndex(position());
    response->round = Round(random.Next());
  } else if (auto* vote = std::get_if<VoteRequest>(&message.body)) {
    vote->campaign_term = Term(position());
    vote->pre_vote = random.Below(2) == 0;
  }
  return message;
}

}  // namespace millrace::raft

#endif  // RAFT_CODEC_TESTING_SAMPLE_MESSAGES_H_

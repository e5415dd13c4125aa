// The layout of Raft messages on the wire: one frame per message, its constants, and the order of
// each kind's fields, said once for writing, reading and sizing. The page of it, with an example,
// is docs/formats/raft_messages.md.
//
// Not here: what values are allowed (message_form.h), and how frames are gathered
// (message_encoder.h, message_decoder.h).
//
// Thread: any (constants and pure functions).
#ifndef RAFT_CODEC_MESSAGE_FORMAT_H_
#define RAFT_CODEC_MESSAGE_FORMAT_H_

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <variant>

#include "raft/messages.h"

namespace millrace::raft {

// The first byte of every frame.
inline constexpr uint8_t kFrameVersion = 1;

// The second byte. Numbers are never reused; they are those of Message::body's alternatives, from
// one.
enum class FrameKind : uint8_t {
  kVoteRequest = 1,
  kVoteResponse = 2,
  kAppendRequest = 3,
  kAppendResponse = 4,
  kSnapshotOffer = 5,
  kSnapshotChunk = 6,
  kSnapshotResponse = 7,
  kTimeoutNow = 8,
};

template <FrameKind kind, class Body>
inline constexpr bool kIsKindOf = std::is_same_v<
    std::variant_alternative_t<static_cast<size_t>(kind) - 1, decltype(Message::body)>, Body>;
static_assert(kIsKindOf<FrameKind::kVoteRequest, VoteRequest>);
static_assert(kIsKindOf<FrameKind::kVoteResponse, VoteResponse>);
static_assert(kIsKindOf<FrameKind::kAppendRequest, AppendRequest>);
static_assert(kIsKindOf<FrameKind::kAppendResponse, AppendResponse>);
static_assert(kIsKindOf<FrameKind::kSnapshotOffer, SnapshotOffer>);
static_assert(kIsKindOf<FrameKind::kSnapshotChunk, SnapshotChunk>);
static_assert(kIsKindOf<FrameKind::kSnapshotResponse, SnapshotResponse>);
static_assert(kIsKindOf<FrameKind::kTimeoutNow, TimeoutNow>);

// Version and kind, before the fields that every message has.
inline constexpr size_t kFramePrefixBytes = 2;
// Of an entry, before its payload: term, type, size. Its index follows from its place.
inline constexpr size_t kFrameEntryHeaderBytes = 8 + 1 + 4;

// ReplicateRequest's fields, as tags: (field number << 3) | 2 (length-delimited).
inline constexpr uint32_t kHelloTag = (1 << 3) | 2;
inline constexpr uint32_t kMessageTag = (2 << 3) | 2;

// The largest message: one entry of the greatest size after a full append, with room to spare.
inline constexpr size_t kMessageBytesMax = 12 << 20;
// No message is added to a request that has this many bytes already...
inline constexpr size_t kRequestBytesFull = 2 << 20;
// ...so that none is larger, which is what a receiver must take.
inline constexpr size_t kRequestBytesMax = kRequestBytesFull + kMessageBytesMax + 16;

// An archive takes the fields of a message in order: it writes, reads or sizes them.

// What every message begins with.
template <class Archive, class M>
void VisitHeader(Archive& archive, M& message) {
  archive.Voter(message.from);
  archive.Voter(message.to);
  archive.Position(message.term);
}

template <class Archive, class M>
void VisitId(Archive& archive, M& id) {
  archive.Position(id.term);
  archive.Position(id.index);
}

template <class Archive, class M>
void VisitSnapshotId(Archive& archive, M& id) {
  VisitId(archive, id.last);
  archive.Number(id.bytes);
  archive.Number(id.checksum);
}

template <class Archive, class M>
void VisitBody(Archive& archive, M& m) {
  using Body = std::remove_const_t<M>;
  if constexpr (std::is_same_v<Body, VoteRequest>) {
    archive.Flag(m.pre_vote);
    archive.Flag(m.leadership_transfer);
    archive.Position(m.campaign_term);
    VisitId(archive, m.last);
  } else if constexpr (std::is_same_v<Body, VoteResponse>) {
    archive.Flag(m.pre_vote);
    archive.Flag(m.granted);
    archive.Position(m.campaign_term);
  } else if constexpr (std::is_same_v<Body, AppendRequest>) {
    VisitId(archive, m.previous);
    archive.Position(m.commit);
    archive.Counter(m.round);
    archive.Entries(m.previous, m.entries);
  } else if constexpr (std::is_same_v<Body, AppendResponse>) {
    archive.Flag(m.accepted);
    archive.Flag(m.full);
    archive.Position(m.match);
    archive.Position(m.refused);
    VisitId(archive, m.hint);
    archive.Position(m.last);
    archive.Counter(m.round);
  } else if constexpr (std::is_same_v<Body, SnapshotOffer>) {
    VisitSnapshotId(archive, m.id);
    archive.Counter(m.round);
    VisitId(archive, m.voters.id);
    archive.Voters(m.voters.voters);
  } else if constexpr (std::is_same_v<Body, SnapshotChunk>) {
    VisitSnapshotId(archive, m.id);
    archive.Number(m.offset);
    archive.Counter(m.round);
    archive.Data(m.data);
  } else if constexpr (std::is_same_v<Body, SnapshotResponse>) {
    VisitSnapshotId(archive, m.id);
    archive.Number(m.received);
    archive.Counter(m.round);
  } else {
    static_assert(std::is_same_v<Body, TimeoutNow>);
  }
}

}  // namespace millrace::raft

#endif  // RAFT_CODEC_MESSAGE_FORMAT_H_

#include "broker/codec/replication_decoder.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/coding.h"
#include "base/status.h"
#include "broker/codec/piece_reader.h"
#include "broker/codec/replication_format.h"
#include "millrace/internal/v1/replica_service.pb.h"

namespace millrace::broker {
namespace {

namespace wire = millrace::internal::v1;

absl::Status Malformed(const PieceReader& reader, absl::string_view what) {
  return MakeError(ErrorCode::kCorruptMessage,
                   absl::StrCat("malformed or truncated ", what, " at byte ", reader.position(),
                                " of a replication message (", reader.remaining(), " bytes left)"),
                   {.name = std::string(what)});
}

// Fills in fields one by one, until one cannot be read; then it leaves the rest alone.
class ReadingArchive {
 public:
  explicit ReadingArchive(PieceReader* reader) : reader_(*reader) {}

  absl::Status status() const {
    return failed_ == nullptr ? absl::OkStatus() : Malformed(reader_, failed_);
  }
  void Expect(bool holds, const char* what) {
    if (!holds && failed_ == nullptr) failed_ = what;
  }

  template <class Id>
  void Uuid(Id& id) {
    uint64_t high = 0;
    uint64_t low = 0;
    if (failed_ == nullptr) Expect(reader_.ReadBig(&high) && reader_.ReadBig(&low), "id");
    id = Id(millrace::Uuid(high, low));
  }
  // Not negative.
  template <class T>
  void Natural(T& value, const char* what) {
    Take(value, 0, what);
  }
  // Or -1, which says that there is none.
  template <class T>
  void OrNone(T& value, const char* what) {
    Take(value, -1, what);
  }
  void Number(uint64_t& value, const char* what) {
    if (failed_ == nullptr) Expect(reader_.ReadLittle(&value), what);
  }
  void Outcome(api::PartitionOutcome& outcome) { Reason(&outcome.code, &outcome.message); }
  void Reason(ErrorCode* code, std::string* reason) {
    int32_t number = 0;
    uint16_t size = 0;
    if (failed_ != nullptr) return;
    Expect(reader_.ReadLittle(&number) && number >= 0, "error code");
    Expect(failed_ == nullptr && reader_.ReadLittle(&size) && size <= kReasonBytesMax, "reason");
    if (failed_ != nullptr) return;
    *code = static_cast<ErrorCode>(number);
    reason->resize(size);
    Expect(reader_.ReadInto(reason->data(), size), "reason");
  }
  template <class T, class Visit>
  void Optional(std::optional<T>& value, Visit visit) {
    uint8_t flag = 0;
    if (failed_ == nullptr) Expect(reader_.ReadLittle(&flag) && flag <= 1, "flag");
    if (failed_ != nullptr || flag == 0) return;
    visit(value.emplace());
  }
  // All that is left, in memory of its own.
  void Rest(Bytes* out) {
    if (failed_ != nullptr || reader_.empty()) return;
    Buffer memory(reader_.remaining());
    Expect(reader_.ReadInto(memory.data(), memory.size()), "batches");
    *out = std::move(memory).Freeze();
  }
  void Finish() { Expect(reader_.empty(), "end of a frame"); }

 private:
  template <class T>
  void Take(T& value, int least, const char* what) {
    typename T::Representation number{};
    if (failed_ == nullptr) Expect(reader_.ReadLittle(&number) && number >= least, what);
    value = T(number);
  }

  PieceReader& reader_;
  // The first thing that could not be read.
  const char* failed_ = nullptr;
};

// One frame of a message, once its kind is known: reads the key, the fields, and nothing else.
template <class M, class Visit>
absl::Status ReadFrame(PieceReader* frame, std::vector<M>* out, Visit visit) {
  ReadingArchive archive(frame);
  M& message = out->emplace_back();
  VisitKey(archive, message);
  visit(archive, message);
  archive.Finish();
  return archive.status();
}

absl::Status ReadDetach(PieceReader* frame, std::vector<ReplicaDetach>* out) {
  return ReadFrame(frame, out, [](ReadingArchive& archive, ReplicaDetach& detach) {
    ErrorCode code = ErrorCode::kNone;
    std::string reason;
    archive.Reason(&code, &reason);
    archive.Expect(code != ErrorCode::kNone, "reason of a detach");
    if (archive.status().ok()) detach.status = MakeError(code, reason);
  });
}

// Belongs to a position of the same message, before it.
absl::Status ReadLogStart(PieceReader* frame, std::vector<ReplicaPosition>* positions) {
  ReadingArchive archive(frame);
  ReplicaPosition read;
  VisitKey(archive, read);
  VisitLogStart(archive, read.log_start.emplace());
  archive.Finish();
  RETURN_IF_ERROR(archive.status());
  const auto of = std::find_if(positions->rbegin(), positions->rend(), [&](const auto& position) {
    return position.topic_partition == read.topic_partition && position.attach == read.attach &&
           position.leader_epoch == read.leader_epoch;
  });
  if (of == positions->rend()) return Malformed(*frame, "log start, without a position,");
  of->log_start = read.log_start;
  return absl::OkStatus();
}

absl::Status ReadFollowerFrame(FrameKind kind, PieceReader* frame, FollowerMessage* out) {
  switch (kind) {
    case FrameKind::kAttach:
      return ReadFrame(frame, &out->attaches, [](ReadingArchive& archive, AttachRequest& attach) {
        VisitAttach(archive, attach);
      });
    case FrameKind::kPosition:
      return ReadFrame(frame, &out->positions,
                       [](ReadingArchive& archive, ReplicaPosition& position) {
                         VisitPosition(archive, position);
                       });
    case FrameKind::kLogStart:
      return ReadLogStart(frame, &out->positions);
    case FrameKind::kDetach:
      return ReadDetach(frame, &out->detaches);
    case FrameKind::kCredit: {
      ReadingArchive archive(frame);
      uint64_t credit = 0;
      archive.Number(credit, "credit");
      // No stream ever carries as much, so sums of it cannot overflow.
      archive.Expect(credit <= uint64_t{std::numeric_limits<int32_t>::max()}, "credit");
      archive.Finish();
      out->credit_bytes += static_cast<int64_t>(credit);
      return archive.status();
    }
    default:
      return Malformed(*frame, "kind of a follower's frame");
  }
}

absl::Status ReadLeaderFrame(FrameKind kind, PieceReader* frame, ReceivedLeaderMessage* out) {
  switch (kind) {
    case FrameKind::kAttachReply:
      return ReadFrame(frame, &out->replies, [](ReadingArchive& archive, AttachReply& reply) {
        VisitAttachReply(archive, reply);
      });
    case FrameKind::kPush:
      return ReadFrame(frame, &out->pushes, [](ReadingArchive& archive, ReplicaPush& push) {
        VisitPush(archive, push);
        archive.Rest(&push.batches);
      });
    case FrameKind::kDetach:
      return ReadDetach(frame, &out->detaches);
    default:
      return Malformed(*frame, "kind of a leader's frame");
  }
}

// Steps over a field of proto's wire format that is not known here.
bool SkipField(uint32_t tag, PieceReader* reader) {
  uint32_t size = 0;
  uint8_t byte = 0x80;
  switch (tag & 7) {
    case 0:
      for (int i = 0; i < 10 && byte >= 0x80; ++i) {
        if (!reader->ReadLittle(&byte)) return false;
      }
      return byte < 0x80;
    case 1:
      return reader->Skip(sizeof(uint64_t));
    case 2:
      return reader->ReadVarint32(&size) && reader->Skip(size);
    case 5:
      return reader->Skip(sizeof(uint32_t));
    default:
      return false;
  }
}

// Calls `on_hello(bytes)` and `on_frame(kind, reader)` for the fields of a message, and sets
// `flag`.
template <class OnHello, class OnFrame>
absl::Status ReadMessage(absl::Span<const Slice> message, bool* flag, OnHello on_hello,
                         OnFrame on_frame) {
  PieceReader reader(message);
  while (!reader.empty()) {
    uint32_t tag = 0;
    if (!reader.ReadVarint32(&tag) || tag < 8) return Malformed(reader, "tag");
    if (tag == kReplicaFlagTag) {
      uint32_t value = 0;
      if (!reader.ReadVarint32(&value)) return Malformed(reader, "flag");
      *flag = value != 0;
      continue;
    }
    if (tag != kReplicaHelloTag && tag != kReplicaFrameTag && tag != kReplicaExtensionTag) {
      if (!SkipField(tag, &reader)) return Malformed(reader, "unknown field");
      continue;
    }
    uint32_t size = 0;
    PieceReader field(absl::Span<const Slice>{});
    if (!reader.ReadVarint32(&size)) return Malformed(reader, "size");
    if (!reader.Split(size, &field)) return Malformed(reader, "field");
    if (tag == kReplicaHelloTag) {
      std::string bytes(size, '\0');
      if (!field.ReadInto(bytes.data(), size)) return Malformed(reader, "hello");
      RETURN_IF_ERROR(on_hello(bytes));
      continue;
    }
    uint8_t kind = 0;
    if (!field.ReadLittle(&kind)) return Malformed(reader, "kind of a frame");
    // A later version's.
    if (tag == kReplicaExtensionTag && kind > static_cast<uint8_t>(FrameKind::kLogStart)) continue;
    RETURN_IF_ERROR(on_frame(static_cast<FrameKind>(kind), &field));
  }
  return absl::OkStatus();
}

absl::Status CheckVersion(int32_t version) {
  if (version == kReplicationVersion) return absl::OkStatus();
  return MakeError(
      ErrorCode::kUnsupportedVersion,
      absl::StrCat("the other broker speaks version ", version, " of replication, this one ",
                   kReplicationVersion, ": upgrade the older of the two"),
      {.name = "version", .value = absl::StrCat(version)});
}

absl::Status Misfit(absl::string_view field, int64_t value) {
  return MakeError(ErrorCode::kCorruptMessage, absl::StrCat("a hello whose ", field, " is ", value),
                   {.name = std::string(field), .value = absl::StrCat(value)});
}

absl::StatusOr<FollowerHello> FollowerHelloOf(const std::string& bytes) {
  wire::FollowerHello in;
  if (!in.ParseFromString(bytes)) return Misfit("size, unparsable,", bytes.size());
  RETURN_IF_ERROR(CheckVersion(in.version()));
  const absl::StatusOr<ClusterId> cluster = ClusterId::FromBytes(in.cluster_id());
  if (!cluster.ok()) return Misfit("cluster id's size", in.cluster_id().size());
  if (in.follower_id() < 0) return Misfit("follower id", in.follower_id());
  if (in.follower_epoch() < 0) return Misfit("follower epoch", in.follower_epoch());
  if (in.leader_id() < 0) return Misfit("leader id", in.leader_id());
  if (in.leader_epoch() < 0) return Misfit("leader epoch", in.leader_epoch());
  if (in.leader_shard() < 0) return Misfit("leader shard", in.leader_shard());
  if (in.window_bytes() <= 0) return Misfit("window", in.window_bytes());
  FollowerHello hello;
  hello.cluster_id = *cluster;
  hello.follower = {NodeId(in.follower_id()), BrokerEpoch(in.follower_epoch())};
  hello.leader = NodeId(in.leader_id());
  hello.leader_epoch = BrokerEpoch(in.leader_epoch());
  hello.leader_shard = in.leader_shard();
  hello.window_bytes = std::min<int64_t>(in.window_bytes(), std::numeric_limits<int32_t>::max());
  return hello;
}

absl::StatusOr<LeaderHello> LeaderHelloOf(const std::string& bytes) {
  wire::LeaderHello in;
  if (!in.ParseFromString(bytes)) return Misfit("size, unparsable,", bytes.size());
  RETURN_IF_ERROR(CheckVersion(in.version()));
  if (in.shard() < 0 || in.shard() >= in.shard_count()) return Misfit("shard", in.shard());
  LeaderHello hello;
  hello.shard = in.shard();
  hello.shard_count = in.shard_count();
  return hello;
}

}  // namespace

absl::StatusOr<FollowRequest> DecodeFollowRequest(absl::Span<const Slice> message) {
  FollowRequest request;
  RETURN_IF_ERROR(ReadMessage(
      message, &request.message.confirms,
      [&](const std::string& bytes) -> absl::Status {
        ASSIGN_OR_RETURN(request.hello, FollowerHelloOf(bytes));
        return absl::OkStatus();
      },
      [&](FrameKind kind, PieceReader* frame) {
        return ReadFollowerFrame(kind, frame, &request.message);
      }));
  return request;
}

absl::StatusOr<FollowResponse> DecodeFollowResponse(absl::Span<const Slice> message) {
  FollowResponse response;
  RETURN_IF_ERROR(ReadMessage(
      message, &response.message.asks,
      [&](const std::string& bytes) -> absl::Status {
        ASSIGN_OR_RETURN(response.hello, LeaderHelloOf(bytes));
        return absl::OkStatus();
      },
      [&](FrameKind kind, PieceReader* frame) {
        return ReadLeaderFrame(kind, frame, &response.message);
      }));
  return response;
}

}  // namespace millrace::broker

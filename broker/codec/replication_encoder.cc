#include "broker/codec/replication_encoder.h"

#include <string>
#include <utility>
#include <vector>

#include "base/coding.h"
#include "base/status.h"
#include "broker/codec/replication_format.h"
#include "millrace/internal/v1/replica_service.pb.h"

namespace millrace::broker {
namespace {

namespace wire = millrace::internal::v1;

// Batches of at least this size are shared: below, a copy is cheaper than to count a reference.
constexpr size_t kSharedBytesMin = 1024;

Slice Shortened(Slice reason) { return reason.substr(0, kReasonBytesMax); }

// Writes fields to the end of a string.
class WritingArchive {
 public:
  explicit WritingArchive(std::string* out) : out_(out) {}

  template <class Id>
  void Uuid(const Id& id) {
    AppendBig<uint64_t>(id.uuid().high(), out_);
    AppendBig<uint64_t>(id.uuid().low(), out_);
  }
  template <class T>
  void Natural(T value, const char*) {
    AppendLittle<typename T::Representation>(value.value(), out_);
  }
  template <class T>
  void OrNone(T value, const char* what) {
    Natural(value, what);
  }
  void Number(uint64_t value, const char*) { AppendLittle<uint64_t>(value, out_); }
  void Outcome(const api::PartitionOutcome& outcome) { Reason(outcome.code, outcome.message); }
  void Reason(ErrorCode code, Slice reason) {
    AppendLittle<int32_t>(static_cast<int32_t>(code), out_);
    AppendLittle<uint16_t>(static_cast<uint16_t>(Shortened(reason).size()), out_);
    out_->append(Shortened(reason).data(), Shortened(reason).size());
  }
  template <class T, class Visit>
  void Optional(const std::optional<T>& value, Visit visit) {
    out_->push_back(value.has_value() ? 1 : 0);
    if (value.has_value()) visit(*value);
  }

 private:
  std::string* const out_;
};

// A message that is being made: what is written here, with references between.
class Writer {
 public:
  // Begins a frame that has `size` bytes with its kind.
  std::string* Begin(FrameKind kind, size_t size) {
    AppendVarint(kind == FrameKind::kLogStart ? kReplicaExtensionTag : kReplicaFrameTag, &own_);
    AppendVarint(size, &own_);
    own_.push_back(static_cast<char>(kind));
    return &own_;
  }
  // For a frame whose size is only known when it is written.
  template <class Fill>
  void Frame(FrameKind kind, Fill fill) {
    scratch_.clear();
    WritingArchive archive(&scratch_);
    fill(archive);
    Begin(kind, scratch_.size() + 1)->append(scratch_);
  }
  void Flag() {
    AppendVarint(kReplicaFlagTag, &own_);
    own_.push_back(1);
  }
  void Add(const Bytes& bytes) {
    if (bytes.size() < kSharedBytesMin) {
      own_.append(bytes.data(), bytes.size());
    } else {
      cuts_.emplace_back(own_.size(), bytes);
    }
  }
  MessagePieces Finish() && {
    MessagePieces pieces;
    const Bytes own = Bytes::FromString(std::move(own_));
    size_t from = 0;
    for (auto& [at, bytes] : cuts_) {
      if (at > from) pieces.push_back(own.Sub(from, at - from));
      pieces.push_back(std::move(bytes));
      from = at;
    }
    if (own.size() > from) pieces.push_back(own.Sub(from, own.size() - from));
    return pieces;
  }

 private:
  std::string own_;
  std::string scratch_;
  // References, and where in own_ they belong.
  std::vector<std::pair<size_t, Bytes>> cuts_;
};

template <class M, class VisitBody>
void AddFrame(Writer& writer, FrameKind kind, const M& message, VisitBody visit) {
  writer.Frame(kind, [&](WritingArchive& archive) {
    VisitKey(archive, message);
    visit(archive);
  });
}

void AddDetaches(Writer& writer, const std::vector<ReplicaDetach>& detaches) {
  for (const ReplicaDetach& detach : detaches) {
    AddFrame(writer, FrameKind::kDetach, detach, [&](WritingArchive& archive) {
      archive.Reason(CodeOf(detach.status), detach.status.message());
    });
  }
}

void AddPush(Writer& writer, const OutgoingPush& outgoing) {
  size_t bytes = 0;
  for (const Bytes& piece : outgoing.pieces) bytes += piece.size();
  WritingArchive archive(
      writer.Begin(FrameKind::kPush, 1 + kFrameKeyBytes + kPushFieldsBytes + bytes));
  VisitKey(archive, outgoing.push);
  VisitPush(archive, outgoing.push);
  for (const Bytes& piece : outgoing.pieces) writer.Add(piece);
}

}  // namespace

MessagePieces EncodeFollowerHello(const FollowerHello& hello) {
  wire::FollowRequest request;
  wire::FollowerHello& out = *request.mutable_hello();
  out.set_version(kReplicationVersion);
  out.set_cluster_id(hello.cluster_id.ToBytes());
  out.set_follower_id(hello.follower.broker.value());
  out.set_follower_epoch(hello.follower.epoch.value());
  out.set_leader_id(hello.leader.value());
  out.set_leader_epoch(hello.leader_epoch.value());
  out.set_leader_shard(hello.leader_shard);
  out.set_window_bytes(hello.window_bytes);
  return {Bytes::FromString(request.SerializeAsString())};
}

MessagePieces EncodeLeaderHello(const LeaderHello& hello) {
  wire::FollowResponse response;
  wire::LeaderHello& out = *response.mutable_hello();
  out.set_version(kReplicationVersion);
  out.set_shard(hello.shard);
  out.set_shard_count(hello.shard_count);
  return {Bytes::FromString(response.SerializeAsString())};
}

MessagePieces EncodeFollowerMessage(const FollowerMessage& message) {
  Writer writer;
  for (const AttachRequest& attach : message.attaches) {
    AddFrame(writer, FrameKind::kAttach, attach,
             [&](WritingArchive& archive) { VisitAttach(archive, attach); });
  }
  for (const ReplicaPosition& position : message.positions) {
    AddFrame(writer, FrameKind::kPosition, position,
             [&](WritingArchive& archive) { VisitPosition(archive, position); });
    if (!position.log_start) continue;
    AddFrame(writer, FrameKind::kLogStart, position,
             [&](WritingArchive& archive) { VisitLogStart(archive, *position.log_start); });
  }
  AddDetaches(writer, message.detaches);
  if (message.credit_bytes != 0) {
    writer.Frame(FrameKind::kCredit, [&](WritingArchive& archive) {
      archive.Number(static_cast<uint64_t>(message.credit_bytes), "credit");
    });
  }
  if (message.confirms) writer.Flag();
  return std::move(writer).Finish();
}

MessagePieces EncodeLeaderMessage(const LeaderMessage& message) {
  Writer writer;
  for (const AttachReply& reply : message.replies) {
    AddFrame(writer, FrameKind::kAttachReply, reply,
             [&](WritingArchive& archive) { VisitAttachReply(archive, reply); });
  }
  for (const OutgoingPush& outgoing : message.pushes) AddPush(writer, outgoing);
  AddDetaches(writer, message.detaches);
  if (message.asks) writer.Flag();
  return std::move(writer).Finish();
}

}  // namespace millrace::broker

#include "broker/replication/leader_streams.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/log.h"
#include "base/status.h"

namespace millrace::broker {
namespace {

// How long a new high watermark waits for batches to ride with.
constexpr absl::Duration kRide = absl::Milliseconds(1);
// Batches in one message, but for a single larger batch; so is what one partition has in its turn,
// and one read of the disk: with a quarter of it a follower catches up a third slower.
constexpr size_t kMessageBytes = 1 << 20;

absl::Status Stale(NodeId broker, BrokerEpoch said, BrokerEpoch known) {
  return MakeError(ErrorCode::kStaleBrokerEpoch,
                   absl::StrCat("broker ", broker.value(), " has broker epoch ", known.value(),
                                " now, not ", said.value(), ": the stream is of an earlier run"),
                   {.name = "broker_epoch", .value = absl::StrCat(said.value())});
}

}  // namespace

// One stream of a follower, and the partitions that it carries.
class LeaderStreams::Session : public LeaderSink,
                               public std::enable_shared_from_this<LeaderStreams::Session> {
 public:
  struct Carried {
    LeaderEpoch leader_epoch;
    uint64_t attach = 0;
    // In `ready`; in `riding`; with a read of the disk that waits or is under way.
    bool ready = false;
    bool riding = false;
    bool cold = false;
    // In `held_`.
    bool held = false;
  };
  // Something to be read, and what was spent of the throttle for it.
  struct ColdPush {
    PendingPush push;
    int64_t spent = 0;
  };
  // The reads of one log directory: those that wait, and whether one is under way.
  struct ColdReads {
    Executor* pool = nullptr;
    std::deque<ColdPush> waiting;
    bool reading = false;
  };

  Session(LeaderStreams* owner, const FollowerHello& hello, std::shared_ptr<LeaderStream> stream)
      : owner(owner), hello(hello), stream(std::move(stream)), window(hello.window_bytes) {}

  void OnMessage(FollowerMessage message) override {
    if (owner != nullptr) owner->OnMessage(this, std::move(message));
  }
  void OnWritable() override {
    if (owner != nullptr) owner->deps_.replicas->Drain();
  }
  void OnClosed() override {
    if (owner == nullptr) return;
    LOG_INFO("replication", "the stream of a follower has ended",
             {{"follower", hello.follower.broker}, {"partitions", carried.size()}});
    ReplicaPort* const replicas = owner->deps_.replicas;
    owner->Remove(this);
    replicas->Drain();
  }

  Carried* Find(const TopicPartition& partition) {
    const auto found = carried.find(partition);
    return found == carried.end() ? nullptr : &found->second;
  }
  // Of the attach that is carried now.
  bool IsOf(const ReplicaDetach& detach) {
    const Carried* const of = Find(detach.topic_partition);
    return of != nullptr && of->leader_epoch == detach.leader_epoch && of->attach == detach.attach;
  }
  void MakeReady(const TopicPartition& partition, Carried* of) {
    if (std::exchange(of->ready, true)) return;
    ready.push_back(partition);
  }
  std::deque<ColdPush>& ColdOf(Executor* pool) {
    for (ColdReads& reads : cold) {
      if (reads.pool == pool) return reads.waiting;
    }
    return cold.emplace_back(ColdReads{.pool = pool}).waiting;
  }
  bool AnyColdWaits() const {
    return std::any_of(cold.begin(), cold.end(),
                       [](const ColdReads& reads) { return !reads.waiting.empty(); });
  }

  // Null: the stream has ended, for this side.
  LeaderStreams* owner;
  const FollowerHello hello;
  const std::shared_ptr<LeaderStream> stream;
  bool accepted = false;
  // Bytes that may still be sent; below 0 by at most one read of each directory.
  int64_t window;
  std::map<TopicPartition, Carried> carried;
  // What was asked, and is not answered.
  std::optional<MonotonicTime> asked_at;
  LeaderMessage outgoing;
  // Partitions that have something to be sent, in turn; and those with a new high watermark alone.
  std::deque<TopicPartition> ready;
  std::vector<TopicPartition> riding;
  // In the order in which they were met first, and there to stay: a read knows its place.
  std::deque<ColdReads> cold;
};

LeaderStreams::LeaderStreams(const Deps& deps)
    : deps_(deps),
      timer_(deps.executor, [this] { OnTimer(); }),
      throttle_timer_(deps.executor, [this] { OnThrottleTimer(); }) {}

LeaderStreams::~LeaderStreams() {
  for (auto& [node, sessions] : sessions_) {
    for (const std::shared_ptr<Session>& session : sessions) session->owner = nullptr;
  }
}

void LeaderStreams::Close(const absl::Status& status) {
  for (auto& [node, sessions] : std::exchange(sessions_, {})) {
    for (const std::shared_ptr<Session>& session : sessions) {
      session->owner = nullptr;
      session->stream->Close(status);
    }
  }
}

size_t LeaderStreams::stream_count() const {
  size_t count = 0;
  for (const auto& [node, sessions] : sessions_) count += sessions.size();
  return count;
}

// --- Who may follow ---

std::shared_ptr<LeaderSink> LeaderStreams::Open(const FollowerHello& hello,
                                                std::shared_ptr<LeaderStream> stream) {
  auto session = std::make_shared<Session>(this, hello, std::move(stream));
  sessions_[hello.follower.broker].push_back(session);
  Judge(session);
  return session;
}

void LeaderStreams::OnImage(std::shared_ptr<const metadata::Image> image, BrokerEpoch own_epoch) {
  image_ = std::move(image);
  own_epoch_ = own_epoch;
  Sessions all;
  for (const auto& [node, sessions] : sessions_) {
    all.insert(all.end(), sessions.begin(), sessions.end());
  }
  for (const std::shared_ptr<Session>& session : all) Judge(session);
}

std::optional<absl::Status> LeaderStreams::Check(const FollowerHello& hello) const {
  if (hello.cluster_id != deps_.cluster_id) {
    return MakeError(ErrorCode::kInconsistentClusterId,
                     absl::StrCat("this broker belongs to cluster ", deps_.cluster_id.ToString(),
                                  ", the follower to ", hello.cluster_id.ToString()),
                     {.name = "cluster_id", .value = hello.cluster_id.ToString()});
  }
  if (hello.leader != deps_.self || hello.follower.broker == deps_.self) {
    return MakeError(
        ErrorCode::kInconsistentNodeId,
        absl::StrCat("this is broker ", deps_.self.value(), "; broker ",
                     hello.follower.broker.value(), " means to follow ", hello.leader.value()),
        {.name = "node.id", .value = absl::StrCat(hello.leader.value())});
  }
  if (own_epoch_ == kNoBrokerEpoch || hello.leader_epoch > own_epoch_) return std::nullopt;
  if (hello.leader_epoch < own_epoch_) return Stale(deps_.self, hello.leader_epoch, own_epoch_);
  const metadata::BrokerImage* const follower = image_->FindBroker(hello.follower.broker);
  if (follower == nullptr || hello.follower.epoch > follower->epoch) return std::nullopt;
  if (hello.follower.epoch < follower->epoch) {
    return Stale(hello.follower.broker, hello.follower.epoch, follower->epoch);
  }
  return absl::OkStatus();
}

void LeaderStreams::Judge(const std::shared_ptr<Session>& session) {
  const std::optional<absl::Status> status = Check(session->hello);
  if (!status.has_value()) return;
  if (status->ok()) {
    if (std::exchange(session->accepted, true)) return;
    LOG_INFO("replication", "a follower has connected",
             {{"follower", session->hello.follower.broker}, {"shard", deps_.shard}});
    return session->stream->Accept({deps_.shard, deps_.shard_count});
  }
  session->stream->Close(*status);
  Remove(session.get());
}

void LeaderStreams::Remove(Session* session) {
  const FollowerId follower = session->hello.follower;
  session->owner = nullptr;
  const auto carried = std::exchange(session->carried, {});
  Sessions& sessions = sessions_[follower.broker];
  std::erase_if(sessions, [session](const auto& held) { return held.get() == session; });
  if (sessions.empty()) sessions_.erase(follower.broker);
  for (const auto& [partition, state] : carried) {
    deps_.replicas->OnFollowerGone(follower, partition);
  }
}

LeaderStreams::Session* LeaderStreams::Carrier(NodeId follower,
                                               const TopicPartition& partition) const {
  const auto found = sessions_.find(follower);
  if (found == sessions_.end()) return nullptr;
  for (const std::shared_ptr<Session>& session : found->second) {
    if (session->carried.contains(partition)) return session.get();
  }
  return nullptr;
}

// --- What followers say ---

void LeaderStreams::OnMessage(Session* session, FollowerMessage message) {
  const FollowerId follower = session->hello.follower;
  if (!session->accepted) {
    session->stream->Close(
        MakeError(ErrorCode::kInvalidRequest, "a follower waits for the answer to its hello"));
    return Remove(session);
  }
  session->window = std::min(session->window + message.credit_bytes, session->hello.window_bytes);
  const auto take_detaches = [&] {
    for (const ReplicaDetach& detach : message.detaches) {
      if (!session->IsOf(detach)) continue;
      session->carried.erase(detach.topic_partition);
      deps_.replicas->OnFollowerDetached(follower, detach);
    }
  };
  // Of earlier attaches, which say why; and of those in this message, given up before it was sent.
  take_detaches();
  for (const AttachRequest& attach : message.attaches) {
    Session* const before = Carrier(follower.broker, attach.topic_partition);
    // Streams are read apart: this may be a stream that the follower gave up long ago.
    const bool late = before != nullptr && before->hello.follower == follower &&
                      before->Find(attach.topic_partition)->attach >= attach.attach;
    if (late) continue;
    if (before != nullptr && before != session) before->carried.erase(attach.topic_partition);
    // A read that is under way belongs to the attach before.
    session->carried[attach.topic_partition] = {.leader_epoch = attach.leader_epoch,
                                                .attach = attach.attach};
    deps_.replicas->OnAttach(follower, attach);
  }
  take_detaches();
  for (const ReplicaPosition& position : message.positions) {
    deps_.replicas->OnFollowerPosition(follower, position);
    if (message.confirms && session->asked_at.has_value()) {
      deps_.replicas->OnFollowerConfirmed(follower, position, *session->asked_at);
    }
  }
  if (message.confirms) session->asked_at.reset();
  deps_.replicas->Drain();
}

// --- What replicas want ---

void LeaderStreams::Reply(const AttachReplyTo& reply) {
  Session* const session = Carrier(reply.follower.broker, reply.reply.topic_partition);
  if (session == nullptr || session->hello.follower != reply.follower) return;
  session->outgoing.replies.push_back(reply.reply);
}

void LeaderStreams::Detach(const DetachTo& detach) {
  Session* const session = Carrier(detach.peer, detach.detach.topic_partition);
  if (session == nullptr || !session->IsOf(detach.detach)) return;
  session->outgoing.detaches.push_back(detach.detach);
  session->carried.erase(detach.detach.topic_partition);
}

void LeaderStreams::OnSendable(const Sendable& sendable) {
  Session* const session = Carrier(sendable.follower, sendable.topic_partition);
  if (session == nullptr) return;
  Session::Carried* const carried = session->Find(sendable.topic_partition);
  if (!sendable.can_wait) return session->MakeReady(sendable.topic_partition, carried);
  if (carried->ready || std::exchange(carried->riding, true)) return;
  session->riding.push_back(sendable.topic_partition);
  if (timer_.deadline() == MonotonicTime::Never()) timer_.Set(deps_.clock->Now() + kRide);
}

void LeaderStreams::OnTimer() {
  for (const auto& [node, sessions] : sessions_) {
    for (const std::shared_ptr<Session>& session : sessions) {
      for (const TopicPartition& partition : std::exchange(session->riding, {})) {
        Session::Carried* const carried = session->Find(partition);
        if (carried == nullptr || !std::exchange(carried->riding, false)) continue;
        session->MakeReady(partition, carried);
      }
    }
  }
  deps_.replicas->Drain();
}

void LeaderStreams::Ask() {
  for (const auto& [node, sessions] : sessions_) {
    for (const std::shared_ptr<Session>& session : sessions) {
      if (!session->accepted || session->carried.empty() || session->asked_at.has_value()) continue;
      session->asked_at = deps_.clock->Now();
      session->outgoing.asks = true;
    }
  }
}

// --- What goes out ---

void LeaderStreams::Flush() {
  for (const auto& [node, sessions] : sessions_) {
    for (const std::shared_ptr<Session>& session : sessions) Pump(session.get());
  }
}

void LeaderStreams::Pump(Session* session) {
  const bool idle = session->ready.empty() && session->outgoing.empty() && !session->AnyColdWaits();
  if (idle || !session->accepted) return;
  do {
    LeaderMessage message = std::exchange(session->outgoing, {});
    TakeInto(session, &message);
    if (message.empty()) break;
    session->stream->Send(std::move(message));
  } while (!session->ready.empty() && session->window > 0 && session->stream->writable());
  ReadCold(session);
}

void LeaderStreams::TakeInto(Session* session, LeaderMessage* message) {
  size_t bytes = 0;
  while (!session->ready.empty() && bytes < kMessageBytes && session->window > 0 &&
         session->stream->writable()) {
    const TopicPartition partition = session->ready.front();
    session->ready.pop_front();
    Session::Carried* const carried = session->Find(partition);
    if (carried == nullptr || !std::exchange(carried->ready, false)) continue;
    // Its turn comes again when the read has ended.
    if (carried->cold) continue;
    size_t limit = std::min(static_cast<size_t>(session->window), kMessageBytes - bytes);
    const NodeId follower = session->hello.follower.broker;
    const bool throttled =
        catch_up_.is_limited() && deps_.replicas->IsThrottled(follower, partition);
    if (throttled) {
      const int64_t available = catch_up_.Available(deps_.clock->Now());
      if (available <= 0) {
        Hold(session, partition);
        continue;
      }
      limit = std::min(limit, static_cast<size_t>(available));
    }
    std::optional<PendingPush> push = deps_.replicas->TakePush(follower, partition, limit);
    if (!push.has_value()) continue;
    carried->riding = false;
    if (!push->read.result.has_value()) {
      carried->cold = true;
      const int64_t spent = throttled ? static_cast<int64_t>(limit) : 0;
      catch_up_.Spend(spent, deps_.clock->Now());
      Executor* const pool = push->read.cold_reads;
      session->ColdOf(pool).push_back({*std::move(push), spent});
      continue;
    }
    OutgoingPush& out = message->pushes.emplace_back();
    out.push = std::move(push->header);
    out.pieces = std::move(push->read.result->pieces);
    const auto taken = static_cast<int64_t>(push->read.result->bytes);
    bytes += push->read.result->bytes;
    session->window -= taken;
    CountSent(taken, throttled);
    if (throttled) catch_up_.Spend(taken, deps_.clock->Now());
    // There may be more.
    session->MakeReady(partition, carried);
  }
}

void LeaderStreams::CountSent(int64_t bytes, bool throttled) {
  if (deps_.bytes_sent != nullptr) deps_.bytes_sent->Add(bytes);
  if (throttled && deps_.throttled_bytes_sent != nullptr) deps_.throttled_bytes_sent->Add(bytes);
}

void LeaderStreams::ReadCold(Session* session) {
  // The other half of the window is for those that keep up.
  const bool room = session->window >= session->hello.window_bytes / 2;
  if (!room || !session->stream->writable()) return;
  for (size_t at = 0; at < session->cold.size(); ++at) {
    Session::ColdReads& reads = session->cold[at];
    if (reads.waiting.empty() || std::exchange(reads.reading, true)) continue;
    auto [push, spent] = std::move(reads.waiting.front());
    reads.waiting.pop_front();
    // A read that waited for the pool for long must not keep the stream's memory.
    reads.pool->Post([weak = session->weak_from_this(), executor = deps_.executor, at,
                      spent = spent, header = std::move(push.header),
                      read = std::move(push.read.cold)]() mutable {
      absl::StatusOr<storage::ReadResult> result = std::move(read)();
      executor->Post(
          [weak, at, spent, header = std::move(header), result = std::move(result)]() mutable {
            const std::shared_ptr<Session> self = weak.lock();
            if (self == nullptr || self->owner == nullptr) return;
            self->cold[at].reading = false;
            self->owner->OnColdRead(self, header, spent, std::move(result));
          });
    });
  }
}

void LeaderStreams::OnColdRead(const std::shared_ptr<Session>& session, const ReplicaPush& header,
                               int64_t spent, absl::StatusOr<storage::ReadResult> read) {
  int64_t sent = 0;
  // Nobody waits for what was read for an attach that ended.
  const auto find_carried = [&]() -> Session::Carried* {
    Session::Carried* const carried = session->Find(header.topic_partition);
    return carried != nullptr && carried->attach == header.attach ? carried : nullptr;
  };
  if (Session::Carried* const carried = find_carried(); carried != nullptr) {
    carried->cold = false;
    deps_.replicas->OnPushRead(session->hello.follower.broker, header, read);
  }
  // What that makes of damage may have ended the attach.
  if (Session::Carried* const carried = find_carried(); carried != nullptr) {
    if (read.ok() && !read->pieces.empty()) {
      OutgoingPush& out = session->outgoing.pushes.emplace_back();
      out.push = header;
      out.pieces = std::move(read->pieces);
      sent = static_cast<int64_t>(read->bytes);
      session->window -= sent;
      CountSent(sent, spent > 0);
    }
    session->MakeReady(header.topic_partition, carried);
  }
  if (spent > 0) catch_up_.Spend(sent - spent, deps_.clock->Now());
  deps_.replicas->Drain();
}

// --- The throttle ---

void LeaderStreams::SetCatchUpRate(int64_t bytes_per_s) {
  if (bytes_per_s == catch_up_.rate()) return;
  catch_up_.SetRate(bytes_per_s, deps_.clock->Now());
  // Each finds out by itself whether it has to wait on, and for how long now.
  while (!held_.empty()) ReleaseFirst();
  throttle_timer_.Clear();
}

void LeaderStreams::Hold(Session* session, const TopicPartition& partition) {
  if (std::exchange(session->Find(partition)->held, true)) return;
  held_.push_back({session->weak_from_this(), partition});
  if (throttle_timer_.deadline() == MonotonicTime::Never()) {
    throttle_timer_.Set(catch_up_.full_at());
  }
}

std::shared_ptr<LeaderStreams::Session> LeaderStreams::ReleaseFirst() {
  const Held held = std::move(held_.front());
  held_.pop_front();
  std::shared_ptr<Session> session = held.session.lock();
  if (session == nullptr || session->owner == nullptr) return nullptr;
  Session::Carried* const carried = session->Find(held.partition);
  if (carried == nullptr || !std::exchange(carried->held, false)) return nullptr;
  session->MakeReady(held.partition, carried);
  return session;
}

void LeaderStreams::OnThrottleTimer() {
  const MonotonicTime now = deps_.clock->Now();
  while (!held_.empty() && catch_up_.Available(now) > 0) {
    // One after the other, so that nobody who stands behind others goes without.
    if (const std::shared_ptr<Session> session = ReleaseFirst()) Pump(session.get());
  }
  if (!held_.empty()) throttle_timer_.Set(catch_up_.full_at());
  deps_.replicas->Drain();
}

}  // namespace millrace::broker

#include "broker/testing/replica_world.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"
#include "record/batch_builder.h"

namespace millrace::broker {
namespace {

constexpr int kBrokers = 3;
constexpr int kEvents = 900;
const TopicPartition kPartition{TopicId(Uuid(1, 2)), PartitionIndex(0)};
const DirectoryId kDirectory(Uuid(4, 4));

record::BatchView ViewOf(const Bytes& bytes) {
  const auto batch = record::BatchView::ParseWithVerifiedCrc(bytes);
  CHECK_OK(batch.status());
  return *batch;
}

}  // namespace

ReplicaWorld::Result ReplicaWorld::Run() {
  while (result_.events < kEvents && result_.violation.empty()) Step();
  if (result_.violation.empty()) Heal();
  return result_;
}

ReplicaWorld::ReplicaWorld(uint64_t seed, Kind kind) : random_(seed), kind_(kind) {
  settings_.durable = Draw(3) != 0;
  settings_.min_insync_replicas = 1 + static_cast<int>(Draw(2));
  controller_ =
      std::make_unique<ModelController>(kBrokers, settings_.min_insync_replicas, &random_);
  slow_images_ = Chance(2);
  nodes_.resize(kBrokers);
  for (int i = 0; i < kBrokers; ++i) {
    Node& node = nodes_[static_cast<size_t>(i)];
    node.id = NodeId(i + 1);
    node.epoch = controller_->EpochOf(node.id);
    node.disk = std::make_unique<FakeReplicaLog>();
    Start(&node);
  }
}

// --- One event ---

void ReplicaWorld::Step() {
  ++result_.events;
  if (kind_ == Kind::kCutOffs) StepCutOffs();
  Node* const node = Pick();
  switch (Draw(20)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
      Deliver();
      break;
    case 5:
    case 6:
      ReadImage(node);
      break;
    case 7:
    case 8:
    case 9:
      Disk(node);
      break;
    case 10:
    case 11:
      Produce(node);
      break;
    case 12:
    case 13:
      Push(node);
      break;
    case 14:
      FinishRead();
      break;
    case 15:
      Controller();
      break;
    case 16:
      Answer(node);
      break;
    case 17:
      PassTime(!healed_ && Chance(20));
      break;
    case 18:
      Fetch(node);
      break;
    default:
      if (healed_) {
        PassTime(false);
      } else {
        Fault();
      }
  }
}

ReplicaWorld::Node* ReplicaWorld::Pick() { return &nodes_[Draw(nodes_.size())]; }

Bytes ReplicaWorld::BatchOf(const std::string& value, int records) {
  record::BatchBuilder builder({});
  for (int i = 0; i < records; ++i) builder.Add(1'767'225'600'000, absl::nullopt, value);
  return builder.Build();
}

ReplicaWorld::Stream* ReplicaWorld::StreamTo(const Node& follower, NodeId leader) {
  for (Stream& stream : streams_) {
    if (!stream.broken && stream.follower.broker == follower.id && stream.leader == leader) {
      return &stream;
    }
  }
  Node* const to = NodeOf(leader);
  if (to->replica == nullptr) return nullptr;
  Stream& stream = streams_.emplace_back();
  stream.follower = {follower.id, follower.epoch};
  stream.leader = leader;
  stream.leader_run = to->epoch;
  return &stream;
}

// Carries out what the node's replica wants.
void ReplicaWorld::Drain(Node* node) {
  Check(node);
  while (!outbox_.empty()) {
    Outbox out;
    std::swap(out, outbox_);
    for (const ProduceReply& reply : out.produced) Answered(node, reply);
    for (const DeletionReply& reply : out.deleted) {
      if (!reply.outcome.ok()) continue;
      ++result_.deletions;
      gone_below_ = std::max(gone_below_, reply.log_start_offset);
      CheckSeats();
    }
    for (AttachTo& attach : out.attaches) {
      node->attach = attach.request.attach;
      node->attach_epoch = attach.request.leader_epoch;
      Stream* stream = StreamTo(*node, attach.leader);
      if (stream != nullptr) {
        stream->up.emplace_back(std::move(attach.request));
      } else {
        node->replica->OnDetached({kPartition, node->attach_epoch, node->attach, absl::Status()},
                                  now_, &outbox_);
      }
    }
    for (PositionTo& position : out.positions) {
      if (Stream* stream = StreamTo(*node, position.leader)) {
        stream->up.emplace_back(position.position);
      }
    }
    for (AttachReplyTo& reply : out.attach_replies) {
      for (Stream& stream : streams_) {
        if (stream.broken || stream.leader != node->id) continue;
        if (stream.follower == reply.follower) stream.down.emplace_back(reply.reply);
      }
    }
    for (DetachTo& detach : out.detaches) {
      for (Stream& stream : streams_) {
        if (stream.broken) continue;
        if (stream.leader == node->id && stream.follower.broker == detach.peer) {
          stream.down.emplace_back(detach.detach);
        } else if (stream.follower.broker == node->id && stream.leader == detach.peer) {
          stream.up.emplace_back(detach.detach);
        }
      }
    }
    for (const ReplicaNotice& notice : out.notices) {
      // No election here is unclean.
      if (notice.kind == ReplicaNotice::Kind::kCutBelowHighWatermark) {
        Fail(absl::StrCat("cut below the high watermark at ", notice.from.value()));
      }
    }
    for (const Sendable& sendable : out.sendable) node->sendable.insert(sendable.follower);
    for (IsrProposal& proposal : out.isr_proposals)
      node->proposals.emplace_back(std::move(proposal), false);
  }
  Check(node);
}

void ReplicaWorld::Deliver() {
  if (streams_.empty()) return;
  const size_t at = Draw(streams_.size());
  Stream& stream = streams_[at];
  const bool empty = stream.up.empty() && stream.down.empty();
  if (stream.broken && !empty && !Chance(20)) return;
  const bool up = stream.down.empty() || (!stream.up.empty() && Chance(2));
  if (up && !stream.up.empty()) {
    Upward message = std::move(stream.up.front());
    stream.up.pop_front();
    DeliverUp(&stream, std::move(message));
  } else if (!up) {
    Downward message = std::move(stream.down.front());
    stream.down.pop_front();
    DeliverDown(&stream, std::move(message));
  } else if (stream.broken) {
    streams_.erase(streams_.begin() + static_cast<std::ptrdiff_t>(at));
  }
}

void ReplicaWorld::DeliverUp(Stream* stream, Upward message) {
  Node* const leader = NodeOf(stream->leader);
  if (leader->replica == nullptr || leader->epoch != stream->leader_run) return;
  const FollowerId from = stream->follower;
  if (const auto* attach = std::get_if<AttachRequest>(&message)) {
    leader->replica->OnAttach(from, *attach, now_, &outbox_);
  } else if (const auto* position = std::get_if<ReplicaPosition>(&message)) {
    leader->replica->OnFollowerPosition(from, *position, now_, &outbox_);
  } else if (const auto* confirmation = std::get_if<Confirmation>(&message)) {
    TakeConfirmation(stream, leader, *confirmation);
  } else {
    leader->replica->OnFollowerDetached(from, std::get<ReplicaDetach>(message), now_, &outbox_);
  }
  Drain(leader);
}

void ReplicaWorld::DeliverDown(Stream* stream, Downward message) {
  Node* const follower = NodeOf(stream->follower.broker);
  if (follower->replica == nullptr || follower->epoch != stream->follower.epoch) return;
  if (const auto* reply = std::get_if<AttachReply>(&message)) {
    follower->replica->OnAttachReply(*reply, now_, &outbox_);
  } else if (auto* push = std::get_if<ReplicaPush>(&message)) {
    follower->replica->OnPush(std::move(*push), now(), &outbox_);
  } else if (std::holds_alternative<Question>(message)) {
    Confirm(stream, follower);
  } else {
    follower->replica->OnDetached(std::get<ReplicaDetach>(message), now_, &outbox_);
  }
  Drain(follower);
}

void ReplicaWorld::ReadImage(Node* node) {
  const auto& history = controller_->history();
  if (node->replica == nullptr || node->cut_off || node->images >= history.size()) return;
  // In some worlds answers come before the images that show the same, and brokers learn late.
  if (slow_images_ && !healed_ && !Chance(6)) return;
  // Often several changes at once.
  node->images += 1 + Draw(std::min<size_t>(history.size() - node->images, 3));
  const ModelController::Snapshot& snapshot = history[node->images - 1];
  BrokerEpoch own;
  for (const BrokerStanding& standing : snapshot.standings) {
    if (standing.broker == node->id) own = standing.epoch;
  }
  node->replica->SetMinInsyncReplicas(snapshot.min_insync_replicas);
  node->replica->OnMetadata(snapshot.partition, snapshot.standings, own == node->epoch, now_,
                            &outbox_);
  Drain(node);
}

void ReplicaWorld::Disk(Node* node) {
  if (node->replica == nullptr) return;
  Chance(3) ? node->log->Write() : node->log->Sync();
  node->replica->OnAdvanced(now_, &outbox_);
  Drain(node);
}

void ReplicaWorld::Produce(Node* node) {
  if (quiet_ || node->replica == nullptr || !node->replica->is_leader()) return;
  if (kind_ == Kind::kDeletions && Chance(20)) return Delete(node);
  ProduceEvent event;
  event.id = ProduceId(next_produce_++);
  const std::string value = absl::StrCat("value-", event.id.value(), ".");
  event.batches = BatchOf(value, 1 + static_cast<int>(Draw(3)));
  event.acks = Chance(4) ? api::Acks::kLeader : api::Acks::kAll;
  event.deadline = now_ + absl::Seconds(30);
  sent_[event.id] = {value, event.acks};
  node->replica->Produce(std::move(event), now(), &outbox_);
  Drain(node);
}

void ReplicaWorld::Delete(Node* node) {
  const Offset end = node->replica->high_watermark();
  const bool all = kind_ != Kind::kDeletions || Chance(2);
  const Offset before =
      all ? end : Offset(static_cast<int64_t>(Draw(static_cast<uint64_t>(end.value()) + 1)));
  deleted_below_ = std::max(deleted_below_, before);
  node->replica->DeleteRecords({ProduceId(next_produce_++), before, now_ + absl::Seconds(30)}, now_,
                               &outbox_);
  Drain(node);
}

void ReplicaWorld::Push(Node* node) {
  if (node->replica == nullptr || node->sendable.empty()) return;
  const NodeId to =
      *std::next(node->sendable.begin(), static_cast<std::ptrdiff_t>(Draw(node->sendable.size())));
  node->log->set_cold(Chance(4));
  std::optional<PendingPush> push =
      node->replica->TakePush(to, Chance(2) ? 1 : 1 << 20, now_, &outbox_);
  node->log->set_cold(false);
  if (!push) {
    node->sendable.erase(to);
    return Drain(node);
  }
  FollowerId follower{to, kNoBrokerEpoch};
  for (const Stream& stream : streams_) {
    if (!stream.broken && stream.leader == node->id && stream.follower.broker == to) {
      follower = stream.follower;
    }
  }
  reads_.push_back({follower, node->id, node->epoch, *std::move(push)});
  // What is at hand leaves at once, so that the order is kept.
  if (reads_.back().push.read.result) FinishRead();
  Drain(node);
}

void ReplicaWorld::FinishRead() {
  if (reads_.empty()) return;
  ColdRead read = std::move(reads_.back());
  reads_.pop_back();
  Node* const leader = NodeOf(read.leader);
  if (leader->replica == nullptr || leader->epoch != read.leader_run) return;
  ReplicaPush& push = read.push.header;
  if (!read.push.read.result) {
    absl::StatusOr<storage::ReadResult> result = std::move(read.push.read.cold)();
    if (!result.ok()) return;
    read.push.read.result = *std::move(result);
    leader->replica->OnPushRead(read.follower.broker, push.leader_epoch, push.attach,
                                read.push.read.result->next_offset, now_, &outbox_);
  }
  std::string bytes;
  for (const Bytes& piece : read.push.read.result->pieces) {
    absl::StrAppend(&bytes, piece.slice());
  }
  push.batches = Bytes::FromString(std::move(bytes));
  for (Stream& stream : streams_) {
    if (stream.broken || stream.leader != leader->id || stream.follower != read.follower) continue;
    if (Chance(30) && !healed_) stream.down.emplace_back(push);
    stream.down.emplace_back(std::move(push));
    break;
  }
  Drain(leader);
}

void ReplicaWorld::Controller() {
  Node* const node = Pick();
  if (node->proposals.empty() || node->cut_off) return;
  const IsrProposal proposal = node->proposals.front().first;
  const bool told = node->proposals.front().second;
  const uint64_t fate = healed_ ? 9 : Draw(10);
  if (!told && fate <= 2) {
    IsrAnswer unknown;
    unknown.topic_partition = kPartition;
    unknown.leader_epoch = proposal.leader_epoch;
    unknown.partition_epoch = proposal.partition_epoch;
    unknown.status = MakeError(ErrorCode::kRequestTimedOut, "no answer in time");
    node->answers.push_back(std::move(unknown));
    node->proposals.front().second = true;
    // It is lost, or comes later.
    if (fate == 0) node->proposals.pop_front();
    return;
  }
  node->proposals.pop_front();
  IsrAnswer answer = controller_->Decide(node->id, proposal);
  if (answer.status.ok()) {
    // Whoever is taken in has all that it may have lost.
    for (const IsrMember& member : proposal.new_isr) NodeOf(member.broker)->suspect = false;
  }
  CheckSeats();
  if (!told) node->answers.push_back(std::move(answer));
}

void ReplicaWorld::Answer(Node* node) {
  if (node->replica == nullptr || node->cut_off || node->answers.empty()) return;
  const IsrAnswer answer = std::move(node->answers.front());
  node->answers.pop_front();
  node->replica->OnIsrAnswer(answer, now_, &outbox_);
  Drain(node);
}

void ReplicaWorld::PassTime(bool far) {
  now_ = now_ + (far ? absl::Seconds(static_cast<int64_t>(1 + Draw(6)))
                     : absl::Milliseconds(static_cast<int64_t>(1 + Draw(50))));
  for (Node& node : nodes_) {
    if (node.replica == nullptr || node.replica->next_deadline() > now_) continue;
    node.replica->Tick(now_, &outbox_);
    Drain(&node);
  }
}

void ReplicaWorld::Fetch(Node* node) {
  if (node->replica == nullptr) return;
  if (!node->replica->is_leader()) return FetchNearby(node);
  const Offset from =
      node->log->log_start_offset() +
      static_cast<int64_t>(
          Draw(static_cast<uint64_t>(node->log->end_offset() - node->log->log_start_offset() + 1)));
  FetchAnswer answer = node->replica->Fetch({.offset = from, .bytes_max = 1 << 20, .now = now_});
  CheckServed(answer);
  const absl::StatusOr<Offset> latest = node->replica->LatestOffset(std::nullopt, now_);
  if (!latest.ok() || node->replica->leader_epoch() < latest_epoch_) return;
  if (*latest < latest_) {
    return Fail(absl::StrCat("latest went back from ", latest_.value(), " to ", latest->value()));
  }
  latest_ = *latest;
  latest_epoch_ = node->replica->leader_epoch();
}

// S-38.
void ReplicaWorld::FetchNearby(Node* node) {
  const Offset start = node->log->log_start_offset();
  for (const Offset from : {start, node->replica->high_watermark(), node->log->end_offset() + 1}) {
    FetchAnswer answer =
        node->replica->Fetch({.offset = from, .bytes_max = 1 << 20, .nearby = true});
    if (answer.outcome.code == ErrorCode::kOffsetOutOfRange) {
      return Fail(absl::StrCat("a follower said that ", from.value(), " is out of range"));
    }
    if (answer.outcome.ok() && !node->replica->is_attached()) {
      return Fail("a follower that is not attached has served a reader");
    }
    CheckServed(answer);
  }
}

void ReplicaWorld::CheckServed(const FetchAnswer& answer) {
  if (!answer.outcome.ok() || !answer.read.result) return;
  for (const Bytes& piece : answer.read.result->pieces) {
    const auto known = committed_.find(ViewOf(piece).base_offset());
    if (known == committed_.end() || !(known->second == piece)) {
      return Fail(absl::StrCat("a consumer was given what is not committed, at ",
                               ViewOf(piece).base_offset().value()));
    }
  }
}

// --- Faults ---

void ReplicaWorld::Fault() {
  Node* const node = Pick();
  if (kind_ == Kind::kMinChanges && Chance(6)) {
    controller_->SetMinInsyncReplicas(1 + static_cast<int>(Draw(kBrokers)));
    return CheckSeats();
  }
  switch (Draw(16)) {
    case 0:
    case 1:
      return node->replica != nullptr ? Crash(node) : Start(node);
    case 2:
    case 3:
    case 4:
      return node->replica == nullptr ? Start(node) : void();
    case 5:
      if (!streams_.empty()) Break(&streams_[Draw(streams_.size())]);
      return;
    case 6:
      if (controller_->IsActive(node->id)) controller_->Fence(node->id);
      return CheckSeats();
    case 7:
    case 8:
    case 9:
      if (!controller_->IsActive(node->id) && node->replica != nullptr &&
          node->images >= node->registered_at) {
        controller_->Unfence(node->id);
      }
      return CheckSeats();
    case 10:
      ++result_.elections;
      controller_->Elect();
      return CheckSeats();
    case 11:
      controller_->SetShuttingDown(node->id, Chance(2));
      return CheckSeats();
    case 12:
      if (node->replica != nullptr && node->replica->is_leader() && Chance(3)) Delete(node);
      return;
    case 13:
    case 14:
      // Back at once: what others know of its former run is still under way.
      if (node->replica == nullptr) return;
      Crash(node);
      return Start(node);
    default:
      PassTime(true);
  }
}

// Of what a stop with page cache lost, or kept.
Offset ReplicaWorld::Kept(const Node& node) const {
  return settings_.durable ? node.log->durable_offset() : node.log->written_offset();
}

bool ReplicaWorld::MayLose(const Node& node) {
  for (const Node& other : nodes_) {
    if (other.id != node.id && !other.suspect && controller_->HasSeat(other.id)) return true;
  }
  return !controller_->HasSeat(node.id);
}

void ReplicaWorld::Crash(Node* node) {
  const uint64_t kind = Draw(5);
  Offset kept = node->log->written_offset();
  const bool power_lost = kind != 0 && (settings_.durable || MayLose(*node));
  if (power_lost) {
    kept = node->log->durable_offset();
    if (Chance(2) && node->log->written_offset() > kept) {
      kept = kept +
             static_cast<int64_t>(Draw(static_cast<uint64_t>(node->log->written_offset() - kept)));
    }
    if (!settings_.durable) node->suspect = true;
  }
  node->disk = power_lost ? node->log->CrashImage(kept) : node->log->KilledImage();
  if (kind == 1 && MayLose(*node)) {
    node->disk = std::make_unique<FakeReplicaLog>();
    node->suspect = true;
  }
  node->replica.reset();
  node->log = nullptr;
  node->sendable.clear();
  node->answers.clear();
  if (Chance(2)) node->proposals.clear();
  // Before others leave the in-sync set: the last copy must not be one that lost something.
  if (node->suspect) controller_->Fence(node->id);
  BreakAllOf(node->id);
}

void ReplicaWorld::Start(Node* node) {
  if (result_.events > 0) {
    node->epoch = controller_->Register(node->id, node->suspect);
    node->proposals.clear();
  }
  const size_t known = controller_->history().size();
  node->registered_at = known;
  // It may have read only a part of the metadata before.
  node->images = known - 1 - Draw(std::min<size_t>(known, 4));
  node->log = node->disk.get();
  node->compared = Offset(0);
  node->attach = 0;
  ReplicaOptions options;
  options.self = node->id;
  options.directory = kDirectory;
  node->contact.last = now_;
  if (kind_ == Kind::kCutOffs) options.contact = &node->contact;
  node->replica = std::make_unique<Replica>(options, kPartition, std::move(node->disk), settings_);
  CheckSeats();
}

// Both sides are told. What was under way is lost, or lingers.
void ReplicaWorld::Break(Stream* stream) {
  if (stream->broken) return;
  stream->broken = true;
  if (Chance(2)) {
    stream->up.clear();
    stream->down.clear();
  }
  const FollowerId from = stream->follower;
  Node* const follower = NodeOf(from.broker);
  Node* const leader = NodeOf(stream->leader);
  const BrokerEpoch leader_run = stream->leader_run;
  if (follower->replica != nullptr && follower->epoch == from.epoch) {
    follower->replica->OnDetached(
        {kPartition, follower->attach_epoch, follower->attach, absl::Status()}, now_, &outbox_);
    Drain(follower);
  }
  if (leader->replica != nullptr && leader->epoch == leader_run) {
    leader->replica->OnFollowerGone(from, now_, &outbox_);
    Drain(leader);
  }
}

void ReplicaWorld::BreakAllOf(NodeId node) {
  // Draining may open streams, not to this node: it is down.
  for (size_t i = 0; i < streams_.size(); ++i) {
    if (streams_[i].follower.broker == node || streams_[i].leader == node) Break(&streams_[i]);
  }
}

}  // namespace millrace::broker

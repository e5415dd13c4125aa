// Brokers that are cut off from the controllers alone (S-33): they read no metadata and get no
// answers, and go on serving; followers are asked, and confirm or not. Whoever serves what another
// leader could make untrue must not do so later than a session timeout after another one led.
#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/testing/replica_world.h"

namespace millrace::broker {

void ReplicaWorld::StepCutOffs() {
  Node* const node = Pick();
  switch (Draw(8)) {
    case 0:
      if (Chance(3)) node->cut_off = !node->cut_off && !healed_;
      return;
    case 1:
    case 2:
    case 3:
      return Hear(node);
    case 4:
    case 5:
      return Ask(node);
    default:
      return ServeAtEnd(node);
  }
}

// As with a heartbeat that is answered: it has all that was decided before.
void ReplicaWorld::Hear(Node* node) {
  if (node->replica == nullptr || node->cut_off) return;
  const bool registered = controller_->EpochOf(node->id) == node->epoch;
  if (!registered || !controller_->IsActive(node->id)) return;
  if (node->images == controller_->history().size()) node->contact.last = now_;
}

void ReplicaWorld::Ask(Node* node) {
  if (node->replica == nullptr || !node->replica->is_leader()) return;
  for (Stream& stream : streams_) {
    if (stream.broken || stream.asked_at || stream.leader != node->id) continue;
    if (stream.leader_run != node->epoch) continue;
    stream.asked_at = now_;
    stream.down.emplace_back(Question());
  }
}

void ReplicaWorld::Confirm(Stream* stream, Node* follower) {
  follower->replica->OnAsked(&outbox_);
  Confirmation& answer = std::get<Confirmation>(stream->up.emplace_back(Confirmation()));
  for (const PositionTo& position : std::exchange(outbox_.positions, {})) {
    if (position.leader == stream->leader) answer.positions.push_back(position.position);
  }
}

void ReplicaWorld::TakeConfirmation(Stream* stream, Node* leader,
                                    const Confirmation& confirmation) {
  for (const ReplicaPosition& position : confirmation.positions) {
    leader->replica->OnFollowerPosition(stream->follower, position, now_, &outbox_);
    leader->replica->OnFollowerConfirmed(stream->follower, position, *stream->asked_at);
  }
  stream->asked_at.reset();
}

void ReplicaWorld::ServeAtEnd(Node* node) {
  if (node->replica == nullptr || !node->replica->is_leader()) return;
  Replica& replica = *node->replica;
  const auto serves = [&](bool ok, const char* what) {
    if (!node->contact.IsOld(now_)) return;
    ++(ok ? result_.served_cut_off : result_.refused_cut_off);
    if (!ok) return;
    for (const auto& [epoch, since] : led_since_) {
      if (epoch <= replica.leader_epoch() || now_ - since <= node->contact.session_timeout)
        continue;
      return Fail(absl::StrCat("S-33: a leader cut off serves ", what, " ",
                               absl::FormatDuration(now_ - since), " after another one led"));
    }
  };
  const FetchAnswer answer =
      replica.Fetch({.offset = replica.high_watermark(), .bytes_max = 1 << 20, .now = now_});
  serves(answer.outcome.ok(), "reads at the end");
  const absl::StatusOr<Offset> latest = replica.LatestOffset(std::nullopt, now_);
  if (CodeOf(latest.status()) != ErrorCode::kOffsetNotAvailable) serves(latest.ok(), "latest");
  if (quiet_ || !Chance(4)) return;
  const Offset before = node->log->end_offset();
  ProduceEvent event;
  event.id = ProduceId(next_produce_++);
  const std::string value = absl::StrCat("value-", event.id.value(), ".");
  event.batches = BatchOf(value, 1);
  event.acks = api::Acks::kLeader;
  event.deadline = now_ + absl::Seconds(30);
  sent_[event.id] = {value, event.acks};
  replica.Produce(std::move(event), now(), &outbox_);
  const bool appended = node->log->end_offset() > before;
  Drain(node);
  serves(appended, "acks=leader");
}

}  // namespace millrace::broker

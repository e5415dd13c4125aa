#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"
#include "broker/testing/replica_world.h"

namespace millrace::broker {
namespace {

// Each of both phases of the end.
constexpr int kHealEvents = 30000;

record::BatchView ViewOf(const Bytes& bytes) {
  const auto batch = record::BatchView::ParseWithVerifiedCrc(bytes);
  CHECK_OK(batch.status());
  return *batch;
}

}  // namespace

void ReplicaWorld::Fail(const std::string& what) {
  if (result_.violation.empty()) {
    result_.violation = absl::StrCat(what, " (event ", result_.events, ")");
  }
}

void ReplicaWorld::Check(Node* node) {
  if (node->replica == nullptr) return;
  CompareCommitted(node);
  if (!node->replica->is_leader()) return;
  const LeaderEpoch epoch = node->replica->leader_epoch();
  const Offset high_watermark = node->replica->high_watermark();
  const FollowerId run{node->id, node->epoch};
  led_since_.try_emplace(epoch, now_);
  const auto [leader, first] = leaders_.try_emplace(epoch, run, high_watermark);
  if (leader->second.first != run) {
    return Fail(absl::StrCat("two leaders in epoch ", epoch.value()));
  }
  if (high_watermark < leader->second.second) {
    return Fail(absl::StrCat("the high watermark of epoch ", epoch.value(), " fell"));
  }
  leader->second.second = high_watermark;
}

// What newly lies below a replica's high watermark is the same as wherever it was seen before.
void ReplicaWorld::CompareCommitted(Node* node) {
  const Offset high_watermark = node->replica->high_watermark();
  if (high_watermark <= node->compared) {
    node->compared = high_watermark;
    return;
  }
  const Offset end_before = committed_end_;
  if (high_watermark > node->log->end_offset()) return Fail("a high watermark beyond the log");
  for (const Bytes& bytes : node->log->batches()) {
    const record::BatchView batch = ViewOf(bytes);
    if (batch.next_offset() <= node->compared) continue;
    if (batch.next_offset() > high_watermark) break;
    const auto known = committed_.find(batch.base_offset());
    if (known != committed_.end()) {
      if (known->second == bytes) continue;
      return Fail(absl::StrCat("two histories at offset ", batch.base_offset().value()));
    }
    if (batch.base_offset() != committed_end_) {
      return Fail(absl::StrCat("other batches than committed at ", batch.base_offset().value()));
    }
    committed_[batch.base_offset()] = bytes;
    committed_end_ = batch.next_offset();
  }
  node->compared = high_watermark;
  if (committed_end_ != end_before) CheckSeats();
}

void ReplicaWorld::CheckSeats() {
  if (committed_.empty()) return;
  const auto& [last_base, last] = *committed_.rbegin();
  for (const Node& node : nodes_) {
    if (node.suspect || !controller_->HasSeat(node.id)) continue;
    const FakeReplicaLog* log = node.log != nullptr ? node.log : node.disk.get();
    if (log == nullptr) continue;
    if (log->durable_log_start() < gone_below_) {
      return Fail(absl::StrCat("broker ", node.id.value(), " has a seat, and its log starts at ",
                               log->durable_log_start().value(), ", though all below ",
                               gone_below_.value(), " was said to be gone"));
    }
    const Offset kept = node.log != nullptr ? Kept(node) : log->end_offset();
    if (kept < committed_end_) {
      return Fail(absl::StrCat("broker ", node.id.value(), " has a seat, but lacks offsets ",
                               kept.value(), " to ", committed_end_.value()));
    }
    for (auto bytes = log->batches().rbegin(); bytes != log->batches().rend(); ++bytes) {
      if (ViewOf(*bytes).base_offset() > last_base) continue;
      if (!(*bytes == last)) {
        return Fail(absl::StrCat("broker ", node.id.value(), " has a seat, and other bytes at ",
                                 last_base.value()));
      }
      break;
    }
  }
}

void ReplicaWorld::Answered(Node* node, const ProduceReply& reply) {
  const auto sent = sent_.find(reply.id);
  if (sent == sent_.end()) return Fail("a produce was answered twice");
  const Sent produce = std::move(sent->second);
  sent_.erase(sent);
  if (!reply.outcome.ok() || produce.acks != api::Acks::kAll) return;
  ++result_.acknowledged;
  CompareCommitted(node);
  const auto known = committed_.find(reply.base_offset);
  if (known == committed_.end() || !absl::StrContains(known->second.slice(), produce.value)) {
    Fail(absl::StrCat("acknowledged at ", reply.base_offset.value(), ", but not committed there"));
  }
}

bool ReplicaWorld::AllInSync() {
  if (controller_->partition().isr.size() != nodes_.size()) return false;
  for (Node& node : nodes_) {
    if (node.images < controller_->history().size()) return false;
    if (!node.replica->is_leader() && !node.replica->is_attached()) return false;
    if (node.log->end_offset() != nodes_[0].log->end_offset()) return false;
    if (node.replica->high_watermark() != node.log->end_offset()) return false;
  }
  return true;
}

void ReplicaWorld::Heal() {
  for (Node& node : nodes_) {
    if (node.replica == nullptr) Start(&node);
    controller_->SetShuttingDown(node.id, false);
    node.cut_off = false;
  }
  healed_ = true;
  const auto go_on = [&](int events, auto done) {
    for (int i = 0; i < events && result_.violation.empty(); ++i) {
      for (Node& node : nodes_) {
        if (!controller_->IsActive(node.id) && node.images >= node.registered_at) {
          controller_->Unfence(node.id);
        }
      }
      Step();
      if (done()) return true;
    }
    return false;
  };
  const int before = result_.acknowledged;
  const bool serves = go_on(kHealEvents, [&] {
    return controller_->partition().isr.size() == nodes_.size() &&
           result_.acknowledged >= before + 3;
  });
  if (!serves) return Fail(absl::StrCat("does not come into sync under load: ", Describe()));
  quiet_ = true;
  if (!go_on(kHealEvents, [&] { return AllInSync(); })) {
    return Fail(absl::StrCat("does not come to rest: ", Describe()));
  }
  for (Node& node : nodes_) {
    node.compared = Offset(0);
    CompareCommitted(&node);
    if (node.log->epochs().entries().empty() && node.log->end_offset() > deleted_below_) {
      Fail("a log without epochs");
    }
  }
}

std::string ReplicaWorld::Describe() const {
  const metadata::PartitionImage& partition = controller_->partition();
  std::string text =
      absl::StrCat("leader ", partition.leader.value(), " epoch ", partition.leader_epoch.value(),
                   "/", partition.partition_epoch.value(), ", in sync");
  for (const NodeId broker : partition.isr) absl::StrAppend(&text, " ", broker.value());
  for (const Node& node : nodes_) {
    if (node.replica == nullptr) continue;
    absl::StrAppend(&text, "; ", node.id.value(), node.replica->is_leader() ? " leads" : "",
                    node.replica->is_attached() ? " attached" : "", " in ",
                    node.replica->leader_epoch().value(), " hw ",
                    node.replica->high_watermark().value(), " end ",
                    node.log->end_offset().value());
  }
  return text;
}

}  // namespace millrace::broker

#include "raft/progress.h"

#include <algorithm>
#include <utility>

namespace millrace::raft {

bool Progress::CanSend(const Options& options) const {
  switch (state_) {
    case State::kProbe:
      return !probe_sent_;
    case State::kReplicate:
      return window_bytes_ < options.window_bytes_max &&
             window_.size() < options.window_messages_max;
    case State::kSnapshot:
      break;
  }
  return false;
}

void Progress::OnSent(int64_t count, uint64_t bytes) {
  if (state_ == State::kProbe) {
    // Where to go on is not known before the answer.
    probe_sent_ = true;
    return;
  }
  next_ = next_ + count;
  window_.push_back(OnItsWay{next_ - 1, bytes});
  window_bytes_ += bytes;
}

void Progress::OnHeartbeatDue() {
  probe_sent_ = false;
  if (state_ == State::kSnapshot) offer_due_ = true;
}

void Progress::OnContact(Round round, MonotonicTime now) {
  acked_round_ = std::max(acked_round_, round);
  last_contact_ = now;
}

void Progress::OnAccepted(LogIndex match, Round round_now) {
  if (match > match_) {
    match_ = match;
    matched_in_round_ = round_now;
  }
  while (!window_.empty() && window_.front().last <= match_) {
    window_bytes_ -= window_.front().bytes;
    window_.pop_front();
  }
  if (state_ != State::kReplicate) {
    state_ = State::kReplicate;
    snapshot_.reset();
    probe_sent_ = false;
    next_ = match_ + 1;
  }
  next_ = std::max(next_, match_ + 1);
}

bool Progress::OnRefused(const AppendResponse& response, LogIndex meets, Round round_now) {
  if (state_ == State::kSnapshot || response.refused <= match_) return false;
  if (response.round <= refused_in_round_) return false;
  if (state_ == State::kReplicate) {
    // Something before it was lost. All through match_ is known to be there.
    BecomeProbe(match_ + 1);
    refused_in_round_ = round_now;
    return true;
  }
  if (response.refused != next_ - 1) return false;
  refused_in_round_ = round_now;
  BecomeProbe(std::max(match_, std::min(meets, response.refused - 1)) + 1);
  return true;
}

void Progress::OnFull() {
  BecomeProbe(match_ + 1);
  probe_sent_ = true;
}

bool Progress::ProvesLostLog(const AppendResponse& response) const {
  return !response.accepted && response.round > matched_in_round_ && response.last < match_;
}

void Progress::OnLostLog(const AppendResponse& response) {
  lost_log_ = true;
  match_ = LogIndex();
  BecomeProbe(response.last + 1);
}

void Progress::OnUnreachable() {
  if (state_ == State::kReplicate) BecomeProbe(match_ + 1);
}

void Progress::BeginSnapshot(const SnapshotId& id) {
  if (state_ == State::kSnapshot && snapshot_ == id) return;
  BecomeProbe(next_);
  state_ = State::kSnapshot;
  snapshot_ = id;
  offer_due_ = true;
  chunk_due_.reset();
  chunk_sent_.reset();
  chunk_asked_in_.reset();
}

std::optional<uint64_t> Progress::TakeChunkToSend() {
  const std::optional<uint64_t> due = std::exchange(chunk_due_, std::nullopt);
  if (due.has_value()) {
    chunk_sent_ = due;
    chunk_asked_in_.reset();
  }
  return due;
}

bool Progress::TakeOfferToSend(Round round) {
  const bool due = std::exchange(offer_due_, false);
  if (due && !chunk_asked_in_.has_value()) chunk_asked_in_ = round;
  return due;
}

// Every offer is answered, those too that only carry a round. Were each answer taken for a wish,
// each would add one more copy of this piece and so, by the copies' answers, of all after it.
void Progress::OnSnapshotReceived(uint64_t received, Round round) {
  if (!snapshot_.has_value() || received >= snapshot_->bytes) return;
  const bool under_way = chunk_sent_.has_value() && received <= *chunk_sent_;
  const bool asked_before = !chunk_asked_in_.has_value() || round < *chunk_asked_in_;
  if (under_way && asked_before) return;
  chunk_due_ = received;
}

void Progress::BecomeProbe(LogIndex next) {
  state_ = State::kProbe;
  snapshot_.reset();
  next_ = next;
  probe_sent_ = false;
  window_.clear();
  window_bytes_ = 0;
}

}  // namespace millrace::raft

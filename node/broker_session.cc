#include "node/broker_session.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"
#include "base/status.h"
#include "raft/host/founding_channel.h"

namespace millrace::node {
namespace {

// A stream that lasted so long was a success; one that did not counts as a failure to find the
// controller, so that a stream which breaks as soon as it is made does not spin.
constexpr absl::Duration kLasting = absl::Seconds(1);
// After a registration that failed and may yet succeed.
constexpr absl::Duration kRegisterAgainAfter = absl::Milliseconds(100);
// Whose answers may come yet: as many as are sent in half a minute.
constexpr size_t kHeartbeatsKept = 64;
// A leader that was replaced knows it after an election timeout. A lower term long after the higher
// one was last heard is that of a quorum that was recovered from an older voter (S-20).
constexpr absl::Duration kFormerLeaderMax = absl::Seconds(30);
// 50 ms doubled so often is beyond any sensible maximum.
constexpr int kDoublingsMax = 10;

// Nothing that this process could do will change the answer.
bool IsFinal(const absl::Status& status) {
  switch (CodeOf(status)) {
    case ErrorCode::kInconsistentClusterId:
    case ErrorCode::kInconsistentNodeId:
    case ErrorCode::kUnsupportedVersion:
    case ErrorCode::kUnsupportedFormatVersion:
    case ErrorCode::kInvalidDirectory:
    case ErrorCode::kInvalidRequest:
    case ErrorCode::kStaleBrokerEpoch:
    case ErrorCode::kBrokerIdNotRegistered:
      return true;
    case ErrorCode::kAuthorizationFailed:
      // One controller with a wrong config must not stop a broker that the others take in.
      return DetailOf(status).name != raft::kUntrustedPeer;
    default:
      return false;
  }
}

// Whether a process that is no controller of this cluster may have said it.
bool MayBeAstray(const absl::Status& refusal) {
  switch (CodeOf(refusal)) {
    case ErrorCode::kInconsistentClusterId:
    case ErrorCode::kAuthorizationFailed:
    // There is no such service: a client's port, or another program's.
    case ErrorCode::kUnsupportedVersion:
      return true;
    case ErrorCode::kInvalidRequest:
      // A controller names what it refuses; gRPC itself does not.
      return DetailOf(refusal).name.empty();
    default:
      return false;
  }
}

}  // namespace

BrokerSession::BrokerSession(BrokerSessionOptions options, Random* random, MonotonicTime now)
    : options_(std::move(options)), random_(random), seek_at_(now) {
  CHECK(!options_.controllers.empty());
  for (const raft::Peer& controller : options_.controllers) words_[controller.address] = {};
  // Not all brokers at the same one.
  next_ = random_->Below(options_.controllers.size());
  Seek(now);
}

// ---- What happens ----

void BrokerSession::OnMetadata(uint64_t stream, LogIndex applied, MonotonicTime now) {
  if (stream != stream_ || !connected()) return;
  const bool was_behind = applied_.value() < epoch_.value();
  applied_ = applied;
  Heard(now);
  // What the controller waits for before it unfences (S-41).
  if (was_behind && want_active_ && applied_.value() >= epoch_.value()) HeartbeatSoon(now);
}

void BrokerSession::OnAnswer(uint64_t stream, const SessionAnswer& answer, MonotonicTime now) {
  if (stream != stream_ || !connected()) return;
  if (answer.term < term_ && now < term_heard_ + kFormerLeaderMax) return LeaveFormerLeader(now);
  Heard(now);
  term_ = answer.term;
  term_heard_ = now;
  if (epoch_ == kNoBrokerEpoch) return;
  broker_ = answer.broker;
  if (broker_.has_value() && broker_ != metadata::BrokerState::kFenced) {
    contact_ = std::max(contact_, ContactOf(answer));
  }
  may_stop_ = may_stop_ || (want_shutdown_ && answer.may_stop);
}

void BrokerSession::OnStreamEnded(uint64_t stream, const absl::Status& status, MonotonicTime now) {
  if (stream != stream_ || !connected()) return;
  const raft::Peer left = *current_;
  if (IsFinal(status) && IsOfOurCluster(status)) return Fail(Annotate(status, left.address));
  const bool lasted = established_ && now - established_at_ >= kLasting;
  last_failure_ = absl::StrCat(left.address, ": ", status.message());
  // What is refused is so sooner: no connection was made in time.
  const bool silent = !established_ && CodeOf(status) == ErrorCode::kBrokerNotAvailable &&
                      now - opened_at_ >= ConnectMax() * 2 / 5;
  if (silent) {
    CountSilence();
  } else {
    heard_somebody_ = true;
  }
  Close();
  // Whoever ended it is gone already.
  ready_.close = false;
  if (lasted) {
    rounds_failed_ = 0;
    tried_.clear();
    // A break may be the connection's alone.
    if (CodeOf(status) != ErrorCode::kNotController) preferred_ = left;
    ForgetNamed();
  }
  if (CodeOf(status) == ErrorCode::kNotController) {
    if (!Tried(left.address)) tried_.push_back(left.address);
    const LeaderHint hint = DetailOf(status).leader.value_or(LeaderHint());
    if (const auto word = words_.find(left.address); word != words_.end()) {
      word->second = {.names = hint.leader == kNoNode ? "" : hint.address};
    }
    AdoptHint(hint, /*own_voter=*/false);
  }
  Seek(now);
}

void BrokerSession::LeaveFormerLeader(MonotonicTime now) {
  OnStreamEnded(stream_,
                MakeError(ErrorCode::kNotController, "another controller leads in a later term"),
                now);
  // It did not end it.
  ready_.close = true;
}

void BrokerSession::OnRegistered(uint64_t attempt, const absl::StatusOr<BrokerEpoch>& epoch,
                                 MonotonicTime now) {
  if (attempt != attempt_ || !registering_) return;
  registering_ = false;
  if (!epoch.ok()) {
    if (IsFinal(epoch.status())) return Fail(Annotate(epoch.status(), current_->address));
    last_failure_ = absl::StrCat("registration: ", epoch.status().message());
    register_at_ = now + kRegisterAgainAfter;
    return;
  }
  epoch_ = *epoch;
  if (!connected()) return;
  // The present stream is an observer's.
  const raft::Peer controller = *current_;
  Close();
  Open(controller, now);
}

void BrokerSession::OnLeader(const LeaderHint& leader, MonotonicTime now) {
  if (!failure_.ok() || leader.leader == kNoNode || leader.address.empty()) return;
  if (connected() && current_->address == leader.address) return;
  // A term that is not above the one heard of last is older news.
  if (established_ && leader.leader_epoch.value() <= term_.value()) return;
  AdoptHint(leader, /*own_voter=*/true);
  std::erase(tried_, leader.address);
  Close();
  Seek(now);
}

void BrokerSession::Tick(MonotonicTime now) {
  if (!failure_.ok()) return;
  if (!connected()) {
    if (now >= seek_at_) Seek(now);
    return;
  }
  const absl::Duration patience = established_ ? options_.silence_max : ConnectMax();
  if (now >= (established_ ? last_heard_ : opened_at_) + patience) {
    last_failure_ =
        absl::StrCat(current_->address, ": no answer for ", absl::FormatDuration(patience));
    if (established_ && now - established_at_ >= kLasting) {
      rounds_failed_ = 0;
      tried_ = {current_->address};
      ForgetNamed();
    }
    if (!established_) CountSilence();
    Close();
    return Seek(now);
  }
  if (now >= heartbeat_at_) SendHeartbeat(now);
  if (established_ && now >= register_at_) AskRegistration();
}

// ---- What the broker wants ----

void BrokerSession::Register(MonotonicTime now) {
  want_registration_ = true;
  register_at_ = now;
  if (established_) AskRegistration();
}

void BrokerSession::Activate(MonotonicTime now) {
  want_active_ = true;
  HeartbeatSoon(now);
}

void BrokerSession::Leave(MonotonicTime now) {
  want_shutdown_ = true;
  want_active_ = false;
  // What never was active has nothing to hand over.
  if (!broker_.has_value() || !failure_.ok()) may_stop_ = true;
  HeartbeatSoon(now);
}

void BrokerSession::HeartbeatSoon(MonotonicTime now) {
  // The first one says it too.
  if (connected() && !ready_.open.has_value()) SendHeartbeat(now);
}

void BrokerSession::SendHeartbeat(MonotonicTime now) {
  heartbeat_at_ = now + options_.heartbeat_interval;
  if (ready_.heartbeat) return;
  ready_.heartbeat = true;
  CountHeartbeat(now);
}

void BrokerSession::CountHeartbeat(MonotonicTime now) {
  sent_.emplace(++heartbeat_, now);
  if (sent_.size() > kHeartbeatsKept) sent_.erase(sent_.begin());
}

MonotonicTime BrokerSession::ContactOf(const SessionAnswer& answer) {
  // The answer to the last one may not have come yet, so it is to the one before at best.
  if (answer.heartbeat == 0) {
    return (sent_.size() < 2 ? sent_.begin() : std::prev(sent_.end(), 2))->second;
  }
  if (answer.heartbeat > heartbeat_) return MonotonicTime();
  sent_.erase(sent_.begin(), sent_.lower_bound(answer.heartbeat));
  const auto heard = sent_.find(answer.heartbeat);
  return heard == sent_.end() ? MonotonicTime() : heard->second;
}

// ---- What comes out ----

BrokerSessionReady BrokerSession::TakeReady() {
  return std::exchange(ready_, BrokerSessionReady());
}

MonotonicTime BrokerSession::next_deadline() const {
  if (!failure_.ok()) return MonotonicTime::Never();
  if (!connected()) return seek_at_;
  MonotonicTime next =
      established_ ? last_heard_ + options_.silence_max : opened_at_ + ConnectMax();
  next = std::min(next, heartbeat_at_);
  const bool to_register =
      established_ && want_registration_ && !registering_ && epoch_ == kNoBrokerEpoch;
  return to_register ? std::min(next, register_at_) : next;
}

BrokerSession::State BrokerSession::state() const {
  if (!failure_.ok()) return State::kEnded;
  if (may_stop_) return State::kMayStop;
  if (want_shutdown_) return State::kLeaving;
  if (!established_) return State::kFinding;
  if (registering_) return State::kRegistering;
  if (epoch_ == kNoBrokerEpoch) return State::kFollowing;
  return broker_ == metadata::BrokerState::kActive ? State::kActive : State::kJoining;
}

LeaderHint BrokerSession::leader() const {
  if (!established_) return {};
  return {.leader = current_->node,
          .leader_epoch = LeaderEpoch(static_cast<int32_t>(term_.value())),
          .address = current_->address};
}

std::string BrokerSession::Progress() const {
  if (!failure_.ok()) return std::string(failure_.message());
  if (!established_) {
    std::vector<std::string> addresses;
    for (const raft::Peer& controller : options_.controllers) {
      addresses.push_back(controller.address);
    }
    return absl::StrCat("no active controller found at ", absl::StrJoin(addresses, ", "),
                        last_failure_.empty() ? "" : absl::StrCat("; ", last_failure_));
  }
  if (want_registration_ && epoch_ == kNoBrokerEpoch) {
    return absl::StrCat("not registered yet", last_failure_.empty() ? "" : "; ", last_failure_);
  }
  if (want_active_ && broker_ != metadata::BrokerState::kActive) {
    return "registered, and fenced by the controller";
  }
  return "";
}

// ---- The stream ----

void BrokerSession::Heard(MonotonicTime now) {
  last_heard_ = now;
  if (established_) return;
  established_ = heard_somebody_ = true;
  established_at_ = now;
  for (auto& [address, word] : words_) word = {};
  rounds_silent_ = named_silent_ = 0;
  if (want_registration_ && now >= register_at_) AskRegistration();
}

void BrokerSession::Close() {
  if (!connected()) return;
  // One that was not opened yet need not be closed.
  if (ready_.open.has_value()) {
    ready_.open.reset();
  } else {
    ready_.close = true;
  }
  ready_.heartbeat = false;
  ready_.register_broker.reset();
  current_.reset();
  established_ = false;
  // Its answer may be lost; the same incarnation may ask again (KAFKA-16952).
  registering_ = false;
}

void BrokerSession::Open(const raft::Peer& controller, MonotonicTime now) {
  current_ = controller;
  ++stream_;
  opened_at_ = now;
  sent_.clear();
  CountHeartbeat(now);
  heartbeat_at_ = now + options_.heartbeat_interval;
  ready_.open = BrokerSessionReady::Open{
      .stream = stream_, .address = controller.address, .connect_max = ConnectMax()};
}

void BrokerSession::Seek(MonotonicTime now) {
  if (!failure_.ok()) return;
  if (now >= seek_at_ && !NextUntried().has_value()) {
    tried_.clear();
    if (heard_silence_ && !heard_somebody_) ++rounds_silent_;
    heard_silence_ = heard_somebody_ = false;
  }
  if (const std::optional<raft::Peer> controller = NextUntried(); controller.has_value()) {
    tried_.push_back(controller->address);
    if (preferred_ == controller) preferred_.reset();
    const std::vector<raft::Peer>& all = options_.controllers;
    const auto at = std::find_if(all.begin(), all.end(), [&](const raft::Peer& peer) {
      return peer.address == controller->address;
    });
    if (at != all.end()) next_ = (static_cast<size_t>(at - all.begin()) + 1) % all.size();
    // The round after this one waits.
    if (!NextUntried().has_value()) {
      const int doublings = std::min(rounds_failed_++, kDoublingsMax);
      const absl::Duration whole =
          std::min(options_.wait_max, options_.wait_min * (1 << doublings));
      const int64_t half_us = absl::ToInt64Microseconds(whole / 2);
      seek_at_ = now + absl::Microseconds(half_us + static_cast<int64_t>(random_->Below(
                                                        static_cast<uint64_t>(half_us) + 1)));
    }
    return Open(*controller, now);
  }
}

std::optional<raft::Peer> BrokerSession::NextUntried() const {
  if (preferred_.has_value() && !Tried(preferred_->address)) return preferred_;
  const std::vector<raft::Peer>& all = options_.controllers;
  for (size_t i = 0; i < all.size(); ++i) {
    const raft::Peer& peer = all[(next_ + i) % all.size()];
    if (!Tried(peer.address)) return peer;
  }
  return std::nullopt;
}

bool BrokerSession::Tried(const std::string& address) const {
  return std::find(tried_.begin(), tried_.end(), address) != tried_.end();
}

void BrokerSession::AdoptHint(const LeaderHint& hint, bool own_voter) {
  if (hint.leader == kNoNode || hint.address.empty()) return ForgetNamed();
  preferred_ = raft::Peer{.node = hint.leader, .address = hint.address};
  if (std::exchange(named_, hint.address) != hint.address) named_silent_ = 0;
  named_by_own_voter_ = own_voter;
}

void BrokerSession::ForgetNamed() {
  named_.clear();
  named_by_own_voter_ = false;
}

absl::Duration BrokerSession::ConnectMax() const {
  // Voters follow one that is off for an election timeout at most: after two attempts it is not.
  const int named = current_->address == named_ ? named_silent_ - 1 : 0;
  return Doubled(std::max({0, named, rounds_silent_}));
}

absl::Duration BrokerSession::Doubled(int times) const {
  return std::min(options_.connect_max_max,
                  options_.connect_max * (1 << std::min(times, kDoublingsMax)));
}

void BrokerSession::CountSilence() {
  heard_silence_ = true;
  if (current_->address == named_) ++named_silent_;
}

bool BrokerSession::IsOfOurCluster(const absl::Status& refusal) {
  if (!MayBeAstray(refusal) || established_) return true;
  if (named_by_own_voter_ && current_->address == named_) return true;
  bool all = true;
  for (auto& [address, word] : words_) {
    // Who names it is of its cluster, whichever that is.
    word.refuses |= address == current_->address || word.names == current_->address;
    all &= word.refuses;
  }
  return all;
}

void BrokerSession::AskRegistration() {
  if (!want_registration_ || registering_ || epoch_ != kNoBrokerEpoch) return;
  registering_ = true;
  ready_.register_broker =
      BrokerSessionReady::Register{.attempt = ++attempt_, .address = current_->address};
}

void BrokerSession::Fail(const absl::Status& status) {
  Close();
  failure_ = status;
  if (want_shutdown_) may_stop_ = true;
}

absl::string_view BrokerSessionStateName(BrokerSession::State state) {
  switch (state) {
    case BrokerSession::State::kFinding:
      return "finding the controller";
    case BrokerSession::State::kFollowing:
      return "following";
    case BrokerSession::State::kRegistering:
      return "registering";
    case BrokerSession::State::kJoining:
      return "fenced";
    case BrokerSession::State::kActive:
      return "active";
    case BrokerSession::State::kLeaving:
      return "shutting down";
    case BrokerSession::State::kMayStop:
      return "may stop";
    case BrokerSession::State::kEnded:
      return "ended";
  }
  return "";
}

}  // namespace millrace::node

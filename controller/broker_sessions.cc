#include "controller/broker_sessions.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace millrace::controller {

using metadata::BrokerImage;
using metadata::BrokerState;

BrokerSessions::BrokerSessions(const BrokerSessionOptions& options, IncarnationId own_run)
    : options_(options), own_run_(own_run), disks_(options.disks) {}

void BrokerSessions::Begin(const metadata::Image& image, MonotonicTime now) {
  End();
  leading_ = true;
  noted_ = now;
  image.ForEachBroker([&](const BrokerImage& broker) { OnBroker(broker, now); });
  for (auto& [broker, session] : sessions_) {
    if (session.deadline == MonotonicTime::Never()) continue;
    session.deadline = session.deadline + options_.former_leader_max;
  }
}

void BrokerSessions::End() {
  leading_ = false;
  sessions_.clear();
  disks_.Clear();
  due_.clear();
}

void BrokerSessions::OnBroker(const BrokerImage& broker, MonotonicTime now) {
  if (!leading_) return;
  NoteTime(now);
  Session& session = sessions_[broker.id];
  std::set<DirectoryId> slow;
  for (const metadata::LogDirImage& dir : broker.log_dirs) {
    if (dir.slow) slow.insert(dir.id);
  }
  if (session.epoch != broker.epoch) {
    session = Session();
    session.epoch = broker.epoch;
    const bool is_own = !own_run_.is_zero() && broker.incarnation == own_run_;
    session.watched = !is_own && broker.id != options_.lone_broker;
    disks_.Forget(broker.id);
    disks_.SetSlow(broker.id, slow, now);
  }
  session.slow_directories = std::move(slow);
  const bool was_fenced = session.state == BrokerState::kFenced;
  session.state = broker.state;
  if (broker.state == BrokerState::kFenced) {
    session.deadline = MonotonicTime::Never();
  } else if (was_fenced) {
    Renew(&session, now);
  }
  if (broker.state == BrokerState::kActive) session.may_stop = false;
  Evaluate(broker.id, &session, now);
}

void BrokerSessions::OnBrokerRemoved(NodeId broker) {
  sessions_.erase(broker);
  disks_.Forget(broker);
  std::erase_if(due_, [broker](const SessionDecision& due) { return due.broker == broker; });
}

BrokerSessions::Session* BrokerSessions::Find(NodeId broker, BrokerEpoch epoch) {
  const auto found = sessions_.find(broker);
  return found != sessions_.end() && found->second.epoch == epoch ? &found->second : nullptr;
}

void BrokerSessions::NoteTime(MonotonicTime now) {
  const MonotonicTime expected = next_deadline();
  noted_ = now;
  if (now <= expected + options_.stall_min) return;
  // Nothing was heard because nobody listened. What waits in the sockets is read first.
  const absl::Duration stalled = now - expected;
  for (auto& [broker, session] : sessions_) {
    if (session.deadline == MonotonicTime::Never()) continue;
    const bool has_stream = session.stream != SessionStreamId();
    const absl::Duration least = has_stream ? options_.pulse : options_.broken_stream_grace;
    session.deadline = std::max(session.deadline + stalled, now + least);
  }
}

void BrokerSessions::Renew(Session* session, MonotonicTime now) {
  const bool watched = session->state != BrokerState::kFenced && session->watched;
  session->deadline = watched ? now + options_.timeout : MonotonicTime::Never();
}

bool BrokerSessions::IsFlapping(Session* session, MonotonicTime now) const {
  while (!session->breaks.empty() && session->breaks.front() + options_.breaks_window <= now) {
    session->breaks.pop_front();
  }
  return static_cast<int>(session->breaks.size()) >= options_.breaks_max;
}

void BrokerSessions::OnStreamOpened(NodeId broker, BrokerEpoch epoch, SessionStreamId stream,
                                    MonotonicTime now) {
  if (leading_) NoteTime(now);
  Session* const session = Find(broker, epoch);
  if (session == nullptr) return;
  session->stream = stream;
  Renew(session, now);
}

void BrokerSessions::OnHeartbeat(const BrokerHeartbeatReport& report, MonotonicTime now) {
  if (leading_) NoteTime(now);
  Session* const session = Find(report.broker, report.epoch);
  if (session == nullptr) return;
  Renew(session, now);
  session->wish = report;
  disks_.OnReport(report.broker, report.syncs, now);
  Evaluate(report.broker, session, now);
}

void BrokerSessions::OnContact(NodeId broker, BrokerEpoch epoch, MonotonicTime now) {
  if (leading_) NoteTime(now);
  Session* const session = Find(broker, epoch);
  // What a stream would say counts, where there was one.
  if (session == nullptr || session->stream != SessionStreamId() || !session->breaks.empty()) {
    return;
  }
  // It may have a stream to the leader before still.
  const MonotonicTime deadline = session->deadline;
  Renew(session, now);
  session->deadline = std::max(session->deadline, deadline);
}

void BrokerSessions::OnStreamBroken(NodeId broker, SessionStreamId stream, MonotonicTime now) {
  if (leading_) NoteTime(now);
  const auto found = sessions_.find(broker);
  if (found == sessions_.end() || found->second.stream != stream) return;
  Session& session = found->second;
  session.stream = SessionStreamId();
  session.wish = BrokerHeartbeatReport();
  session.breaks.push_back(now);
  if (session.deadline == MonotonicTime::Never() || IsFlapping(&session, now)) return;
  session.deadline = std::min(session.deadline, now + options_.broken_stream_grace);
}

void BrokerSessions::OnStreamClosed(NodeId broker, SessionStreamId stream, MonotonicTime now) {
  if (leading_) NoteTime(now);
  const auto found = sessions_.find(broker);
  if (found == sessions_.end() || found->second.stream != stream) return;
  found->second.stream = SessionStreamId();
  found->second.wish = BrokerHeartbeatReport();
}

void BrokerSessions::OnDecided(const SessionDecision& decision, const absl::Status& outcome,
                               bool may_stop, MonotonicTime now) {
  if (leading_) NoteTime(now);
  Session* const session = Find(decision.broker, decision.epoch);
  if (session == nullptr) return;
  session->deciding = false;
  if (!outcome.ok()) {
    session->retry_at = now + options_.retry_after;
  } else if (decision.kind == SessionDecision::Kind::kShutDown) {
    session->may_stop = may_stop;
    // Asked again with the next heartbeat.
    if (!may_stop) session->wish = BrokerHeartbeatReport();
  } else if (decision.kind == SessionDecision::Kind::kFailDirectories) {
    session->failed_directories.insert(decision.directories.begin(), decision.directories.end());
  } else if (decision.kind == SessionDecision::Kind::kSlowDirectories) {
    session->slow_directories = decision.directories;
  }
  Evaluate(decision.broker, session, now);
}

void BrokerSessions::OnTime(MonotonicTime now) {
  if (!leading_) return;
  NoteTime(now);
  for (auto& [broker, session] : sessions_) Evaluate(broker, &session, now);
}

void BrokerSessions::Evaluate(NodeId broker, Session* session, MonotonicTime now) {
  if (session->deciding || now < session->retry_at) return;
  using Kind = SessionDecision::Kind;
  const BrokerHeartbeatReport& wish = session->wish;
  if (now >= session->deadline) {
    // What it wanted, it wanted while it lived.
    session->wish = BrokerHeartbeatReport();
    if (IsFlapping(session, now)) {
      session->hold = std::clamp(session->hold * 2, options_.hold_min, options_.hold_max);
      session->held_until = now + session->hold;
    } else {
      session->hold = absl::ZeroDuration();
    }
    return Decide(broker, session, Kind::kFence);
  }
  if (!std::includes(session->failed_directories.begin(), session->failed_directories.end(),
                     wish.failed_directories.begin(), wish.failed_directories.end())) {
    return Decide(broker, session, Kind::kFailDirectories);
  }
  const bool fenced = session->state == BrokerState::kFenced;
  if (wish.want_shutdown && fenced) {
    session->may_stop = true;
  } else if (wish.want_shutdown && !session->may_stop) {
    Decide(broker, session, Kind::kShutDown);
  } else if (MayBecomeActive(*session) && now >= session->held_until) {
    Decide(broker, session, Kind::kActivate);
  } else if (session->state == BrokerState::kActive) {
    DecideSlowness(broker, session, now);
  }
}

void BrokerSessions::DecideSlowness(NodeId broker, Session* session, MonotonicTime now) {
  std::set<DirectoryId> slow = disks_.SlowOf(broker);
  if (slow == session->slow_directories) return;
  Decide(broker, session, SessionDecision::Kind::kSlowDirectories);
  SessionDecision& decision = due_.back();
  std::set<DirectoryId> changed;
  std::set_symmetric_difference(slow.begin(), slow.end(), session->slow_directories.begin(),
                                session->slow_directories.end(),
                                std::inserter(changed, changed.begin()));
  for (const DirectoryId id : changed) {
    absl::StrAppend(&decision.why, decision.why.empty() ? "" : "; ",
                    disks_.Describe(broker, id, now));
  }
  decision.directories = std::move(slow);
}

bool BrokerSessions::MayBecomeActive(const Session& session) {
  // Past its own registration's index: a moving end would never be caught (S-41).
  return session.state == BrokerState::kFenced && session.wish.want_active &&
         !session.wish.want_shutdown && session.wish.applied.value() >= session.epoch.value();
}

void BrokerSessions::Decide(NodeId broker, Session* session, SessionDecision::Kind kind) {
  session->deciding = true;
  SessionDecision decision{
      .kind = kind, .broker = broker, .epoch = session->epoch, .applied = session->wish.applied};
  if (kind == SessionDecision::Kind::kFailDirectories) {
    decision.directories = session->wish.failed_directories;
  }
  due_.push_back(std::move(decision));
}

MonotonicTime BrokerSessions::DueTime(const Session& session) {
  if (session.deciding) return MonotonicTime::Never();
  MonotonicTime due = session.deadline;
  if (MayBecomeActive(session)) due = std::min(due, session.held_until);
  return std::max(due, session.retry_at);
}

MonotonicTime BrokerSessions::next_deadline() const {
  MonotonicTime next = MonotonicTime::Never();
  bool watching = false;
  for (const auto& [broker, session] : sessions_) {
    next = std::min(next, DueTime(session));
    watching = watching || session.deadline != MonotonicTime::Never();
  }
  return watching ? std::min(next, noted_ + options_.pulse) : next;
}

std::vector<SessionDecision> BrokerSessions::TakeDecisions() { return std::exchange(due_, {}); }

bool BrokerSessions::MayStop(NodeId broker) const {
  const auto found = sessions_.find(broker);
  return found != sessions_.end() && found->second.may_stop;
}

int BrokerSessions::connected() const {
  return static_cast<int>(std::count_if(
      sessions_.begin(), sessions_.end(),
      [](const auto& session) { return session.second.stream != SessionStreamId(); }));
}

}  // namespace millrace::controller

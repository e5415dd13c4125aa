#include "test/sim/cluster_network.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace millrace::sim {
namespace {

// As the shipped channels have them: of an attempt, and until silence is noticed.
constexpr absl::Duration kConnectTimeout = absl::Seconds(1);
constexpr absl::Duration kSilenceMin = absl::Milliseconds(1500);
constexpr absl::Duration kSilenceMax = absl::Seconds(6);

}  // namespace

// ---- A connection ----

void ClusterConnection::Send(Side from, Task deliver) {
  if (!ends_[from].open || network_->dying(ends_[from].host)) return;
  Enqueue(from, std::move(deliver));
}

void ClusterConnection::Enqueue(Side from, Task deliver) {
  if (broken_) return;
  struct End& end = ends_[from];
  const MonotonicTime arrival =
      network_->now() + network_->Delay(end.host, ends_[Other(from)].host);
  end.last_arrival = std::max(end.last_arrival, arrival);
  end.sent.push_back({end.last_arrival, std::move(deliver)});
  network_->executor_->PostAt(end.last_arrival,
                              [self = shared_from_this(), from] { self->Pump(from); });
}

void ClusterConnection::Pump(Side from) {
  const Side to = Other(from);
  if (network_->cut(ends_[from].host, ends_[to].host)) return;
  std::deque<Item>& sent = ends_[from].sent;
  while (!sent.empty() && sent.front().when <= network_->now()) {
    const bool machine_is_there = !network_->hosts_.at(ends_[to].host).off;
    if (from == kOpener && accept_ != nullptr) {
      const auto accept = std::exchange(accept_, nullptr);
      if (network_->up(ends_[to].host)) {
        ends_[to].open = true;
        if (accept()) {
          Enqueue(kAcceptor, [self = shared_from_this()] { self->established_ = true; });
        } else {
          ends_[to].open = false;
        }
      }
    }
    Task deliver = std::move(sent.front().deliver);
    sent.pop_front();
    if (ends_[to].open) {
      std::move(deliver)();
    } else if (machine_is_there && ends_[from].open) {
      // Refused, or reset.
      EndLater(from, network_->Delay(ends_[to].host, ends_[from].host));
    }
  }
}

void ClusterConnection::Close(Side side) {
  if (!ends_[side].open) return;
  ends_[side].open = false;
  ends_[side].on_closed = nullptr;
  if (network_->dying(ends_[side].host)) return;
  Enqueue(side, [self = shared_from_this(), other = Other(side)] { self->End(other); });
}

void ClusterConnection::End(Side side) {
  if (!std::exchange(ends_[side].open, false)) return;
  Task on_closed = std::exchange(ends_[side].on_closed, nullptr);
  if (on_closed != nullptr) std::move(on_closed)();
}

void ClusterConnection::EndLater(Side side, absl::Duration delay) {
  network_->After(delay, [self = shared_from_this(), side] { self->End(side); });
}

void ClusterConnection::Abandon(Side side, bool tell) {
  if (!ends_[side].open) return;
  const Side other = Other(side);
  ends_[side].open = false;
  ends_[side].on_closed = nullptr;
  ends_[other].sent.clear();
  if (tell) {
    Enqueue(side, [self = shared_from_this(), other] { self->End(other); });
  } else {
    EndLater(other, Between(network_->random_, kSilenceMin, kSilenceMax));
  }
}

// ---- The network ----

ClusterNetwork::ClusterNetwork(SimLoop* loop, SimRandom random)
    : loop_(loop), random_(random), executor_(loop->MakeExecutor("network")) {
  AddHost(0, [] { return false; });
  OnUp(0);
}

ClusterNetwork::~ClusterNetwork() { End(); }

void ClusterNetwork::End() {
  executor_->Shutdown();
  // What they hold may hold them.
  ForEachConnection([](const ConnectionPtr& connection) {
    for (auto& end : connection->ends_) {
      end.open = false;
      end.on_closed = nullptr;
      const auto sent = std::move(end.sent);
    }
    connection->accept_ = nullptr;
  });
}

template <class F>
void ClusterNetwork::ForEachConnection(F f) {
  // What it does may open others.
  const std::vector<std::weak_ptr<ClusterConnection>> all = connections_;
  for (const auto& weak : all) {
    if (const ConnectionPtr connection = weak.lock(); connection != nullptr) f(connection);
  }
}

void ClusterNetwork::AddHost(int host, std::function<bool()> dying) {
  hosts_[host].dying = std::move(dying);
}

void ClusterNetwork::OnUp(int host) {
  Host& up = hosts_.at(host);
  up.up = true;
  up.off = false;
  ++up.life;
}

void ClusterNetwork::OnDown(int host, bool silent) {
  Host& down = hosts_.at(host);
  down.up = false;
  down.off = silent;
  ForEachConnection([&](const ConnectionPtr& connection) {
    for (const auto side : {ClusterConnection::kOpener, ClusterConnection::kAcceptor}) {
      if (connection->ends_[side].host == host) connection->Abandon(side, !silent);
    }
  });
}

absl::Duration ClusterNetwork::Delay(int from, int to) {
  absl::Duration delay =
      Between(random_, absl::Microseconds(40), absl::Microseconds(OneIn(random_, 60) ? 8000 : 400));
  if (const auto slow = slow_.find({from, to}); slow != slow_.end() && OneIn(random_, 3)) {
    delay += slow->second;
  }
  return delay;
}

void ClusterNetwork::Cut(int from, int to) {
  if (!cuts_.insert({from, to}).second) return;
  ForEachConnection([&](const ConnectionPtr& connection) {
    const int a = connection->ends_[0].host;
    const int b = connection->ends_[1].host;
    if ((a == from && b == to) || (a == to && b == from)) GiveUpSlowly(connection);
  });
}

void ClusterNetwork::GiveUpSlowly(const ConnectionPtr& connection) {
  for (const auto side : {ClusterConnection::kOpener, ClusterConnection::kAcceptor}) {
    const auto weak = std::weak_ptr<ClusterConnection>(connection);
    After(Between(random_, kSilenceMin, kSilenceMax), [this, weak, side] {
      const ConnectionPtr still = weak.lock();
      if (still == nullptr) return;
      const int a = still->ends_[0].host;
      const int b = still->ends_[1].host;
      // A cut that was healed and came again is taken for one; connections break for less.
      if (!still->ends_[side].open || !(cut(a, b) || cut(b, a))) return;
      // Whenever that gets through.
      const auto other = ClusterConnection::Other(side);
      still->Enqueue(side, [still, other] { still->End(other); });
      still->End(side);
    });
  }
}

void ClusterNetwork::HealAll() {
  cuts_.clear();
  slow_.clear();
  ForEachConnection([](const ConnectionPtr& connection) {
    connection->Pump(ClusterConnection::kOpener);
    connection->Pump(ClusterConnection::kAcceptor);
  });
}

void ClusterNetwork::Break(int a, int b) {
  ForEachConnection([&](const ConnectionPtr& connection) {
    const int opener = connection->ends_[0].host;
    const int acceptor = connection->ends_[1].host;
    if (!((opener == a && acceptor == b) || (opener == b && acceptor == a))) return;
    // What was under way is lost.
    connection->broken_ = true;
    for (const auto side : {ClusterConnection::kOpener, ClusterConnection::kAcceptor}) {
      connection->ends_[side].sent.clear();
      connection->EndLater(side, Delay(a, b));
    }
  });
}

void ClusterNetwork::Datagram(int from, int to, Task deliver) {
  if (dying(from) || !up(to)) return;
  MonotonicTime& last = last_datagram_[{from, to}];
  last = std::max(last, now() + Delay(from, to));
  executor_->PostAt(last,
                    [this, from, to, life = life(to), deliver = std::move(deliver)]() mutable {
                      if (!up(to) || this->life(to) != life || cut(from, to)) return;
                      std::move(deliver)();
                    });
}

ClusterNetwork::ConnectionPtr ClusterNetwork::Connect(
    int from, int to, std::function<bool(const ConnectionPtr&)> accept, Task on_closed) {
  std::erase_if(connections_, [](const auto& weak) { return weak.expired(); });
  auto connection = ConnectionPtr(new ClusterConnection(this));
  connections_.push_back(connection);
  connection->ends_[0].host = from;
  connection->ends_[0].open = true;
  connection->ends_[0].on_closed = std::move(on_closed);
  connection->ends_[1].host = to;
  connection->accept_ = [accept = std::move(accept),
                         weak = std::weak_ptr<ClusterConnection>(connection)] {
    const ConnectionPtr self = weak.lock();
    return self != nullptr && accept(self);
  };
  connection->Send(ClusterConnection::kOpener, [] {});
  After(kConnectTimeout, [weak = std::weak_ptr<ClusterConnection>(connection)] {
    const ConnectionPtr self = weak.lock();
    if (self == nullptr || self->established_ || !self->ends_[0].open) return;
    self->Enqueue(ClusterConnection::kOpener, [self] { self->End(ClusterConnection::kAcceptor); });
    self->End(ClusterConnection::kOpener);
  });
  return connection;
}

}  // namespace millrace::sim

#include "test/sim/cluster_faults.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace millrace::sim {
namespace {

constexpr absl::Duration kFaultPause = absl::Milliseconds(1500);
constexpr const char* kModeNames[] = {"keep", "lose", "torn"};

CrashMode AnyMode(SimRandom& random) {
  const CrashMode modes[] = {CrashMode::kKeepAll, CrashMode::kLoseAll, CrashMode::kTorn};
  return modes[random.Below(3)];
}

}  // namespace

ClusterFaults::ClusterFaults(ClusterState* world) : world_(*world) {
  const bool fast = OneIn(world_.random, 4);
  for (const int host : world_.hosts()) {
    world_.server(host).SetLatency(
        [this, host, fast,
         random = world_.random.Fork(absl::StrCat("disk-", host))](const SimCall& call) mutable {
          const absl::Duration more = disk_delay_[host];
          if (fast && more == absl::ZeroDuration()) return;
          const bool syncs =
              call.kind == SimCall::Kind::kSync || call.kind == SimCall::Kind::kSyncDirectory;
          absl::Duration delay =
              Between(random, absl::Microseconds(1), absl::Microseconds(syncs ? 600 : 9));
          if (syncs) delay += more;
          world_.loop.Delay(delay);
        });
  }
}

int ClusterFaults::AnyHost() { return world_.any(world_.hosts()); }

void ClusterFaults::StartAll() {
  for (const int host : world_.hosts()) {
    world_.clients->PostAt(
        world_.loop.now() + Between(world_.random, absl::ZeroDuration(), absl::Milliseconds(300)),
        [this, host] { world_.Start(host); });
  }
}

void ClusterFaults::Schedule() {
  const absl::Duration pause = Between(world_.random, absl::Milliseconds(30), kFaultPause);
  world_.clients->PostAt(world_.loop.now() + pause, [this] {
    if (!world_.safety_phase) return;
    EnsureRunning();
    Inject();
    Schedule();
  });
}

void ClusterFaults::EnsureRunning() {
  for (const int host : world_.hosts()) {
    SimServer& server = world_.server(host);
    if (!server.running()) continue;
    const bool refused = server.started().has_value() && !server.started()->ok();
    const bool ended = !refused && !server.node().Healthy().ok();
    if (!refused && !ended) continue;
    world_.Reached(refused ? "start-refused" : "restart-after-failure");
    Kill(host);
    Restart(host);
  }
}

void ClusterFaults::Restart(int host) {
  const absl::Duration pause =
      Between(world_.random, absl::Milliseconds(1),
              OneIn(world_.random, 4) ? absl::Seconds(5) : absl::Milliseconds(500));
  world_.clients->PostAt(world_.loop.now() + pause, [this, host] {
    if (world_.server(host).running() || !world_.safety_phase) return;
    world_.Start(host);
    // A second crash, perhaps before it is registered.
    if (OneIn(world_.random, 6)) ArmCrash(host);
  });
}

void ClusterFaults::Kill(int host) {
  armed_.erase(host);
  stopping_.erase(host);
  world_.Kill(host);
}

void ClusterFaults::LosePower(int host, CrashMode mode) {
  armed_.erase(host);
  stopping_.erase(host);
  if (world_.is_broker(host)) powerless_.insert(host);
  world_.LosePower(host, mode);
  if (powerless_.size() < 2) return;
  for (const auto& topic : world_.topics) {
    for (int i = 0; !topic->durable && i < topic->partitions; ++i) {
      world_.history.OnDamaged(topic->Partition(i));
    }
  }
}

void ClusterFaults::LosePowerOfAll(CrashMode mode) {
  for (const int host : world_.hosts()) LosePower(host, mode);
}

void ClusterFaults::ArmCrash(int host) {
  SimServer& server = world_.server(host);
  if (!server.running() || armed_.contains(host)) return;
  const bool power =
      world_.options.power_losses && (!world_.options.kills || OneIn(world_.random, 2));
  if (!power && !world_.options.kills) return;
  armed_[host] = power;
  world_.Reached("crash-armed");
  world_.SetOnDown(host, power);
  server.ArmCrash(1 + world_.random.Below(OneIn(world_.random, 2) ? 40 : 400),
                  power ? std::optional(AnyMode(world_.random)) : std::nullopt);
}

void ClusterFaults::AfterEvent() {
  // Only those that are armed can have died.
  for (auto it = armed_.begin(); it != armed_.end();) {
    const auto [host, power] = *it;
    if (!world_.server(host).dying()) {
      ++it;
      continue;
    }
    it = armed_.erase(it);
    stopping_.erase(host);
    world_.Reached(world_.server(host).started() ? "crash-in-call" : "crash-in-start");
    if (power && world_.is_broker(host)) powerless_.insert(host);
    world_.server(host).CrashIfDue();
    if (power) LosePower(host, CrashMode::kKeepAll);
    Restart(host);
  }
}

void ClusterFaults::StopCleanly(int host) {
  SimServer& server = world_.server(host);
  if (!server.serving() || server.paused() || !stopping_.insert(host).second) return;
  server.Stop([this, host, incarnation = server.incarnation()](const absl::Status& status) {
    world_.clients->PostAt(world_.loop.now(), [this, host, incarnation, status] {
      SimServer& stopped = world_.server(host);
      if (!stopping_.contains(host) || stopped.incarnation() != incarnation || !stopped.running()) {
        return;
      }
      world_.Reached(status.ok() ? "clean-stop" : "failed-stop");
      Kill(host);
      Restart(host);
    });
  });
}

void ClusterFaults::Pause(int host) {
  SimServer& server = world_.server(host);
  if (!server.running() || server.paused()) return;
  world_.Reached("pause");
  server.Pause();
  const absl::Duration length =
      Between(world_.random, absl::Milliseconds(10),
              OneIn(world_.random, 3) ? absl::Seconds(6) : absl::Milliseconds(600));
  world_.clients->PostAt(world_.loop.now() + length, [&server, incarnation = server.incarnation()] {
    if (server.incarnation() == incarnation) server.Resume();
  });
}

void ClusterFaults::CutSome() {
  ClusterNetwork& network = world_.network;
  SimRandom& random = world_.random;
  if (network.any_cut() && OneIn(random, 2)) {
    world_.Reached("healed");
    return network.HealAll();
  }
  const int a = AnyHost();
  const int b = AnyHost();
  switch (random.Below(4)) {
    case 0:
      world_.Reached("cut-one-way");
      network.Cut(a, b);
      break;
    case 1:
      world_.Reached("cut");
      network.Cut(a, b);
      network.Cut(b, a);
      break;
    case 2:
      world_.Reached("isolated");
      for (const int other : world_.hosts()) {
        if (other == a) continue;
        network.Cut(a, other);
        network.Cut(other, a);
      }
      break;
    default:
      // From the controllers alone: clients and other brokers still reach it (S-33).
      world_.Reached("cut-from-controllers");
      for (const int other : world_.hosts()) {
        if (!world_.is_controller(other) || other == a) continue;
        network.Cut(a, other);
        network.Cut(other, a);
      }
      break;
  }
  world_.clients->PostAt(
      world_.loop.now() + Between(random, absl::Milliseconds(30),
                                  OneIn(random, 3) ? absl::Seconds(8) : absl::Seconds(1)),
      [&network] { network.HealAll(); });
}

void ClusterFaults::SlowDown() {
  SimRandom& random = world_.random;
  if (OneIn(random, 2)) {
    world_.Reached("slow-link");
    return world_.network.SetSlow(AnyHost(), AnyHost(),
                                  Between(random, absl::Milliseconds(1), absl::Milliseconds(300)));
  }
  const int host = AnyHost();
  if (OneIn(random, 2)) {
    disk_delay_.erase(host);
    return;
  }
  world_.Reached("slow-disk");
  disk_delay_[host] = Between(random, absl::Milliseconds(1), absl::Milliseconds(120));
}

void ClusterFaults::Inject() {
  const ClusterOptions& options = world_.options;
  SimRandom& random = world_.random;
  const int host = AnyHost();
  switch (random.Below(16)) {
    case 0:
    case 1:
      if (!options.kills) return;
      world_.Reached("kill");
      Kill(host);
      return Restart(host);
    case 2:
    case 3: {
      if (!options.power_losses) return;
      const CrashMode mode = AnyMode(random);
      world_.Reached(absl::StrCat("power-loss-", kModeNames[static_cast<int>(mode)]));
      LosePower(host, mode);
      return Restart(host);
    }
    case 4:
      if (!options.power_losses || !OneIn(random, 2)) return;
      world_.Reached("power-loss-of-all");
      LosePowerOfAll(AnyMode(random));
      for (const int other : world_.hosts()) Restart(other);
      return;
    case 5:
    case 6:
      return ArmCrash(host);
    case 7:
      if (options.clean_stops) StopCleanly(host);
      return;
    case 8:
    case 9:
      if (options.pauses) Pause(host);
      return;
    case 10:
    case 11:
    case 12:
      if (options.cuts) CutSome();
      return;
    case 13:
      if (!options.cuts) return;
      world_.Reached("reset");
      return world_.network.Break(host, AnyHost());
    default:
      if (options.slow_disks) SlowDown();
      return;
  }
}

void ClusterFaults::Heal() {
  world_.network.HealAll();
  disk_delay_.clear();
  // One that is asked to stop will be started again by nobody.
  for (const int host : std::set<int>(stopping_)) Kill(host);
  for (const int host : world_.hosts()) {
    SimServer& server = world_.server(host);
    server.Resume();
    // What was armed and did not come must not come now.
    if (armed_.contains(host)) server.disk().SetOnCall(nullptr);
    world_.Start(host);
  }
  armed_.clear();
}

}  // namespace millrace::sim

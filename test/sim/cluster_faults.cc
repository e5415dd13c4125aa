#include "test/sim/cluster_faults.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/file_system.h"
#include "metadata/image.h"

namespace millrace::sim {
namespace {

constexpr absl::Duration kFaultPause = absl::Milliseconds(1500);
constexpr const char* kModeNames[] = {"keep", "lose", "torn"};

CrashMode AnyMode(SimRandom& random) {
  const CrashMode modes[] = {CrashMode::kKeepAll, CrashMode::kLoseAll, CrashMode::kTorn};
  return modes[random.Below(3)];
}

}  // namespace

ClusterFaults::ClusterFaults(ClusterState* world)
    : world_(*world), disks_(world), backups_(world) {}

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
    if (ended && disks_.full(host) && !world_.is_controller(host)) {
      world_.Note(absl::InternalError(absl::StrCat("VIOLATION: a full disk ends broker ", host)));
    }
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
  world_.LosePower(host, mode);
  MayLoseItsLast(host);
}

void ClusterFaults::MayLoseItsLast(int host) {
  if (world_.is_broker(host)) unreliable_.insert(host);
  if (unreliable_.size() < 2) return;
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
    world_.server(host).CrashIfDue();
    if (power) LosePower(host, CrashMode::kKeepAll);
    Restart(host);
  }
}

void ClusterFaults::StopCleanly(int host) {
  SimServer& server = world_.server(host);
  if (!server.serving() || server.paused() || !stopping_.insert(host).second) return;
  disks_.OnStopping(host);
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
  if (OneIn(random, 2)) return disks_.Hang(AnyHost());
  disks_.SlowDown(AnyHost());
}

// Two copies acknowledge, so that one may be lost; a voter's own disk only an operator may replace.
void ClusterFaults::Wipe(int host) {
  // Nor where the disk of another one is in trouble: the last two copies might go.
  if (wiped_ || disks_.troubled() || !world_.is_broker(host)) return;
  wiped_ = true;
  SimServer& server = world_.server(host);
  LosePower(host, CrashMode::kLoseAll);
  if (world_.is_controller(host) || OneIn(world_.random, 2)) {
    world_.Reached("log-dir-wiped");
    const std::string directory = AnyLogDir(world_.random);
    const absl::Status removed = RemoveTree(server.disk(), directory);
    if (removed.ok()) CHECK_OK(server.disk().SyncDirectory(ParentPath(directory)));
  } else {
    world_.Reached("disk-wiped");
    server.Wipe();
  }
  disks_.Replaced(host);
  Restart(host);
}

void ClusterFaults::BackUpOrRestore() {
  if (wiped_) return;
  if (backups_.host() == 0) return backups_.BackUp(world_.any(world_.broker_hosts()));
  const int restored = backups_.host();
  if (!backups_.IsOutdated()) {
    if (!world_.options.kills) return;
    Kill(restored);
    return Restart(restored);
  }
  // As with an empty disk: the last two copies might go.
  if (disks_.troubled()) return;
  wiped_ = true;
  LosePower(restored, CrashMode::kLoseAll);
  backups_.Restore();
  disks_.Replaced(restored);
  Restart(restored);
}

void ClusterFaults::LeaveNobodyInSync() {
  std::vector<TopicPartition> partitions;
  for (const auto& topic : world_.topics) {
    for (int i = 0; topic->unclean && i < topic->partitions; ++i) {
      partitions.push_back(topic->Partition(i));
    }
  }
  const metadata::Image* const image = world_.committed_image();
  if (partitions.empty() || image == nullptr) return;
  SimRandom& random = world_.random;
  const metadata::PartitionImage* const partition =
      image->FindPartition(partitions[random.Below(partitions.size())]);
  if (partition == nullptr || partition->isr.size() < 2) return;
  std::vector<int> others;
  for (const metadata::BrokerList& may_lead : {partition->isr, partition->elr}) {
    for (const NodeId broker : may_lead) others.push_back(broker.value());
  }
  const int first = world_.any(others);
  std::erase(others, first);
  world_.Reached("nobody-in-sync");
  Kill(first);
  const absl::Duration pause = Between(random, absl::Milliseconds(300), absl::Seconds(2));
  world_.clients->PostAt(world_.loop.now() + pause, [this, first, others] {
    if (!world_.safety_phase) return;
    for (const int host : others) TakeAway(host);
    world_.Start(first);
  });
}

void ClusterFaults::TakeAway(int host) {
  const ClusterOptions& options = world_.options;
  SimRandom& random = world_.random;
  const absl::Duration length = Between(random, absl::Seconds(1), absl::Seconds(6));
  if (options.cuts && OneIn(random, 2)) {
    // Whoever is cut off may not know yet that another one leads.
    for (int controller = 1; controller <= options.controllers; ++controller) {
      world_.network.Cut(host, controller);
      world_.network.Cut(controller, host);
    }
    world_.clients->PostAt(world_.loop.now() + length, [this] { world_.network.HealAll(); });
    return;
  }
  if (options.power_losses && OneIn(random, 2)) {
    LosePower(host, AnyMode(random));
  } else {
    Kill(host);
  }
  world_.clients->PostAt(world_.loop.now() + length, [this, host] {
    if (world_.safety_phase) world_.Start(host);
  });
}

void ClusterFaults::Inject() {
  const ClusterOptions& options = world_.options;
  SimRandom& random = world_.random;
  if (options.restores && OneIn(random, 4)) return BackUpOrRestore();
  if (options.elections && options.kills && !options.combined && OneIn(random, 8)) {
    return LeaveNobodyInSync();
  }
  const int host = AnyHost();
  switch (random.Below(22)) {
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
    case 14:
    case 15:
      if (options.slow_disks) SlowDown();
      return;
    case 16:
      if (options.wipes) Wipe(host);
      return;
    case 17:
      if (!options.clock_jumps) return;
      world_.Reached("clock-jump");
      return world_.server(host).clock().JumpWall(
          Between(random, -absl::Minutes(5), absl::Minutes(5)));
    case 18:
    case 19:
      if (options.full_disks && !wiped_) disks_.Fill(host);
      return;
    default:
      if (!options.disk_errors || wiped_) return;
      disks_.Fail(host);
      return MayLoseItsLast(host);
  }
}

void ClusterFaults::Heal() {
  world_.network.HealAll();
  disks_.GiveRoom();
  for (const int host : disks_.ailing()) Kill(host);
  disks_.Heal();
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

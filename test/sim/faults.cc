#include "test/sim/faults.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "test/sim/disk_faults.h"

namespace millrace::sim {
namespace {

constexpr absl::Duration kFaultPause = absl::Milliseconds(1200);
constexpr const char* kLogDirs[] = {"disk-a", "disk-b"};
constexpr const char* kModeNames[] = {"keep", "lose", "torn"};

CrashMode AnyMode(SimRandom& random) {
  const CrashMode modes[] = {CrashMode::kKeepAll, CrashMode::kLoseAll, CrashMode::kTorn};
  return modes[random.Below(3)];
}

std::string NameOf(CrashMode mode) { return kModeNames[static_cast<int>(mode)]; }

}  // namespace

void Faults::Schedule() {
  const absl::Duration pause = Between(world_.random, absl::Milliseconds(30), kFaultPause);
  world_.clients->PostAt(world_.loop.now() + pause, [this] {
    if (!world_.safety_phase) return;
    EnsureRunning();
    Inject();
    Schedule();
  });
}

// A process that refused to start, or whose metadata log has stopped, is replaced, as its
// supervisor would; and in time one that lost a directory.
void Faults::EnsureRunning() {
  const bool refused = world_.server.started().has_value() && !world_.server.started()->ok();
  const bool stopped = world_.server.serving() && !world_.server.node().Healthy().ok();
  if (!refused && !stopped) return;
  world_.Reached("restart-after-failure");
  ClearDiskFaults();
  world_.server.Kill();
  Restart();
}

void Faults::Restart() {
  const absl::Duration pause =
      Between(world_.random, absl::Milliseconds(1), absl::Milliseconds(200));
  world_.clients->PostAt(world_.loop.now() + pause, [this] {
    if (world_.server.running() || !world_.safety_phase) return;
    if (world_.options.bit_flips && OneIn(world_.random, 30)) FlipBits();
    ArmDuringStart();
    world_.server.Start();
    if (disk_faults_) troubled_incarnation_ = world_.server.incarnation();
  });
}

void Faults::ArmDuringStart() {
  if (storm_ == 0) return;
  --storm_;
  // Early calls are the directory's, then come logs, registration and the first appends.
  const uint64_t calls = 1 + world_.random.Below(OneIn(world_.random, 2) ? 12 : 120);
  armed_power_ = world_.options.power_losses && OneIn(world_.random, 2);
  armed_ = true;
  world_.Reached("crash-armed-at-start");
  world_.server.ArmCrash(calls,
                         armed_power_ ? std::optional(AnyMode(world_.random)) : std::nullopt);
}

void Faults::AfterEvent() {
  const bool started = world_.server.started().has_value();
  if (!world_.server.CrashIfDue()) return;
  world_.Reached(started ? "crash-in-call" : "crash-in-start");
  armed_ = false;
  stopping_ = false;
  if (armed_power_) NotePowerLoss();
  Restart();
}

bool Faults::AllIsOnDisk() const {
  return !world_.server.running() && world_.server.incarnation() == clean_incarnation_;
}

// A `replicated` topic promises the page cache only.
void Faults::NotePowerLoss() {
  if (AllIsOnDisk()) return;
  for (const auto& topic : world_.topics) {
    for (int i = 0; !topic->durable && i < topic->partitions_max; ++i) {
      world_.history.OnMayHaveLost(topic->Partition(i));
    }
  }
}

void Faults::LosePower(CrashMode mode) {
  NotePowerLoss();
  world_.server.LosePower(mode);
  armed_ = false;
  stopping_ = false;
}

void Faults::Inject() {
  switch (world_.random.Below(12)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
      return InjectCrash();
    case 5:
      if (world_.options.clean_stops) StopCleanly();
      return;
    case 6:
    case 7:
    case 8:
      return InjectDiskFault();
    case 9:
      world_.Reached("disk-healed");
      return ClearDiskFaults();
    case 10:
      if (!world_.options.clock_jumps) return;
      world_.Reached("clock-jump");
      return world_.server.clock().JumpWall(
          Between(world_.random, -absl::Hours(30), absl::Hours(30)));
    default:
      if (!world_.options.clock_jumps) return;
      world_.Reached("clock-drift");
      return world_.server.clock().SetDrift(
          static_cast<double>(Between(world_.random, -200000, 200000)));
  }
}

void Faults::InjectCrash() {
  const WorldOptions& options = world_.options;
  SimRandom& random = world_.random;
  if (OneIn(random, 3)) storm_ = 1 + static_cast<int>(random.Below(4));
  const bool power = options.power_losses && (!options.kills || OneIn(random, 2));
  if (!power && !options.kills) return;
  if (OneIn(random, 2) && world_.server.running() && !armed_) {
    // In the middle of whatever comes.
    world_.Reached("crash-armed");
    armed_ = true;
    armed_power_ = power;
    return world_.server.ArmCrash(1 + random.Below(300),
                                  power ? std::optional(AnyMode(random)) : std::nullopt);
  }
  if (power) {
    const CrashMode mode = AnyMode(random);
    world_.Reached(absl::StrCat("power-loss-", NameOf(mode)));
    if (AllIsOnDisk()) world_.Reached("power-loss-after-clean-stop");
    LosePower(mode);
  } else {
    world_.Reached("kill");
    world_.server.Kill();
    armed_ = false;
    stopping_ = false;
  }
  Restart();
}

void Faults::StopCleanly() {
  if (!world_.server.serving() || stopping_) return;
  stopping_ = true;
  world_.server.Stop([this, incarnation = world_.server.incarnation()](const absl::Status& status) {
    world_.clients->PostAt(world_.loop.now(), [this, incarnation, status] {
      if (!stopping_ || world_.server.incarnation() != incarnation || !world_.server.running()) {
        return;
      }
      stopping_ = false;
      armed_ = false;
      world_.Reached(status.ok() ? "clean-stop" : "failed-stop");
      world_.server.Kill();
      if (status.ok() && troubled_incarnation_ != incarnation) clean_incarnation_ = incarnation;
      if (AllIsOnDisk() && world_.options.power_losses && OneIn(world_.random, 2)) {
        world_.Reached("power-loss-after-clean-stop");
        LosePower(AnyMode(world_.random));
      }
      Restart();
    });
  });
}

void Faults::InjectDiskFault() {
  SimRandom& random = world_.random;
  SimFileSystem& disk = world_.server.disk();
  const uint64_t kind = random.Below(6);
  disk_faults_ = true;
  troubled_incarnation_ = world_.server.incarnation();
  if (kind < 3 && world_.options.disk_errors) {
    switch (kind) {
      case 0:
        world_.Reached("disk-error");
        return disk.FailCallAt(disk.calls() + 1 + random.Below(400), SimFault::kIoError,
                               OneIn(random, 3));
      case 1:
        world_.Reached("syncs-fail");
        return disk.FailSyncs(true);
      default:
        world_.Reached("directory-error");
        return FailDirectory(&disk, kLogDirs[random.Below(2)], SimFault::kIoError);
    }
  }
  if (kind < 3 || !world_.options.full_disks) return;
  if (kind == 3) {
    world_.Reached("directory-full");
    return FailDirectory(&disk, kLogDirs[random.Below(2)], SimFault::kNoSpace);
  }
  world_.Reached("full-disk");
  disk.SetCapacity(disk.used_bytes() + random.Below(2000000));
}

void Faults::ClearDiskFaults() {
  disk_faults_ = false;
  world_.server.disk().ClearFaults();
  world_.server.disk().FailSyncs(false);
  world_.server.disk().SetFaults(nullptr);
  world_.server.disk().SetCapacity(kPlentyOfRoom);
}

// A bit of one partition's files. Its directory tells whose it is.
void Faults::FlipBits() {
  SimFileSystem& disk = world_.server.disk();
  ClearDiskFaults();
  std::vector<std::pair<std::string, TopicPartition>> files;
  for (const auto& topic : world_.topics) {
    if (!topic->live()) continue;
    for (const char* log_dir : kLogDirs) {
      for (int i = 0; i < topic->partitions; ++i) {
        const std::string directory = absl::StrCat(log_dir, "/", topic->name, "-", i);
        const auto entries = disk.ListDirectory(directory);
        if (!entries.ok()) continue;
        for (const DirectoryEntry& entry : *entries) {
          if (!entry.is_directory) {
            files.emplace_back(absl::StrCat(directory, "/", entry.name), topic->Partition(i));
          }
        }
      }
    }
  }
  if (files.empty()) return;
  const auto& [path, partition] = files[world_.random.Below(files.size())];
  const auto file = disk.Open(path, OpenMode::kRead);
  if (!file.ok()) return;
  const auto size = (*file)->Size();
  if (!size.ok() || *size == 0) return;
  disk.FlipBit(path, world_.random.Below(*size * 8));
  world_.Reached("bit-flip");
  world_.history.OnDamaged(partition);
}

void Faults::Heal() {
  ClearDiskFaults();
  storm_ = 0;
  armed_ = false;
  stopping_ = false;
}

}  // namespace millrace::sim

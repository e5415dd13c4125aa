#include "test/sim/cluster_disks.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "test/sim/disk_faults.h"

namespace millrace::sim {
namespace {

// What a process tells of its log directories, all together.
double GaugeOf(SimServer& server, const std::string& name) {
  double sum = 0;
  for (const MetricSample& sample : server.metrics().Collect()) {
    if (sample.name == name) sum += sample.value;
  }
  return sum;
}

bool IsSync(const SimCall& call) {
  return call.kind == SimCall::Kind::kSync || call.kind == SimCall::Kind::kSyncDirectory;
}

}  // namespace

std::string AnyLogDir(SimRandom& random) { return OneIn(random, 2) ? "disk-a" : "disk-b"; }

ClusterDisks::ClusterDisks(ClusterState* world) : world_(*world), fast_(OneIn(world_.random, 4)) {
  for (const int host : world_.hosts()) {
    world_.server(host).SetLatency(
        [this, host,
         random = world_.random.Fork(absl::StrCat("disk-", host))](const SimCall& call) mutable {
          const absl::Duration time = TimeOf(host, call, &random);
          if (time > absl::ZeroDuration()) world_.loop.Delay(time);
        });
  }
}

absl::Duration ClusterDisks::TimeOf(int host, const SimCall& call, SimRandom* random) {
  const auto slow = slow_.find(host);
  if (fast_ && slow == slow_.end()) return absl::ZeroDuration();
  if (!IsSync(call)) return Between(*random, absl::Microseconds(1), absl::Microseconds(9));
  absl::Duration time = Between(*random, absl::Microseconds(1), absl::Microseconds(600));
  if (slow == slow_.end()) return time;
  time += slow->second.of_syncs;
  if (!slow->second.hung.empty() && IsBelow(call.path, slow->second.hung)) {
    // All calls of one task happen at one moment: no more of them hang than the hang is long.
    const absl::Duration left = slow->second.hung_until - world_.loop.task_now();
    time += std::clamp(left, absl::ZeroDuration(), slow->second.of_hung);
  }
  return time;
}

void ClusterDisks::SlowDown(int host) {
  SimRandom& random = world_.random;
  if (OneIn(random, 2)) {
    slow_.erase(host);
    return;
  }
  world_.Reached("slow-disk");
  slow_[host].of_syncs = Between(random, absl::Milliseconds(1), absl::Milliseconds(120));
}

void ClusterDisks::Hang(int host) {
  if (!world_.is_broker(host) || slow_.contains(host)) return;
  world_.Reached("hung-disk");
  SimRandom& random = world_.random;
  Slowness& slow = slow_[host];
  slow.hung = AnyLogDir(random);
  slow.of_hung = Between(random, absl::Milliseconds(200), absl::Seconds(3));
  slow.hung_until = world_.loop.now() + Between(random, absl::Milliseconds(500), absl::Seconds(6));
  world_.clients->PostAt(slow.hung_until, [this, host] { slow_.erase(host); });
}

void ClusterDisks::Fill(int host) {
  if (!world_.is_broker(host) || troubled()) return;
  SimRandom& random = world_.random;
  SimServer& server = world_.server(host);
  const Full full{.number = ++fills_, .incarnation = server.serving() ? server.incarnation() : 0};
  full_[host] = full;
  if (OneIn(random, 3)) {
    world_.Reached("full-directory");
    FailDirectory(&server.disk(), AnyLogDir(random), SimFault::kNoSpace);
  } else {
    world_.Reached("full-disk");
    server.disk().SetCapacity(server.disk().used_bytes() + random.Below(400'000));
  }
  const absl::Duration length =
      Between(random, absl::Milliseconds(100), absl::Seconds(OneIn(random, 3) ? 8 : 2));
  world_.clients->PostAt(world_.loop.now() + length, [this, host, number = full.number] {
    if (full_.contains(host) && full_[host].number == number) GiveRoom(host);
  });
}

void ClusterDisks::GiveRoom(int host) {
  const Full full = full_.extract(host).mapped();
  if (world_.server(host).running()) JudgeAfterRoom(host, full);
  SimFileSystem& disk = world_.server(host).disk();
  disk.SetCapacity(kPlentyOfRoom);
  disk.SetFaults(nullptr);
}

// A process that was there before keeps all its directories, full or not.
void ClusterDisks::JudgeAfterRoom(int host, const Full& full) {
  SimServer& server = world_.server(host);
  if (GaugeOf(server, "millrace_log_dir_full") > 0) {
    world_.Reached("log-dir-full");
    if (GaugeOf(server, "millrace_broker_replicas") > GaugeOf(server, "millrace_broker_leaders")) {
      world_.Reached("log-dir-full-of-a-follower");
    }
  }
  // One that found no room when it started may be without a directory until the next start.
  if (full.incarnation != server.incarnation()) {
    world_.Reached("started-when-full");
    ailing_.insert(host);
  } else if (GaugeOf(server, "millrace_log_dir_offline") > 0) {
    world_.Note(absl::InternalError(
        absl::StrCat("VIOLATION: node ", host, " took a directory offline for want of room")));
  }
}

void ClusterDisks::Fail(int host) {
  if (!world_.is_broker(host) || !full_.empty() || ailing_.contains(host)) return;
  ailing_.insert(host);
  SimRandom& random = world_.random;
  SimFileSystem& disk = world_.server(host).disk();
  const std::string directory = AnyLogDir(random);
  switch (random.Below(4)) {
    case 0:
      world_.Reached("call-error");
      return FailOneCall(&disk, directory, random.Below(80));
    case 1:
      world_.Reached("read-error");
      return FailReads(&disk, directory);
    default:
      world_.Reached("directory-error");
      return FailDirectory(&disk, directory, SimFault::kIoError);
  }
}

void ClusterDisks::OnStopping(int host) {
  const auto full = full_.find(host);
  if (full != full_.end()) full->second.incarnation = 0;
}

void ClusterDisks::GiveRoom() {
  while (!full_.empty()) GiveRoom(full_.begin()->first);
}

void ClusterDisks::Heal() {
  slow_.clear();
  for (const int host : ailing_) world_.server(host).disk().SetFaults(nullptr);
  ailing_.clear();
}

}  // namespace millrace::sim

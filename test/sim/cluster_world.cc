#include "test/sim/cluster_world.h"

#include <algorithm>
#include <map>
#include <string>

#include "base/status.h"

namespace millrace::sim {
namespace {

constexpr absl::Duration kClientPause = absl::Milliseconds(12);
// The longest that a call of a client takes, and a little.
constexpr absl::Duration kAnswersArrive = absl::Seconds(5);
// Marks of what was synced are on the disk.
constexpr absl::Duration kSealed = absl::Milliseconds(200);
constexpr absl::Duration kLookEvery = absl::Milliseconds(500);

}  // namespace

ClusterOptions ClusterOptionsOf(uint64_t seed) {
  SimRandom random = SimRandom(seed).Fork("options");
  ClusterOptions options{.seed = seed};
  options.combined = OneIn(random, 4);
  options.brokers = 3 + static_cast<int>(random.Below(3));
  options.duration = Between(random, absl::Seconds(4), absl::Seconds(20));
  // With a few kinds at a time, more comes of each.
  options.kills = !OneIn(random, 4);
  options.power_losses = !OneIn(random, 3);
  options.clean_stops = !OneIn(random, 3);
  options.pauses = !OneIn(random, 3);
  options.cuts = !OneIn(random, 3);
  options.clock_jumps = OneIn(random, 2);
  options.slow_disks = OneIn(random, 2);
  options.reassignments = OneIn(random, 2);
  options.disk_errors = OneIn(random, 3);
  options.wipes = OneIn(random, 3);
  options.full_disks = OneIn(random, 3);
  options.log_damage = OneIn(random, 3);
  options.racks = !OneIn(random, 4);
  options.elections = OneIn(random, 3);
  options.forwarding = !OneIn(random, 4);
  options.decommissions = OneIn(random, 3);
  options.restores = OneIn(random, 2);
  options.deletions = OneIn(random, 2);
  options.fetch_streams = OneIn(random, 2);
  return options;
}

ClusterWorld::ClusterWorld(const ClusterOptions& options)
    : state_(options),
      admin_(&state_),
      calls_(&state_),
      clients_(&state_, &calls_),
      streams_(&state_, &calls_),
      deletions_(&state_, &calls_),
      offsets_(&state_, &calls_, &deletions_),
      readers_(&state_, &calls_, &offsets_, &deletions_),
      consumers_(&state_, &calls_, &offsets_, &deletions_),
      faults_(&state_),
      damage_(&state_),
      elections_(&state_),
      decommission_(&state_),
      verdict_(&state_, &admin_, &decommission_, &clients_, &streams_, &faults_),
      committed_logs_(&state_) {}

void ClusterWorld::ScheduleClients() {
  if (!state_.safety_phase) return;
  const absl::Duration pause = Between(state_.random, absl::ZeroDuration(), kClientPause * 2);
  state_.clients->PostAt(state_.loop.now() + pause, [this] {
    if (!state_.safety_phase) return;
    ActAsSomeClient();
    ScheduleClients();
  });
}

void ClusterWorld::ActAsSomeClient() {
  const uint64_t dice = state_.random.Below(100);
  if (state_.topics.empty() || dice < 2) return admin_.CreateTopic();
  if (dice < 42) return clients_.ProduceIdempotent();
  if (dice < 50) return streams_.Produce();
  if (dice < 68) return clients_.Produce();
  if (dice < 74) return clients_.Describe();
  if (dice < 77 && state_.options.reassignments) return admin_.Reassign();
  if (dice == 77 && OneIn(state_.random, 4)) return admin_.AddPartition();
  if (dice == 78 && OneIn(state_.random, 2)) return admin_.AlterMinIsr();
  if (dice == 79 && OneIn(state_.random, 8)) return admin_.DeleteTopic();
  if (dice == 80) return admin_.AlterDurability();
  if ((dice == 81 || dice == 82) && state_.options.elections) return admin_.Elect();
  if ((dice == 83 || dice == 84) && state_.options.decommissions) return decommission_.Act();
  if (dice == 85 && state_.options.deletions) return deletions_.Delete();
  if (dice >= 95 && state_.options.fetch_streams) return consumers_.Act();
  if (dice >= 89) return readers_.Read();
  if (dice >= 87) return offsets_.Ask();
  clients_.Fetch();
}

absl::Status ClusterWorld::Run() {
  state_.loop.SetAfterEvent([this] {
    faults_.AfterEvent();
    elections_.AfterEvent();
  });
  faults_.StartAll();
  ScheduleClients();
  faults_.Schedule();
  const MonotonicTime end = state_.loop.now() + state_.options.duration;
  while (state_.loop.now() < end && state_.violation.ok()) {
    state_.loop.RunUntil(std::min(end, state_.loop.now() + kLookEvery));
    committed_logs_.Look();
  }
  state_.safety_phase = false;
  if (state_.violation.ok()) state_.Note(Judge());
  if (!state_.violation.ok()) state_.report.logs = verdict_.DescribeLogs();
  // They count what they did.
  for (const int host : state_.hosts()) state_.Kill(host);
  if (state_.violation.ok()) state_.Note(elections_.LossesAreAccountedFor());
  state_.report.trace_hash = state_.loop.trace_hash();
  state_.report.events = state_.loop.events_run();
  return state_.violation;
}

absl::Status ClusterWorld::Judge() {
  faults_.Heal();
  // Answers that are on their way belong to the history.
  state_.loop.RunFor(kAnswersArrive);
  RETURN_IF_ERROR(verdict_.AwaitHealth());
  RETURN_IF_ERROR(verdict_.ReadEverything());
  RETURN_IF_ERROR(readers_.ReadNearby());
  if (state_.options.fetch_streams) RETURN_IF_ERROR(consumers_.FollowAll());
  if (state_.options.log_damage) {
    damage_.Inflict();
    RETURN_IF_ERROR(verdict_.SurviveDamage());
  }
  RETURN_IF_ERROR(verdict_.WriteEverywhere());
  if (state_.options.fetch_streams) RETURN_IF_ERROR(consumers_.AwaitFollowers());
  if (decommission_.BringBack()) RETURN_IF_ERROR(verdict_.AwaitHealth());
  if (!state_.options.power_losses || !OneIn(state_.random, 3)) return state_.violation;
  if (state_.options.log_damage) {
    // All are in sync, so that any one may be damaged. What they have is sealed, or what was
    // written last is not (S-08).
    RETURN_IF_ERROR(verdict_.AwaitHealth());
    if (OneIn(state_.random, 2)) {
      state_.loop.RunFor(kSealed);
    } else {
      RETURN_IF_ERROR(verdict_.WriteEverywhere());
    }
  }
  // What has been read must be as durable as what was acknowledged.
  state_.Reached("read-after-last-power-loss");
  if (state_.options.log_damage) damage_.InflictAtRest();
  faults_.LosePowerOfAll(CrashMode::kLoseAll);
  faults_.Heal();
  RETURN_IF_ERROR(verdict_.AwaitHealth());
  if (state_.options.log_damage) return verdict_.SurviveDamage();
  RETURN_IF_ERROR(verdict_.ReadEverything());
  return state_.violation;
}

}  // namespace millrace::sim

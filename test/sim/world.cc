#include "test/sim/world.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace millrace::sim {
namespace {

constexpr absl::Duration kClientPause = absl::Milliseconds(3);
constexpr absl::Duration kStopBound = absl::Seconds(10);

// Short checks, so that rolls, retention and checkpoints happen within seconds.
ConfigValues ServerConfig(uint64_t seed) {
  SimRandom random = SimRandom(seed).Fork("config");
  ConfigValues config = {{"log.dirs", "disk-a,disk-b"},
                         {"log.retention.check.interval.ms", "700"},
                         {"log.flush.offset.checkpoint.interval.ms", "900"},
                         {"log.dir.reserve.bytes", "65536"},
                         {"http.listener", ""}};
  config["num.shards"] = absl::StrCat(1 + random.Below(3));
  return config;
}

}  // namespace

World::World(const WorldOptions& options)
    : state_(options, ServerConfig(options.seed)),
      records_(&state_),
      admin_(&state_),
      faults_(&state_),
      verdict_(&state_, &records_, &admin_) {
  state_.server.SetOnDown([this] { records_.OnServerDown(); });
  // In some worlds the disk is fast; in the others calls overlap with what happens elsewhere.
  if (OneIn(state_.random, 3)) return;
  state_.server.SetLatency([this,
                            random = state_.random.Fork("disk")](const SimCall& call) mutable {
    const bool syncs =
        call.kind == SimCall::Kind::kSync || call.kind == SimCall::Kind::kSyncDirectory;
    state_.loop.Delay(Between(random, absl::Microseconds(1), absl::Microseconds(syncs ? 900 : 9)));
  });
}

World::~World() {
  // Answers on their way refer to the world.
  state_.clients->Shutdown();
  if (state_.server.running()) state_.server.Kill();
}

void World::ScheduleClients() {
  if (!state_.safety_phase) return;
  const absl::Duration pause = Between(state_.random, absl::ZeroDuration(), kClientPause * 2);
  state_.clients->PostAt(state_.loop.now() + pause, [this] {
    if (state_.server.serving()) ActAsSomeClient();
    ScheduleClients();
  });
}

void World::ActAsSomeClient() {
  const uint64_t dice = state_.random.Below(1000);
  if (state_.topics.size() < 2 || dice < 10) return admin_.CreateTopic();
  if (dice < 12) return admin_.DeleteTopic();
  if (dice < 15) return admin_.AddPartitions();
  if (dice < 20) return admin_.AlterConfig();
  if (dice < 40) {
    return admin_.CheckTopic(state_.topics[state_.random.Below(state_.topics.size())], nullptr);
  }
  if (dice < 48) return records_.DeleteRecords();
  if (dice < 250) return records_.Produce();
  if (dice < 720) return records_.ProduceOnStream();
  if (dice < 850) return records_.Fetch();
  records_.FetchOnStream();
}

absl::Status World::Run() {
  state_.loop.SetAfterEvent([this] { faults_.AfterEvent(); });
  state_.server.Start();
  ScheduleClients();
  faults_.Schedule();
  const MonotonicTime end = state_.loop.now() + state_.options.duration;
  while (state_.loop.now() < end && state_.violation.ok()) {
    state_.loop.RunUntil(std::min(end, state_.loop.now() + absl::Milliseconds(100)));
  }
  state_.safety_phase = false;
  if (state_.violation.ok()) state_.Note(Judge());
  state_.report.trace_hash = state_.loop.trace_hash();
  state_.report.events = state_.loop.events_run();
  return state_.violation;
}

absl::Status World::Judge() {
  // Answers that are on their way belong to the history.
  state_.loop.RunFor(absl::Seconds(1));
  faults_.Heal();
  if (state_.options.clean_stops && OneIn(state_.random, 3)) {
    faults_.StopCleanly();
    const bool stops = state_.server.serving();
    if (stops && !state_.loop.RunUntil([this] { return !state_.server.running(); }, kStopBound)) {
      return absl::InternalError("LIVENESS: the server does not stop");
    }
  }
  if (state_.options.power_losses && OneIn(state_.random, 2)) {
    faults_.LosePower(CrashMode::kLoseAll);
  } else if (state_.server.running()) {
    state_.server.Kill();
  }
  RETURN_IF_ERROR(verdict_.ComeBack());
  RETURN_IF_ERROR(verdict_.ReadEverything());
  RETURN_IF_ERROR(verdict_.WriteEverywhere());
  if (!state_.options.power_losses || !OneIn(state_.random, 3)) return state_.violation;
  // What has been read must be as durable as what was acknowledged.
  state_.Reached("read-after-last-power-loss");
  faults_.LosePower(CrashMode::kLoseAll);
  RETURN_IF_ERROR(verdict_.ComeBack());
  RETURN_IF_ERROR(verdict_.ReadEverything());
  return state_.violation;
}

}  // namespace millrace::sim

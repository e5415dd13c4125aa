#include "test/sim/cluster_decommission.h"

#include "absl/strings/str_cat.h"
#include "base/error_code.h"
#include "base/status.h"
#include "controller/commands.h"
#include "metadata/image.h"
#include "millrace/v1/admin_service.pb.h"
#include "test/sim/cluster_commands.h"

namespace millrace::sim {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(2);
constexpr absl::Duration kDeletionBound = absl::Seconds(20);
constexpr absl::Duration kPoll = absl::Milliseconds(100);

}  // namespace

void ClusterDecommission::Act() {
  if (asking_) return;
  SimRandom& random = world_.random;
  switch (stage_) {
    case Stage::kNone:
      return Begin();
    case Stage::kCordoned:
      return OneIn(random, 2) ? Cordon(false) : Decommission();
    case Stage::kDraining:
      return OneIn(random, 12) ? Cordon(false) : Decommission();
    case Stage::kDrained:
      if (OneIn(random, 4)) return Cordon(false);
      // One that is a controller too has to stay; and that it is drained must stay so.
      if (world_.is_controller(broker_) || OneIn(random, 3)) return Decommission();
      world_.Reached("drained-and-stopped");
      stage_ = Stage::kStopped;
      world_.away.insert(broker_);
      return world_.Kill(broker_);
    case Stage::kStopped:
      return Unregister();
    case Stage::kUnregistered:
      if (OneIn(random, 3)) BringBack();
      return;
    case Stage::kLifting:
      return Cordon(false);
  }
}

void ClusterDecommission::GoOn() {
  if (asking_) return;
  if (stage_ == Stage::kCordoned || stage_ == Stage::kLifting) return Cordon(false);
  if (stage_ == Stage::kDraining) return Decommission();
}

std::string ClusterDecommission::WhatIsNotDone() const {
  switch (stage_) {
    case Stage::kCordoned:
    case Stage::kLifting:
      return absl::StrCat("the cordon of broker ", broker_, " is not lifted");
    case Stage::kDraining:
      return absl::StrCat("broker ", broker_, " is not drained");
    default:
      return "";
  }
}

void ClusterDecommission::Begin() {
  broker_ = world_.any(world_.broker_hosts());
  if (OneIn(world_.random, 3)) return Cordon(true);
  world_.Reached("decommission");
  Decommission();
}

void ClusterDecommission::Cordon(bool cordoned) {
  stage_ = cordoned ? Stage::kCordoned : Stage::kLifting;
  asking_ = true;
  v1::CordonBrokerRequest request;
  request.set_broker_id(broker_);
  request.set_cordoned(cordoned);
  AskController<v1::CordonBrokerResponse>(
      &world_, world_.LikelyController(), kTimeout, request,
      [this, cordoned](const absl::StatusOr<v1::CordonBrokerResponse>& answer) {
        asking_ = false;
        // It may not have registered yet.
        const bool unknown =
            !answer.ok() && CodeOf(answer.status()) == ErrorCode::kBrokerIdNotRegistered;
        if (unknown) stage_ = Stage::kNone;
        if (!answer.ok()) return world_.Reached("cordon-unanswered");
        world_.Reached(cordoned ? "cordoned" : "cordon-lifted");
        if (!cordoned) stage_ = Stage::kNone;
      });
}

void ClusterDecommission::Decommission() {
  if (stage_ != Stage::kDrained) stage_ = Stage::kDraining;
  asking_ = true;
  controller::DecommissionBrokerCommand command;
  command.request.set_broker_id(broker_);
  command.placement_seed = world_.random.Next();
  if (OneIn(world_.random, 3)) {
    command.request.set_throttle_bytes_per_s(20'000 +
                                             static_cast<int64_t>(world_.random.Below(200'000)));
  }
  AskController<v1::DecommissionBrokerResponse>(
      &world_, world_.LikelyController(), kTimeout, command,
      [this](const absl::StatusOr<v1::DecommissionBrokerResponse>& answer) {
        asking_ = false;
        if (answer.ok()) return OnAnswer(*answer);
        const ErrorCode code = CodeOf(answer.status());
        world_.Reached(absl::StrCat("decommission-", ErrorCodeName(code)));
        if (code == ErrorCode::kBrokerIdNotRegistered) stage_ = Stage::kNone;
        // An earlier command, without an answer, may have cordoned it.
        if (code == ErrorCode::kInvalidReplicationFactor) stage_ = Stage::kLifting;
      });
}

void ClusterDecommission::OnAnswer(const v1::DecommissionBrokerResponse& response) {
  if (stage_ == Stage::kDrained && response.replicas() > 0) {
    return world_.Note(absl::InternalError(absl::StrCat("VIOLATION: broker ", broker_,
                                                        " was said to be drained, and holds ",
                                                        response.replicas(), " replicas")));
  }
  if (response.replicas() > 0) {
    if (response.started_size() > 0) world_.Reached("decommission-moves");
    return;
  }
  world_.Reached(stage_ == Stage::kDrained ? "still-drained" : "drained");
  stage_ = Stage::kDrained;
  if (const int left = ReplicasInMetadata(); left > 0) {
    world_.Note(absl::InternalError(absl::StrCat("VIOLATION: broker ", broker_,
                                                 " is said to be drained, and the metadata has ",
                                                 left, " replicas on it")));
  }
}

void ClusterDecommission::Unregister() {
  asking_ = true;
  v1::UnregisterBrokerRequest request;
  request.set_broker_id(broker_);
  AskController<v1::UnregisterBrokerResponse>(
      &world_, world_.LikelyController(), kTimeout, request,
      [this](const absl::StatusOr<v1::UnregisterBrokerResponse>& answer) {
        asking_ = false;
        const ErrorCode code = answer.ok() ? ErrorCode::kNone : CodeOf(answer.status());
        // The answer of an earlier one may have been lost.
        if (code != ErrorCode::kNone && code != ErrorCode::kBrokerIdNotRegistered) {
          return world_.Reached(absl::StrCat("unregister-", ErrorCodeName(code)));
        }
        world_.Reached("unregistered");
        stage_ = Stage::kUnregistered;
      });
}

bool ClusterDecommission::BringBack() {
  if (!world_.away.contains(broker_)) return false;
  world_.Reached(stage_ == Stage::kUnregistered ? "back-after-unregistering" : "back-as-it-was");
  // One that is not known any more registers as a new one, without a cordon.
  stage_ = stage_ == Stage::kUnregistered ? Stage::kNone : Stage::kDrained;
  world_.away.erase(broker_);
  world_.Start(broker_);
  return true;
}

int ClusterDecommission::ReplicasInMetadata() {
  const metadata::Image* const image = world_.committed_image();
  if (image == nullptr) return 0;
  int replicas = 0;
  image->ForEachTopic([&](const metadata::TopicImage& topic) {
    topic.ForEachPartition([&](PartitionIndex, const metadata::PartitionImage& partition) {
      if (partition.IsReplica(NodeId(broker_))) ++replicas;
    });
  });
  return replicas;
}

absl::Status ClusterDecommission::Judge() {
  const bool drained = stage_ == Stage::kDrained || stage_ == Stage::kStopped;
  if (!drained && stage_ != Stage::kUnregistered) return absl::OkStatus();
  if (const int left = ReplicasInMetadata(); left > 0) {
    return absl::InternalError(absl::StrCat("VIOLATION: broker ", broker_,
                                            " was drained, and the metadata has ", left,
                                            " replicas on it"));
  }
  world_.Reached(stage_ == Stage::kUnregistered ? "unregistered-at-the-end" : "drained-at-the-end");
  // What it had may take a moment to go from its disks.
  const MonotonicTime end = world_.loop.now() + kDeletionBound;
  for (const auto& topic : world_.topics) {
    for (int i = 0; i < topic->partitions; ++i) {
      while (world_.ReplicaOn(broker_, topic->Partition(i))) {
        if (world_.loop.now() > end) {
          return absl::InternalError(absl::StrCat("VIOLATION: broker ", broker_,
                                                  " was drained, and has ",
                                                  world_.NameOf(topic->Partition(i)), " still"));
        }
        world_.loop.RunFor(kPoll);
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace millrace::sim

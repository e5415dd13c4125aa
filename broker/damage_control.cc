#include "broker/damage_control.h"

#include <algorithm>
#include <utility>

#include "metadata/broker_config.h"

namespace millrace::broker {

DamageControl::DamageControl(Deps deps) : deps_(std::move(deps)) {
  for (const std::shared_ptr<Shard>& shard : deps_.shards) {
    const std::weak_ptr<Shard> weak = shard;
    auto queue = std::make_shared<RepairQueue>(
        shard, deps_.metrics,
        [weak, mender = deps_.mender](const TopicPartition& topic_partition, Offset at,
                                      absl::AnyInvocable<void(const MendOutcome&) &&> done) {
          if (const std::shared_ptr<Shard> self = weak.lock()) {
            MendSegment(self, mender, topic_partition, at, std::move(done));
          }
        });
    queues_.push_back(queue);
    scrubbers_.push_back(std::make_shared<Scrubber>(shard, deps_.metrics));
    shard->executor()->Post([shard, queue = std::weak_ptr<RepairQueue>(queue)] {
      shard->SetOnDamage(
          [queue](const TopicPartition& topic_partition, Offset at, const absl::Status& why) {
            if (const std::shared_ptr<RepairQueue> self = queue.lock()) {
              self->Add(topic_partition, at, why);
            }
          });
    });
  }
}

void DamageControl::OnMetadata(const metadata::Update& update) {
  if (paced_ && !metadata::MayChangeBrokerConfig(*update.delta, deps_.mender.self)) return;
  paced_ = true;
  SetPace(*update.image);
}

void DamageControl::SetPace(const metadata::Image& image) {
  const metadata::BrokerConfig config =
      metadata::BrokerConfigOf(image, deps_.mender.self, *deps_.static_config);
  ScrubPace pace;
  pace.interval = absl::Milliseconds(std::max<int64_t>(config.log_scrub_interval_ms, 0));
  // Partitions are spread evenly, as far as their number goes.
  pace.bytes_per_second = std::max<int64_t>(
      config.log_scrub_max_bytes_per_second / static_cast<int64_t>(deps_.shards.size()), 1);
  for (size_t i = 0; i < deps_.shards.size(); ++i) {
    deps_.shards[i]->executor()->Post([scrubber = std::weak_ptr<Scrubber>(scrubbers_[i]), pace] {
      if (const std::shared_ptr<Scrubber> self = scrubber.lock()) self->SetPace(pace);
    });
  }
}

}  // namespace millrace::broker

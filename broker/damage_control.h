// DamageControl: finds damage in the logs of a broker and has it repaired: a Scrubber and a
// RepairQueue for each shard, at the pace that the configs in force ask for.
//
// Thread: `home`; what it makes belongs to the shards.
#ifndef BROKER_DAMAGE_CONTROL_H_
#define BROKER_DAMAGE_CONTROL_H_

#include <memory>
#include <vector>

#include "base/config.h"
#include "base/counters.h"
#include "broker/repair_queue.h"
#include "broker/scrubber.h"
#include "broker/segment_mender.h"
#include "broker/shard.h"
#include "metadata/feed.h"

namespace millrace::broker {

class DamageControl {
 public:
  struct Deps {
    MenderDeps mender;
    std::vector<std::shared_ptr<Shard>> shards;
    MetricRegistry* metrics = nullptr;  // May be null.
    // The broker's own file; outlives this.
    const ConfigValues* static_config = nullptr;
  };
  explicit DamageControl(Deps deps);

  void OnMetadata(const metadata::Update& update);

 private:
  void SetPace(const metadata::Image& image);

  const Deps deps_;
  bool paced_ = false;
  // By shard.
  std::vector<std::shared_ptr<RepairQueue>> queues_;
  std::vector<std::shared_ptr<Scrubber>> scrubbers_;
};

}  // namespace millrace::broker

#endif  // BROKER_DAMAGE_CONTROL_H_

// State: what the controller's decisions see: the metadata image, and what only a controller needs.
//
// Thread: any (a value; copies are cheap).
#ifndef CONTROLLER_STATE_H_
#define CONTROLLER_STATE_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "base/config.h"
#include "base/ids.h"
#include "metadata/image.h"

namespace millrace::controller {

// What this node's own configuration says, fixed while it runs.
struct Settings {
  NodeId node_id = kNoNode;
  // The node's file, flags and environment, as text.
  ConfigValues static_values;
  // The node's own keys beyond metadata::BrokerMetadataKeys(), for DescribeConfigs.
  std::vector<ConfigKey> node_keys;
};

struct State {
  metadata::Image image;
  // Never null.
  std::shared_ptr<const Settings> settings = std::make_shared<const Settings>();
  // Elections without proof that all acknowledged records are there (S-32), since this process
  // started to apply; for the metrics.
  int64_t recovering_elections = 0;
};

}  // namespace millrace::controller

#endif  // CONTROLLER_STATE_H_

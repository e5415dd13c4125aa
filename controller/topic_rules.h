// What a topic's configs say to the controller's own decisions.
//
// Thread: any (pure functions).
#ifndef CONTROLLER_TOPIC_RULES_H_
#define CONTROLLER_TOPIC_RULES_H_

#include <string>

#include "absl/strings/string_view.h"
#include "base/ids.h"
#include "controller/leader_election.h"
#include "controller/state.h"
#include "metadata/topic_config.h"

namespace millrace::controller {

struct TopicRules {
  int min_insync_replicas = 1;
  bool unclean_election = false;
  // An acknowledgement means the disk, as the topic is configured.
  bool durable = true;

  // At run time only as many as are assigned can be asked for (S-16).
  ElectionRules ForPartition(const metadata::PartitionImage& partition) const;
  // All that the partition ever acknowledged was on the disk, so that a crash alone makes no
  // replica suspect (S-03). Not yet while the topic's durability is being raised (S-07).
  bool IsDurable(const metadata::PartitionImage& partition) const;
};

TopicRules TopicRulesOf(const State& state, TopicId topic);

// One topic config as it is in force on this controller.
metadata::ResolvedConfig ResolveFor(const State& state, TopicId topic, absl::string_view key);
// The same for a topic that sets nothing: what a new one inherits.
std::string InheritedTopicConfig(const State& state, absl::string_view key);

}  // namespace millrace::controller

#endif  // CONTROLLER_TOPIC_RULES_H_

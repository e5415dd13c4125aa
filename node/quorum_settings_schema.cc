// The declaration of the quorum's keys: name, default, range, meaning.
#include "node/quorum_settings_schema.h"

#include <limits>

#include "metadata/image.h"

namespace millrace::node {
namespace {

constexpr int64_t kMaxInt = std::numeric_limits<int32_t>::max();
constexpr int64_t kMaxLong = std::numeric_limits<int64_t>::max();
// raft::WalOptions: the largest entry and a segment's start.
constexpr int64_t kSegmentBytesMin = (8 << 20) + (68 << 10);

}  // namespace

void DeclareQuorum(ConfigSchema<NodeSettings>* schema) {
  (*schema)
      .String(
          &NodeSettings::controller_quorum_voters,
          {.name = "controller.quorum.voters",
           .doc = "First voters of the quorum, id@host:port separated by commas; the same for "
                  "each of them. Empty: this process alone. Once the cluster is founded it only "
                  "serves to find the others."})
      .Bool(&NodeSettings::controller_quorum_auto_join_enable,
            {.name = "controller.quorum.auto.join.enable",
             .default_value = "false",
             .doc = "Whether a controller that was a voter and lost its metadata directory asks "
                    "to vote again on the new, empty one, in the place of the lost. One whose id "
                    "is no voter's is added with `millrace quorum add`."})
      .Int(
          &NodeSettings::controller_quorum_auto_join_wait_ms,
          {.name = "controller.quorum.auto.join.wait.ms",
           .default_value = "600000",
           .doc = "How long the leader must have heard nothing of a lost directory, with all other "
                  "voters well, before it puts the one that asks in its place.",
           .min = 1000,
           .max = kMaxInt})
      .Int(
          &NodeSettings::initial_feature_level,
          {.name = "initial.feature.level",
           .default_value = "0",
           .doc = "Feature level that a new cluster begins at, for one that older programs are to "
                  "join; 0: the highest that this program knows. `millrace cluster upgrade` raises "
                  "it later.",
           .min = 0,
           .max = metadata::kFeatureLevelMax})
      .Int(&NodeSettings::controller_quorum_heartbeat_interval_ms,
           {.name = "controller.quorum.heartbeat.interval.ms",
            .default_value = "300",
            .doc = "How often the leader of the quorum lets the others hear of it; at most a third "
                   "of controller.quorum.election.timeout.ms.",
            .min = 1,
            .max = kMaxInt})
      .Int(&NodeSettings::controller_quorum_election_timeout_ms,
           {.name = "controller.quorum.election.timeout.ms",
            .default_value = "900",
            .doc = "Silence of the leader after which a voter asks whether it may lead; each time "
                   "drawn between this and 1.375 times as much.",
            .min = 100,
            .max = kMaxInt})
      .Int(&NodeSettings::metadata_log_segment_bytes,
           {.name = "metadata.log.segment.bytes",
            .default_value = "16777216",
            .doc = "Size of a segment of the metadata log, which is preallocated; a multiple of "
                   "4096.",
            .min = kSegmentBytesMin,
            .max = 1 << 30})
      .Int(&NodeSettings::metadata_log_max_record_bytes_between_snapshots,
           {.name = "metadata.log.max.record.bytes.between.snapshots",
            .default_value = "20971520",
            .doc = "A snapshot of the metadata is written after this many bytes of its log; after "
                   "64 MiB in any case.",
            .min = 1,
            .max = kMaxLong})
      .Int(&NodeSettings::metadata_log_max_snapshot_interval_ms,
           {.name = "metadata.log.max.snapshot.interval.ms",
            .default_value = "3600000",
            .doc = "A snapshot of the metadata is written this long after the last one if anything "
                   "changed; 0: never for its age.",
            .min = 0,
            .max = kMaxLong});
}

}  // namespace millrace::node

#include "broker/replica_messages.h"

namespace millrace::broker {

BrokerStandings StandingsOf(const metadata::Image& image,
                            const metadata::PartitionImage& partition) {
  BrokerStandings standings;
  for (const metadata::ReplicaImage& replica : partition.replicas) {
    BrokerStanding& standing = standings.emplace_back();
    standing.broker = replica.broker;
    const metadata::BrokerImage* broker = image.FindBroker(replica.broker);
    if (broker == nullptr) continue;
    standing.epoch = broker->epoch;
    standing.may_join = broker->state == metadata::BrokerState::kActive;
  }
  return standings;
}

}  // namespace millrace::broker

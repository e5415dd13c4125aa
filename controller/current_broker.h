// CurrentBroker: whether a command comes from the newest process of its broker.
//
// Thread: any (pure functions).
#ifndef CONTROLLER_CURRENT_BROKER_H_
#define CONTROLLER_CURRENT_BROKER_H_

#include "absl/status/statusor.h"
#include "base/ids.h"
#include "metadata/image.h"

namespace millrace::controller {

// The broker that a request names, as `image` has it. Errors: BROKER_ID_NOT_REGISTERED;
// STALE_BROKER_EPOCH unless `epoch` is that of its latest registration.
absl::StatusOr<const metadata::BrokerImage*> CurrentBroker(const metadata::Image& image, NodeId id,
                                                           BrokerEpoch epoch);

}  // namespace millrace::controller

#endif  // CONTROLLER_CURRENT_BROKER_H_

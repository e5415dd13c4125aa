#include "controller/current_broker.h"

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace millrace::controller {

absl::StatusOr<const metadata::BrokerImage*> CurrentBroker(const metadata::Image& image, NodeId id,
                                                           BrokerEpoch epoch) {
  const metadata::BrokerImage* broker = image.FindBroker(id);
  if (broker == nullptr) {
    return MakeError(ErrorCode::kBrokerIdNotRegistered,
                     absl::StrCat("broker ", id.value(), " is not registered; register it first"),
                     {.name = "broker_id", .value = absl::StrCat(id.value())});
  }
  if (broker->epoch != epoch) {
    return MakeError(
        ErrorCode::kStaleBrokerEpoch,
        absl::StrCat("broker ", id.value(), " is registered at epoch ", broker->epoch.value(),
                     ", not ", epoch.value(), ": another process with its id has taken over"),
        {.name = "broker_epoch", .value = absl::StrCat(epoch.value())});
  }
  return broker;
}

}  // namespace millrace::controller

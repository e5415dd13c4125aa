// ConfigWarning: what is said of configs that are accepted although they change nothing: those of
// Kafka that have no meaning here, which are not kept, and those that are kept and shown but whose
// value nothing acts on.
//
// Thread: any (pure functions).
#ifndef METADATA_CONFIG_WARNING_H_
#define METADATA_CONFIG_WARNING_H_

#include <string>

#include "absl/strings/string_view.h"
#include "base/config.h"

namespace millrace::metadata {

// A key that Kafka's topics have and that has no meaning here: it is accepted, and not kept.
bool IsIgnoredTopicConfig(absl::string_view key);

// The one warning about those of `given`, set on a topic, that change nothing; empty if there are
// none.
std::string TopicConfigWarning(const ConfigValues& given);
// The same of those set on a broker or all of them, where keys are defaults of topics' (log.x).
std::string BrokerConfigWarning(const ConfigValues& given);

}  // namespace millrace::metadata

#endif  // METADATA_CONFIG_WARNING_H_

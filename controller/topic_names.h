// What a topic may be called.
//
// A topic's name is part of a directory's name, of metric labels and of what people type; Kafka's
// rules keep all three safe and are kept here.
//
// Thread: any (pure functions).
#ifndef CONTROLLER_TOPIC_NAMES_H_
#define CONTROLLER_TOPIC_NAMES_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace millrace::controller {

// 1 to 249 characters out of [a-zA-Z0-9._-], neither "." nor "..". Errors: INVALID_TOPIC_NAME,
// which quotes the name (shortened, with unprintable characters escaped) and says what is wrong
// with it.
absl::Status CheckTopicName(absl::string_view name);

// Names that are equal in this form must not both exist: '.' and '_' look alike in metrics.
std::string CollisionForm(absl::string_view name);
bool HasCollisionCharacter(absl::string_view name);

// Topics of the system itself.
bool IsInternalTopic(absl::string_view name);

}  // namespace millrace::controller

#endif  // CONTROLLER_TOPIC_NAMES_H_

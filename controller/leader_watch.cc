#include "controller/leader_watch.h"

#include <utility>

namespace millrace::controller {

void LeaderWatch::Set(const LeaderHint& leader) {
  if (leader == leader_) return;
  leader_ = leader;
  for (const Listener& listener : listeners_) listener(leader_);
}

void LeaderWatch::Subscribe(Listener listener) {
  listener(leader_);
  listeners_.push_back(std::move(listener));
}

}  // namespace millrace::controller

#include "node/voter_level.h"

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace millrace::node {

absl::Status CheckKnowsLevel(const raft::VoterId& voter, const raft::ProgramFeatures* said,
                             int level) {
  if (said == nullptr || said->level_max == 0) {
    return MakeError(ErrorCode::kResourceExhausted,
                     absl::StrCat("controller ", voter.node.value(),
                                  " has not said which feature levels its program knows; it may "
                                  "vote when it has"),
                     {.name = "node", .value = absl::StrCat(voter.node.value())});
  }
  if (said->level_min <= level && level <= said->level_max) return absl::OkStatus();
  return MakeError(
      ErrorCode::kUnsupportedVersion,
      absl::StrCat("the program of controller ", voter.node.value(), " knows feature levels ",
                   said->level_min, " to ", said->level_max, ", and the cluster is at ", level,
                   "; run a program there that knows it, and add it again"),
      {.name = "feature.level", .value = absl::StrCat(level)});
}

}  // namespace millrace::node

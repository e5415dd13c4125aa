// What this program tells others of itself: the feature levels of a cluster that it knows.
//
// Thread: any (a pure function).
#ifndef NODE_PROGRAM_FEATURES_H_
#define NODE_PROGRAM_FEATURES_H_

#include "base/version.h"
#include "metadata/image.h"
#include "raft/host/hello.h"

namespace millrace::node {

inline raft::ProgramFeatures OwnFeatures() {
  return {.level_min = metadata::kFeatureLevelMin,
          .level_max = metadata::kFeatureLevelMax,
          .version = kVersion};
}

}  // namespace millrace::node

#endif  // NODE_PROGRAM_FEATURES_H_

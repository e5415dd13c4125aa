// PositionFile: where a consumer of the command line goes on next time.
//
// A small JSON file: {"version":1,"topic":"t","next_offsets":{"0":17},"leader_epochs":{"0":3}}, the
// epochs being those of the records before the offsets: with them it is noticed that an unclean
// election took away what was read. The file is replaced whole (temporary file, sync, rename),
// after the records it speaks of were written out: a crash repeats records and never skips one.
//
// Thread: main.
#ifndef TOOLS_MILLRACE_POSITION_FILE_H_
#define TOOLS_MILLRACE_POSITION_FILE_H_

#include <map>
#include <ostream>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_system.h"
#include "base/ids.h"

namespace millrace::tools {

struct KeptPosition {
  Offset next;
  // kNoLeaderEpoch: not known; files of earlier versions of this program have none.
  LeaderEpoch epoch = kNoLeaderEpoch;

  friend bool operator==(const KeptPosition&, const KeptPosition&) = default;
  friend std::ostream& operator<<(std::ostream& out, const KeptPosition& at) {
    return out << at.next << " behind epoch " << at.epoch;
  }
};
using KeptPositions = std::map<PartitionIndex, KeptPosition>;

// Empty if there is no file yet. Errors: INVALID_REQUEST if the file is not a position file, or is
// one of another topic.
absl::StatusOr<KeptPositions> ReadPositionFile(FileSystem& files, const std::string& path,
                                               const std::string& topic);

absl::Status WritePositionFile(FileSystem& files, const std::string& path, const std::string& topic,
                               const KeptPositions& positions);

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_POSITION_FILE_H_

// PositionFile: where a consumer of the command line goes on next time.
//
// A small JSON file: {"version":1,"topic":"t","topic_id":"AbCdEfGhIjKlMnOpQrStUv","next_offsets":
// {"0":17},"leader_epochs":{"0":3}}. The epochs are those of the records before the offsets: with
// them it is noticed that an unclean election took away what was read; with the id, that the topic
// was deleted and made again, and the offsets mean other records. The file is replaced whole
// (temporary file, sync, rename), after the records it speaks of were written out: a crash repeats
// records and never skips one.
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

// Whose positions they are: of the topic of this name, as it is now.
struct KeptTopic {
  std::string name;
  TopicId id;
};

// Empty if there is no file yet. Errors: INVALID_REQUEST if the file is not a position file, or is
// one of another topic, or of an earlier one of the same name. (One without an id, of an earlier
// version of this program, is taken for one of this topic.)
absl::StatusOr<KeptPositions> ReadPositionFile(FileSystem& files, const std::string& path,
                                               const KeptTopic& topic);

absl::Status WritePositionFile(FileSystem& files, const std::string& path, const KeptTopic& topic,
                               const KeptPositions& positions);

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_POSITION_FILE_H_

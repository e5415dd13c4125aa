// The mark of a log whose end was cut at a start, until a registration has told that (S-08).
//
// What is cut as a torn tail may have been acknowledged, if it was written less than a seal's delay
// before the power went. Whoever elects leaders has to know; and a process that stops between the
// cut and its registration leaves a log of which nothing more can be cut. So the mark is there
// before the cut, as an empty file in the partition's directory.
//
// Thread: the disk executor (blocks).
#ifndef STORAGE_CUT_MARK_H_
#define STORAGE_CUT_MARK_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_system.h"

namespace millrace::storage {

// Whether the log in `directory` has the mark, or gets it now, durably, because it is `to_be_cut`.
absl::StatusOr<bool> MarkIfCut(FileSystem& files, const std::string& directory, bool to_be_cut);

// OK also if there is none, or no such directory any more. One that comes back with a loss of power
// does no harm.
absl::Status RemoveCutMarks(FileSystem& files, const std::vector<std::string>& directories);

}  // namespace millrace::storage

#endif  // STORAGE_CUT_MARK_H_

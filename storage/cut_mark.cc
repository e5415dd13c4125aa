#include "storage/cut_mark.h"

#include "base/mutant.h"
#include "base/status.h"
#include "storage/file_names.h"

namespace millrace::storage {

absl::StatusOr<bool> MarkIfCut(FileSystem& files, const std::string& directory, bool to_be_cut) {
  const std::string path = JoinPath(directory, kCutMarkFile);
  ASSIGN_OR_RETURN(const bool marked, files.Exists(path));
  if (marked || !to_be_cut || MUTANT("storage.cut-not-told")) return marked;
  RETURN_IF_ERROR(ReplaceFile(files, path, ""));
  return true;
}

absl::Status RemoveCutMarks(FileSystem& files, const std::vector<std::string>& directories) {
  for (const std::string& directory : directories) {
    const std::string path = JoinPath(directory, kCutMarkFile);
    ASSIGN_OR_RETURN(const bool marked, files.Exists(path));
    if (marked) RETURN_IF_ERROR(files.RemoveFile(path));
  }
  return absl::OkStatus();
}

}  // namespace millrace::storage

#include "tools/millrace/log_command.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/posix_file_system.h"
#include "base/status.h"
#include "storage/file_names.h"
#include "tools/millrace/segment_dump.h"
#include "tools/millrace/wal_dump.h"

namespace millrace::tools {
namespace {

struct LogOptions {
  std::vector<std::string> paths;
  bool records = false;
};

bool IsWalName(const DirectoryEntry& entry) { return absl::EndsWith(entry.name, ".wal"); }

// A directory: the metadata log if it holds one, else all segments of a partition.
absl::Status DumpDirectory(FileSystem& files, const std::string& path, const DumpOptions& options) {
  ASSIGN_OR_RETURN(const std::vector<DirectoryEntry> entries, files.ListDirectory(path));
  if (std::any_of(entries.begin(), entries.end(), IsWalName)) return DumpWal(files, path, options);
  bool any = false;
  for (const DirectoryEntry& entry : entries) {
    if (!absl::EndsWith(entry.name, storage::kLogSuffix)) continue;
    any = true;
    const std::string segment = JoinPath(path, entry.name);
    if (!options.json) PrintOut(absl::StrCat(segment, "\n"));
    RETURN_IF_ERROR(DumpSegmentFile(files, segment, options));
  }
  if (any) return absl::OkStatus();
  return MakeError(
      ErrorCode::kInvalidDirectory,
      absl::StrCat("'", path,
                   "' holds neither segments (*.log) nor a metadata log (*.wal); name the "
                   "directory of one partition or of the metadata log"),
      {.name = "path", .value = path});
}

absl::Status Dump(const LogOptions& options, const GlobalOptions& global) {
  PosixFileSystem files;
  const DumpOptions dump{.records = options.records,
                         .json = global.format() == OutputFormat::kJson};
  for (const std::string& path : options.paths) {
    const absl::StatusOr<std::vector<DirectoryEntry>> listed = files.ListDirectory(path);
    RETURN_IF_ERROR(listed.ok() ? DumpDirectory(files, path, dump)
                                : DumpSegmentFile(files, path, dump));
  }
  return absl::OkStatus();
}

}  // namespace

void AddLogCommands(CLI::App* app, GlobalOptions* global) {
  CLI::App* log = app->add_subcommand("log", "Look into the files of a data directory");
  log->require_subcommand(1);
  auto options = std::make_shared<LogOptions>();
  CLI::App* dump = AddCommand(log, "dump", "Print segments, indexes and the metadata log",
                              "  millrace log dump millrace-data/logs/orders-0 --records\n"
                              "  millrace log dump millrace-data/metadata/wal -o json\n"
                              "Nothing is changed; a running server may be looked at.\n",
                              global, [=] { return Dump(*options, *global); });
  dump->add_option("path", options->paths, "Files or directories")->required();
  dump->add_flag("--records", options->records, "Print the records of each batch");
  AddOutputOption(dump, global);
}

}  // namespace millrace::tools

#include "tools/millrace/log_command.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/posix_file_system.h"
#include "base/status.h"
#include "raft/host/snapshot_format.h"
#include "storage/file_names.h"
#include "tools/millrace/log_verify.h"
#include "tools/millrace/progress_line.h"
#include "tools/millrace/scrub_command.h"
#include "tools/millrace/segment_dump.h"
#include "tools/millrace/snapshot_dump.h"
#include "tools/millrace/wal_dump.h"

namespace millrace::tools {
namespace {

struct LogOptions {
  std::vector<std::string> paths;
  bool records = false;
};

bool IsWalName(const DirectoryEntry& entry) { return absl::EndsWith(entry.name, ".wal"); }

bool IsSnapshotEntry(const DirectoryEntry& entry) { return raft::IsSnapshotPath(entry.name); }

// A directory: the metadata log or its snapshots if it holds them, else all segments of a
// partition.
absl::Status DumpDirectory(FileSystem& files, const std::string& path, const DumpOptions& options) {
  ASSIGN_OR_RETURN(const std::vector<DirectoryEntry> entries, files.ListDirectory(path));
  if (std::any_of(entries.begin(), entries.end(), IsWalName)) return DumpWal(files, path, options);
  if (std::any_of(entries.begin(), entries.end(), IsSnapshotEntry)) {
    return DumpSnapshots(files, path, options);
  }
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
                   "' holds neither segments (*.log) nor a metadata log (*.wal) or snapshots of it "
                   "(*.snapshot); name the directory of one partition, of the metadata log or of "
                   "its snapshots"),
      {.name = "path", .value = path});
}

absl::Status DumpFile(FileSystem& files, const std::string& path, const DumpOptions& options) {
  return raft::IsSnapshotPath(path) ? DumpSnapshotFile(files, path, options)
                                    : DumpSegmentFile(files, path, options);
}

absl::Status Dump(const LogOptions& options, const GlobalOptions& global) {
  PosixFileSystem files;
  const DumpOptions dump{.records = options.records,
                         .json = global.format() == OutputFormat::kJson};
  for (const std::string& path : options.paths) {
    ASSIGN_OR_RETURN(const bool exists, files.Exists(path));
    if (!exists) {
      return MakeError(ErrorCode::kDirectoryUnavailable,
                       absl::StrCat("there is no file or directory '", path, "'"),
                       {.name = "path", .value = path});
    }
    const absl::StatusOr<std::vector<DirectoryEntry>> listed = files.ListDirectory(path);
    RETURN_IF_ERROR(listed.ok() ? DumpDirectory(files, path, dump) : DumpFile(files, path, dump));
  }
  return absl::OkStatus();
}

absl::Status Verify(const LogOptions& options, const GlobalOptions& global) {
  PosixFileSystem files;
  VerifyReport report;
  ProgressLine progress;
  report.progress = [&](const std::string& path) {
    progress.Update([&] {
      return absl::StrCat("verifying ", path, ": ", report.batches, " batches, ",
                          report.problems.size(), " problems so far");
    });
  };
  absl::Status refused;
  for (std::string path : options.paths) {
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    refused = VerifyDirectory(files, path, {.records = options.records}, &report);
    if (!refused.ok()) break;
  }
  progress.Clear();
  // What was found before a directory that cannot be verified is worth knowing too.
  if (refused.ok() || !report.problems.empty()) {
    if (global.format() == OutputFormat::kJson) {
      PrintJson(report.ToJson());
    } else {
      PrintOut(report.ToText());
    }
  }
  return refused.ok() ? report.Verdict() : refused;
}

}  // namespace

void AddLogCommands(CLI::App* app, GlobalOptions* global) {
  CLI::App* log =
      app->add_subcommand("log", "Look into the files of a data directory, and check them");
  log->require_subcommand(1);
  auto options = std::make_shared<LogOptions>();
  CLI::App* dump =
      AddCommand(log, "dump", "Print segments, indexes, the metadata log and its snapshots",
                 "  millrace log dump millrace-data/logs/orders-0 --records\n"
                 "  millrace log dump millrace-data/metadata/wal -o json\n"
                 "  millrace log dump millrace-data/metadata/snapshots --records\n"
                 "Nothing is changed; a running server may be looked at.\n",
                 global, [=] { return Dump(*options, *global); });
  dump->add_option("path", options->paths, "Files or directories")->required();
  dump->add_flag("--records", options->records,
                 "Print the records of each batch, and what a snapshot holds");
  AddOutputOption(dump, global);

  CLI::App* verify = AddCommand(
      log, "verify", "Check everything in a stopped server's directories",
      "  millrace log verify millrace-data\n"
      "  millrace log verify /disk1/logs /disk2/logs --records -o json\n"
      "  millrace log verify millrace-data/logs/orders-0\n"
      "Checksums, offsets, indexes, epoch checkpoints, producer snapshots, journals and the\n"
      "metadata log with its snapshots. Exits with 1 if anything is damaged (lost or changed) or "
      "a\n"
      "hint is wrong (a file that only saves time); a torn write at the end of a log is listed, "
      "and\n"
      "is no fault.\n",
      global, [=] { return Verify(*options, *global); });
  verify->add_option("directory", options->paths, "Data, log, partition or metadata directories")
      ->required();
  verify->add_flag("--records", options->records, "Decode every record too; slower");
  AddOutputOption(verify, global);

  AddScrubCommand(log, global);
}

}  // namespace millrace::tools

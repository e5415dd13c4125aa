#include "tools/millrace/snapshot_verify.h"

#include <memory>
#include <optional>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "metadata/image_snapshot.h"
#include "raft/host/snapshot_format.h"
#include "raft/host/snapshot_reader.h"

namespace millrace::tools {
namespace {

absl::string_view NameIn(absl::string_view path) { return path.substr(path.rfind('/') + 1); }

// The receiver goes on from the last section that verifies.
void VerifyReceived(const std::string& path, uint64_t size, const raft::SnapshotParser& parser,
                    VerifyReport* report) {
  if (parser.verified_bytes() == size) return;
  report->Add(ProblemKind::kTorn, {path, parser.verified_bytes()},
              absl::StrCat("the last ", size - parser.verified_bytes(),
                           " bytes of what was received of a snapshot do not verify (yet)"));
}

void VerifyWhole(const std::string& path, const absl::Status& parsed,
                 const raft::SnapshotParser& parser, Slice body, VerifyReport* report) {
  const absl::Status status = parsed.ok() ? parser.CheckComplete() : parsed;
  if (!status.ok()) {
    report->Add(ProblemKind::kDamage, {path, parser.verified_bytes()},
                std::string(status.message()));
    return;
  }
  const std::optional<EntryId> last = raft::ParseSnapshotFileName(NameIn(path));
  if (last.has_value() && *last != parser.head().last) {
    report->Add(ProblemKind::kDamage, {path}, "it is of another entry than its name says");
  }
  const absl::Status image = metadata::DecodeImageSnapshot(body).status();
  if (!image.ok()) {
    report->Add(ProblemKind::kDamage, {path}, absl::StrCat("its body: ", image.message()));
  }
}

}  // namespace

void VerifySnapshotFile(FileSystem& files, const std::string& path, VerifyReport* report) {
  if (report->progress != nullptr) report->progress(path);
  const absl::StatusOr<std::unique_ptr<File>> file = files.Open(path, OpenMode::kRead);
  if (!file.ok()) return report->AddUnlessOk(file.status(), path);
  const absl::StatusOr<uint64_t> size = (*file)->Size();
  if (!size.ok()) return report->AddUnlessOk(size.status(), path);
  ++report->snapshots;
  report->bytes += *size;
  std::string body;
  raft::SnapshotParser parser(&body);
  const absl::Status parsed = raft::ParseSnapshotFile(**file, &parser);
  if (absl::EndsWith(path, raft::kReceivedSnapshotSuffix)) {
    VerifyReceived(path, *size, parser, report);
  } else {
    VerifyWhole(path, parsed, parser, body, report);
  }
}

void VerifySnapshots(FileSystem& files, const std::string& directory, VerifyReport* report) {
  const absl::StatusOr<std::vector<DirectoryEntry>> entries = files.ListDirectory(directory);
  if (!entries.ok()) return report->AddUnlessOk(entries.status(), directory);
  for (const DirectoryEntry& entry : *entries) {
    const std::string path = JoinPath(directory, entry.name);
    if (raft::IsSnapshotPath(entry.name)) {
      VerifySnapshotFile(files, path, report);
    } else if (entry.name == raft::kUnfinishedSnapshotName) {
      report->Add(ProblemKind::kTorn, {path}, "a snapshot whose writing was not finished");
    }
  }
}

}  // namespace millrace::tools

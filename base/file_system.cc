#include "base/file_system.h"

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace millrace {

std::string JoinPath(absl::string_view directory, absl::string_view name) {
  if (directory.empty()) return std::string(name);
  if (directory.back() == '/') return absl::StrCat(directory, name);
  return absl::StrCat(directory, "/", name);
}

std::string ParentPath(absl::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  const size_t slash = path.rfind('/');
  if (slash == absl::string_view::npos) return ".";
  if (slash == 0) return "/";
  return std::string(path.substr(0, slash));
}

absl::StatusOr<std::string> ReadWholeFile(FileSystem& files, const std::string& path,
                                          uint64_t bytes_max) {
  ASSIGN_OR_RETURN(std::unique_ptr<File> file, files.Open(path, OpenMode::kRead));
  ASSIGN_OR_RETURN(const uint64_t size, file->Size());
  if (size > bytes_max) {
    return MakeError(ErrorCode::kResourceExhausted,
                     absl::StrCat("file '", path, "' has ", size, " bytes, but at most ", bytes_max,
                                  " are expected: it is not a file of this kind"),
                     {.name = path, .value = absl::StrCat(size)});
  }
  std::string contents(size, '\0');
  ASSIGN_OR_RETURN(const size_t read, file->ReadAt(0, absl::MakeSpan(contents)));
  contents.resize(read);
  return contents;
}

absl::Status FileSystem::SyncDirectories(absl::Span<const std::string> paths) {
  for (const std::string& path : paths) RETURN_IF_ERROR(SyncDirectory(path));
  return absl::OkStatus();
}

absl::Status ReplaceFile(FileSystem& files, const std::string& path, Slice contents) {
  RETURN_IF_ERROR(ReplaceFiles(files, {{path, std::string(contents)}}));
  return files.SyncDirectory(ParentPath(path));
}

absl::Status ReplaceFiles(FileSystem& files, absl::Span<const FileReplacement> replacements) {
  const auto temporary = [](const FileReplacement& one) { return absl::StrCat(one.path, ".tmp"); };
  const auto write = [&]() -> absl::Status {
    std::vector<std::unique_ptr<File>> opened;
    std::vector<FileWrite> writes;
    for (const FileReplacement& one : replacements) {
      ASSIGN_OR_RETURN(opened.emplace_back(),
                       files.Open(temporary(one), OpenMode::kTruncateCreate));
      writes.push_back({.file = opened.back().get(), .pieces = {one.contents}});
    }
    files.WriteAndSync(absl::MakeSpan(writes));
    for (const FileWrite& each : writes) RETURN_IF_ERROR(each.status);
    return absl::OkStatus();
  };
  if (absl::Status status = write(); !status.ok()) {
    // Their remains would hold space on a full disk. If removing fails too, the first error tells
    // more.
    for (const FileReplacement& one : replacements) files.RemoveFile(temporary(one)).IgnoreError();
    return status;
  }
  for (const FileReplacement& one : replacements) {
    RETURN_IF_ERROR(files.Rename(temporary(one), one.path));
  }
  return absl::OkStatus();
}

absl::Status RemoveTree(FileSystem& files, const std::string& path) {
  ASSIGN_OR_RETURN(const bool exists, files.Exists(path));
  if (!exists) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::vector<DirectoryEntry> entries, files.ListDirectory(path));
  for (const DirectoryEntry& entry : entries) {
    const std::string child = JoinPath(path, entry.name);
    RETURN_IF_ERROR(entry.is_directory ? RemoveTree(files, child) : files.RemoveFile(child));
  }
  return files.RemoveDirectory(path);
}

}  // namespace millrace

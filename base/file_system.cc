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

absl::Status ReplaceFile(FileSystem& files, const std::string& path, Slice contents) {
  const std::string temporary = absl::StrCat(path, ".tmp");
  const auto write = [&]() -> absl::Status {
    ASSIGN_OR_RETURN(std::unique_ptr<File> file, files.Open(temporary, OpenMode::kTruncateCreate));
    RETURN_IF_ERROR(file->WriteAt(0, contents));
    return file->Sync();
  };
  if (absl::Status status = write(); !status.ok()) {
    // Its remains would hold space on a full disk. If removing fails too, the first error tells
    // more.
    files.RemoveFile(temporary).IgnoreError();
    return status;
  }
  RETURN_IF_ERROR(files.Rename(temporary, path));
  return files.SyncDirectory(ParentPath(path));
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

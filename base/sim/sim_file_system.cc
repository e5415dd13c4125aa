#include "base/sim/sim_file_system.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/check.h"
#include "base/status.h"

namespace millrace::sim {
namespace {

using Kind = SimCall::Kind;

constexpr const char* kKindNames[] = {
    "OPEN", "CREATE",           "READ", "SIZE",   "WRITE",  "TRUNCATE",       "ZERO_FILL",
    "SYNC", "CREATE_DIRECTORY", "LIST", "RENAME", "REMOVE", "SYNC_DIRECTORY", "LOCK"};

constexpr size_t kJournalChangesMax = 4096;

bool IsSync(Kind kind) { return kind == Kind::kSync || kind == Kind::kSyncDirectory; }

// Whether a call of this kind can fail for want of room.
bool NeedsRoom(Kind kind) {
  return kind == Kind::kCreate || kind == Kind::kWrite || kind == Kind::kTruncate ||
         kind == Kind::kZeroFill || kind == Kind::kCreateDirectory || kind == Kind::kRename;
}

absl::Status IoError(absl::string_view path, absl::string_view what) {
  return MakeError(ErrorCode::kStorageError, absl::StrCat("'", path, "': ", what),
                   {.name = std::string(path)});
}

absl::Status NoSpace(absl::string_view path) {
  return MakeError(ErrorCode::kStorageFull,
                   absl::StrCat("'", path, "': no space left on device (simulated)"),
                   {.name = std::string(path)});
}

absl::Status Unavailable(absl::string_view path, absl::string_view what) {
  return MakeError(ErrorCode::kDirectoryUnavailable, absl::StrCat("'", path, "': ", what),
                   {.name = std::string(path)});
}

std::vector<std::string> Components(absl::string_view path) {
  std::vector<std::string> components;
  for (absl::string_view part : absl::StrSplit(path, '/', absl::SkipEmpty())) {
    if (part != ".") components.emplace_back(part);
  }
  return components;
}

}  // namespace

bool SimCall::mutating() const { return NeedsRoom(kind) || IsSync(kind) || kind == Kind::kRemove; }

std::string SimCall::ToString() const {
  std::string text = absl::StrCat("#", number, " ", kKindNames[static_cast<int>(kind)], " ", path);
  if (length != 0 || offset != 0) absl::StrAppend(&text, " ", offset, "+", length);
  return text;
}

// A handle. The node lives on after its last name has gone, as on any POSIX system.
class SimFile : public File {
 public:
  SimFile(SimFileSystem* files, std::shared_ptr<SimNode> node, std::string path, bool writable)
      : files_(files), node_(std::move(node)), path_(std::move(path)), writable_(writable) {
    ++node_->opens;
    ++files_->open_files_;
  }
  ~SimFile() override {
    --node_->opens;
    --files_->open_files_;
    files_->Recount(*node_);
  }

  absl::StatusOr<size_t> ReadAt(uint64_t offset, absl::Span<char> out) const override {
    RETURN_IF_ERROR(files_->Begin(Kind::kRead, path_, offset, out.size()));
    return node_->data.cache().Read(offset, out);
  }

  absl::Status WriteAt(uint64_t offset, Slice data) override {
    absl::Status status = BeginChange(Kind::kWrite, offset, data.size());
    if (!status.ok()) {
      // A failing write may leave a part of it behind.
      if (writable_) Put(offset, data.substr(0, data.size() / 2));
      return status;
    }
    return Put(offset, data) ? absl::OkStatus() : NoSpace(path_);
  }

  absl::Status Sync() override {
    absl::Status status = files_->Begin(Kind::kSync, path_);
    if (status.ok()) {
      node_->data.Sync();
    } else {
      node_->data.FailSync();
    }
    return status;
  }

  absl::StatusOr<uint64_t> Size() const override {
    RETURN_IF_ERROR(files_->Begin(Kind::kSize, path_));
    return node_->data.cache().size();
  }

  absl::Status Truncate(uint64_t size) override {
    RETURN_IF_ERROR(BeginChange(Kind::kTruncate, size, 0));
    if (!files_->HasRoom(*node_, size)) return NoSpace(path_);
    node_->data.Truncate(size);
    files_->Recount(*node_);
    return absl::OkStatus();
  }

  absl::Status ZeroFill(uint64_t offset, uint64_t length) override {
    CHECK_GE(offset, node_->data.cache().size()) << path_;
    absl::Status status = BeginChange(Kind::kZeroFill, offset, length);
    const bool fits = files_->HasRoom(*node_, offset + length);
    // As a failing write: the first half may be there.
    if (status.ok() && !fits) status = NoSpace(path_);
    if (!status.ok() && !(writable_ && files_->HasRoom(*node_, offset + length / 2))) return status;
    node_->data.ZeroFill(offset, status.ok() ? length : length / 2);
    files_->Recount(*node_);
    return status;
  }

 private:
  absl::Status BeginChange(Kind kind, uint64_t offset, uint64_t length) {
    RETURN_IF_ERROR(files_->Begin(kind, path_, offset, length));
    return writable_ ? absl::OkStatus() : IoError(path_, "is open for reading only");
  }

  // Writes as much as the disk has room for; false if that is not all.
  bool Put(uint64_t offset, Slice data) {
    bool fits = true;
    while (!data.empty() && !files_->HasRoom(*node_, offset + data.size())) {
      fits = false;
      data.remove_suffix((data.size() + 1) / 2);
    }
    node_->data.Write(offset, data);
    files_->Recount(*node_);
    return fits;
  }

  SimFileSystem* const files_;
  const std::shared_ptr<SimNode> node_;
  const std::string path_;
  const bool writable_;
};

class SimLock : public FileLock {
 public:
  explicit SimLock(std::shared_ptr<SimNode> node) : node_(std::move(node)) {
    node_->is_locked = true;
  }
  ~SimLock() override { node_->is_locked = false; }

 private:
  const std::shared_ptr<SimNode> node_;
};

SimFileSystem::SimFileSystem(uint64_t seed) : random_(seed) { root_ = MakeNode(true); }

SimFileSystem::~SimFileSystem() { CHECK_EQ(open_files_, 0) << "files outlive their file system"; }

absl::Status SimFileSystem::Begin(Kind kind, const std::string& path, uint64_t offset,
                                  uint64_t length) {
  SimCall call{.kind = kind, .path = path, .offset = offset, .length = length, .number = ++calls_};
  if (latency_) latency_(call);
  if (on_call_ && call.mutating()) on_call_(call);
  std::optional<SimFault> fault;
  if (faults_) fault = faults_(call);
  if (fail_syncs_ && IsSync(kind)) fault = SimFault::kIoError;
  if (planned_.has_value() && call.number >= planned_->from &&
      (planned_->fault == SimFault::kIoError || NeedsRoom(kind))) {
    fault = planned_->fault;
    if (!planned_->sticky) planned_.reset();
  }
  if (!fault.has_value()) return absl::OkStatus();
  return *fault == SimFault::kNoSpace ? NoSpace(path)
                                      : IoError(path, "input/output error (simulated)");
}

void SimFileSystem::FailCallAt(uint64_t n, SimFault fault, bool sticky) {
  planned_ = Planned{.from = n, .fault = fault, .sticky = sticky};
}

void SimFileSystem::ClearFaults() {
  planned_.reset();
  fail_syncs_ = false;
  faults_ = nullptr;
}

std::shared_ptr<SimNode> SimFileSystem::MakeNode(bool is_directory) {
  return std::make_shared<SimNode>(next_id_++, is_directory);
}

absl::StatusOr<SimFileSystem::Place> SimFileSystem::Find(const std::string& path) const {
  Place place{.directory = nullptr, .name = "", .node = root_};
  for (const std::string& name : Components(path)) {
    if (place.node == nullptr) return Unavailable(path, "no such file or directory");
    if (!place.node->is_directory) return Unavailable(path, "a part of the path is a file");
    place.directory = place.node;
    place.name = name;
    const auto found = place.directory->entries.find(name);
    place.node = found == place.directory->entries.end() ? nullptr : found->second;
  }
  return place;
}

absl::StatusOr<std::shared_ptr<SimNode>> SimFileSystem::FindDirectory(
    const std::string& path) const {
  ASSIGN_OR_RETURN(Place place, Find(path));
  if (place.node == nullptr) return Unavailable(path, "no such directory");
  if (!place.node->is_directory) return Unavailable(path, "is not a directory");
  return place.node;
}

absl::StatusOr<std::unique_ptr<File>> SimFileSystem::Open(const std::string& path, OpenMode mode) {
  const absl::StatusOr<Place> found = Find(path);
  const bool exists = found.ok() && found->node != nullptr;
  const bool creates = mode == OpenMode::kCreate || mode == OpenMode::kTruncateCreate ||
                       (mode == OpenMode::kOpenOrCreate && !exists);
  RETURN_IF_ERROR(Begin(creates ? Kind::kCreate : Kind::kOpen, path));
  if (!found.ok()) return found.status();
  Place place = *found;
  if (exists && place.node->is_directory) return Unavailable(path, "is a directory");
  if (exists && mode == OpenMode::kCreate) return Unavailable(path, "exists already");
  if (!exists && !creates) return Unavailable(path, "no such file");
  if (!exists) {
    place.node = MakeNode(false);
    ChangeNames({{{place.directory, place.name, place.node}}});
  } else if (mode == OpenMode::kTruncateCreate) {
    place.node->data.Truncate(0);
    Recount(*place.node);
  }
  return std::make_unique<SimFile>(this, place.node, path, mode != OpenMode::kRead);
}

void SimFileSystem::WriteAndSync(absl::Span<FileWrite> writes) {
  // All writes, then all syncs in any order: of the orders that concurrent calls may have, those
  // that leave most undone when the power goes.
  for (FileWrite& write : writes) {
    std::string data;
    for (Slice piece : write.pieces) absl::StrAppend(&data, piece);
    write.status = data.empty() ? absl::OkStatus() : write.file->WriteAt(write.offset, data);
  }
  std::vector<size_t> order(writes.size());
  std::iota(order.begin(), order.end(), 0);
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random_.Below(i)]);
  for (size_t i : order) {
    if (writes[i].sync && writes[i].status.ok()) writes[i].status = writes[i].file->Sync();
  }
}

absl::Status SimFileSystem::CreateDirectory(const std::string& path) {
  RETURN_IF_ERROR(Begin(Kind::kCreateDirectory, path));
  ASSIGN_OR_RETURN(const Place place, Find(path));
  if (place.node != nullptr) {
    return place.node->is_directory ? absl::OkStatus() : Unavailable(path, "is a file");
  }
  ChangeNames({{{place.directory, place.name, MakeNode(true)}}});
  return absl::OkStatus();
}

absl::StatusOr<std::vector<DirectoryEntry>> SimFileSystem::ListDirectory(const std::string& path) {
  RETURN_IF_ERROR(Begin(Kind::kList, path));
  ASSIGN_OR_RETURN(const NodePtr directory, FindDirectory(path));
  std::vector<DirectoryEntry> entries;
  for (const auto& [name, node] : directory->entries) {
    entries.push_back({.name = name,
                       .is_directory = node->is_directory,
                       .size_bytes = node->data.cache().size()});
  }
  return entries;
}

std::vector<std::string> SimFileSystem::PeekNames(const std::string& directory) const {
  std::vector<std::string> names;
  const absl::StatusOr<NodePtr> found = FindDirectory(directory);
  if (!found.ok()) return names;
  for (const auto& [name, node] : (*found)->entries) names.push_back(name);
  return names;
}

size_t SimFileSystem::Peek(const std::string& path, uint64_t offset, absl::Span<char> out) const {
  const absl::StatusOr<Place> place = Find(path);
  if (!place.ok() || place->node == nullptr || place->node->is_directory) return 0;
  return place->node->data.cache().Read(offset, out);
}

absl::StatusOr<bool> SimFileSystem::Exists(const std::string& path) {
  RETURN_IF_ERROR(Begin(Kind::kList, path));
  const absl::StatusOr<Place> place = Find(path);
  return place.ok() && place->node != nullptr;
}

absl::Status SimFileSystem::Rename(const std::string& from, const std::string& to) {
  RETURN_IF_ERROR(Begin(Kind::kRename, from));
  ASSIGN_OR_RETURN(const Place source, Find(from));
  if (source.node == nullptr) return Unavailable(from, "no such file or directory");
  ASSIGN_OR_RETURN(const Place target, Find(to));
  if (source.directory == nullptr || target.directory == nullptr) {
    return IoError(to, "the root cannot be renamed");
  }
  if (target.node == source.node) return absl::OkStatus();
  const std::vector<std::string> inner = Components(to);
  const std::vector<std::string> outer = Components(from);
  if (inner.size() > outer.size() && std::equal(outer.begin(), outer.end(), inner.begin())) {
    return IoError(to, "lies within what is to be moved there");
  }
  if (target.node != nullptr) {
    if (target.node->is_directory != source.node->is_directory) {
      return Unavailable(to, "is a directory and the other a file, or the other way round");
    }
    if (!target.node->entries.empty()) return Unavailable(to, "the directory is not empty");
  }
  ChangeNames(
      {{{source.directory, source.name, nullptr}, {target.directory, target.name, source.node}}});
  return absl::OkStatus();
}

absl::Status SimFileSystem::RemoveFile(const std::string& path) {
  RETURN_IF_ERROR(Begin(Kind::kRemove, path));
  ASSIGN_OR_RETURN(const Place place, Find(path));
  if (place.node == nullptr) return Unavailable(path, "no such file");
  if (place.node->is_directory) return Unavailable(path, "is a directory");
  ChangeNames({{{place.directory, place.name, nullptr}}});
  return absl::OkStatus();
}

absl::Status SimFileSystem::RemoveDirectory(const std::string& path) {
  RETURN_IF_ERROR(Begin(Kind::kRemove, path));
  ASSIGN_OR_RETURN(const NodePtr directory, FindDirectory(path));
  if (!directory->entries.empty()) return Unavailable(path, "the directory is not empty");
  ASSIGN_OR_RETURN(const Place place, Find(path));
  if (place.directory == nullptr) return IoError(path, "the root cannot be removed");
  ChangeNames({{{place.directory, place.name, nullptr}}});
  return absl::OkStatus();
}

absl::Status SimFileSystem::SyncDirectory(const std::string& path) {
  RETURN_IF_ERROR(Begin(Kind::kSyncDirectory, path));
  ASSIGN_OR_RETURN(const NodePtr directory, FindDirectory(path));
  CommitNames(Committed(names_, {{directory->id, names_.size()}}));
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<FileLock>> SimFileSystem::Lock(const std::string& path) {
  // Opened as a file first, so that the call is counted and can fail like any other.
  RETURN_IF_ERROR(Open(path, OpenMode::kOpenOrCreate).status());
  RETURN_IF_ERROR(Begin(Kind::kLock, path));
  ASSIGN_OR_RETURN(const Place place, Find(path));
  if (place.node->is_locked) {
    return MakeError(ErrorCode::kDirectoryLocked,
                     absl::StrCat("'", path, "' is locked by another process"), {.name = path});
  }
  return std::make_unique<SimLock>(place.node);
}

absl::StatusOr<SpaceInfo> SimFileSystem::Space(const std::string& path) {
  RETURN_IF_ERROR(Begin(Kind::kList, path));
  ASSIGN_OR_RETURN(const Place place, Find(path));
  if (place.node == nullptr) return Unavailable(path, "no such file or directory");
  return SpaceInfo{.free_bytes = capacity_bytes_ - std::min(capacity_bytes_, used_bytes_),
                   .total_bytes = capacity_bytes_};
}

void SimFileSystem::FlipBit(const std::string& path, uint64_t bit) {
  const absl::StatusOr<Place> place = Find(path);
  CHECK(place.ok() && place->node != nullptr && !place->node->is_directory) << path;
  place->node->data.FlipBit(bit);
}

bool SimFileSystem::HasRoom(const SimNode& node, uint64_t size) const {
  const uint64_t now = node.data.cache().size();
  return size <= now || used_bytes_ + (size - now) <= capacity_bytes_;
}

void SimFileSystem::Recount(SimNode& node) {
  const uint64_t counts = node.links > 0 || node.opens > 0 ? node.data.cache().size() : 0;
  used_bytes_ = used_bytes_ - node.counted + counts;
  node.counted = counts;
}

void SimFileSystem::ChangeNames(NameChange change) {
  for (const NameChange::Half& half : change.halves) {
    const auto old = half.directory->entries.find(half.name);
    if (old != half.directory->entries.end()) {
      --old->second->links;
      Recount(*old->second);
      half.directory->entries.erase(old);
    }
    if (half.node == nullptr) continue;
    half.directory->entries[half.name] = half.node;
    ++half.node->links;
    Recount(*half.node);
  }
  names_.push_back(std::move(change));
  // A journal commits by itself sooner or later; this also bounds memory.
  if (names_.size() > kJournalChangesMax) CommitNames(std::vector<bool>(names_.size(), true));
}

std::vector<bool> SimFileSystem::Committed(const std::vector<NameChange>& names,
                                           std::map<uint64_t, size_t> through) {
  std::vector<bool> committed(names.size());
  // Backwards: a rename between two directories draws in all earlier changes of the other one.
  for (size_t i = names.size(); i-- > 0;) {
    for (const NameChange::Half& half : names[i].halves) {
      const auto found = through.find(half.directory->id);
      if (found != through.end() && found->second > i) committed[i] = true;
    }
    if (!committed[i]) continue;
    for (const NameChange::Half& half : names[i].halves) {
      size_t& count = through[half.directory->id];
      count = std::max(count, i + 1);
    }
  }
  return committed;
}

void SimFileSystem::CommitNames(const std::vector<bool>& committed) {
  std::vector<NameChange> left;
  for (size_t i = 0; i < names_.size(); ++i) {
    if (!committed[i]) {
      left.push_back(std::move(names_[i]));
      continue;
    }
    for (NameChange::Half& half : names_[i].halves) {
      if (half.node == nullptr) {
        half.directory->durable_entries.erase(half.name);
      } else {
        half.directory->durable_entries[half.name] = std::move(half.node);
      }
    }
  }
  names_ = std::move(left);
}

void SimFileSystem::SyncAll() {
  CommitNames(std::vector<bool>(names_.size(), true));
  const std::function<void(SimNode&)> sync = [&](SimNode& node) {
    node.data.Sync();
    for (const auto& [name, child] : node.entries) sync(*child);
  };
  sync(*root_);
}

std::unique_ptr<SimFileSystem> SimFileSystem::CrashImage(CrashMode mode, Random& random) const {
  std::vector<bool> committed(names_.size(), mode == CrashMode::kKeepAll);
  if (mode == CrashMode::kTorn) {
    // Where each directory has its changes in names_; of each, a prefix was kept.
    std::map<uint64_t, std::vector<size_t>> changes;
    for (size_t i = 0; i < names_.size(); ++i) {
      for (const NameChange::Half& half : names_[i].halves) {
        changes[half.directory->id].push_back(i);
      }
    }
    std::map<uint64_t, size_t> through;
    for (const auto& [directory, indices] : changes) {
      const size_t kept = random.Below(indices.size() + 1);
      through[directory] = kept == 0 ? 0 : indices[kept - 1] + 1;
    }
    committed = Committed(names_, std::move(through));
  }
  std::map<uint64_t, SimNode::Entries> changed;
  for (size_t i = 0; i < names_.size(); ++i) {
    if (!committed[i]) continue;
    for (const NameChange::Half& half : names_[i].halves) {
      auto [it, is_new] = changed.try_emplace(half.directory->id);
      if (is_new) it->second = half.directory->durable_entries;
      if (half.node == nullptr) {
        it->second.erase(half.name);
      } else {
        it->second[half.name] = half.node;
      }
    }
  }
  auto image = std::make_unique<SimFileSystem>(random.Next());
  image->capacity_bytes_ = capacity_bytes_;
  const std::function<void(const SimNode&, SimNode&)> copy = [&](const SimNode& from, SimNode& to) {
    if (!from.is_directory) {
      to.data = SimFileData::Durable(from.data.Crash(mode, random));
      image->Recount(to);
      return;
    }
    const auto found = changed.find(from.id);
    for (const auto& [name, child] :
         found == changed.end() ? from.durable_entries : found->second) {
      NodePtr node = image->MakeNode(child->is_directory);
      node->links = 1;
      copy(*child, *node);
      to.entries[name] = node;
      to.durable_entries[name] = std::move(node);
    }
  };
  copy(*root_, *image->root_);
  return image;
}

}  // namespace millrace::sim

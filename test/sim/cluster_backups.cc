#include "test/sim/cluster_backups.h"

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/file_system.h"
#include "metadata/image.h"
#include "storage/dir_identity.h"
#include "test/sim/cluster_disks.h"
#include "test/sim/cluster_logs.h"

namespace millrace::sim {
namespace {

constexpr const char* kLogDirs[] = {"disk-a", "disk-b"};

size_t BytesOnDisk(ClusterState& world, int host) {
  size_t bytes = 0;
  for (const auto& topic : world.topics) {
    for (int i = 0; i < topic->partitions; ++i) {
      bytes += LogOn(world, host, *topic, PartitionIndex(i)).size();
    }
  }
  return bytes;
}

}  // namespace

void ClusterBackups::BackUp(int host) {
  world_.Reached("backup");
  host_ = host;
  // A snapshot of a volume is what a power loss leaves.
  const CrashMode modes[] = {CrashMode::kKeepAll, CrashMode::kLoseAll, CrashMode::kTorn};
  disk_ = world_.server(host).disk().CrashImage(modes[random_.Below(3)], random_);
}

BrokerEpoch ClusterBackups::LastOpen(const std::string& log_dir) const {
  const auto left = storage::LoadHowItWasLeft(*disk_, log_dir);
  return left.ok() ? left->open.broker_epoch : kNoBrokerEpoch;
}

bool ClusterBackups::IsOutdated() {
  const metadata::Image* const image = world_.committed_image();
  const metadata::BrokerImage* const broker =
      image == nullptr || host_ == 0 ? nullptr : image->FindBroker(NodeId(host_));
  if (broker == nullptr) return false;
  for (const char* log_dir : kLogDirs) {
    const BrokerEpoch last_open = LastOpen(log_dir);
    if (last_open == kNoBrokerEpoch || last_open >= broker->epoch) return false;
    // One that never was active has changed nothing, and the run before counts.
    if (!broker->was_active) return false;
  }
  return true;
}

void ClusterBackups::Restore() {
  const size_t before = BytesOnDisk(world_, host_);
  SimFileSystem& disk = world_.server(host_).disk();
  const std::string only = AnyLogDir(random_);
  const bool all = OneIn(random_, 2);
  for (const char* log_dir : kLogDirs) {
    if (!all && only != log_dir) continue;
    CHECK_OK(RemoveTree(disk, log_dir));
    Copy(log_dir);
  }
  disk.SyncAll();
  world_.Reached(all ? "log-dirs-restored" : "log-dir-restored");
  if (BytesOnDisk(world_, host_) < before) world_.Reached("restored-with-less");
  host_ = 0;
  disk_.reset();
}

void ClusterBackups::Copy(const std::string& directory) {
  SimFileSystem& disk = world_.server(host_).disk();
  CHECK_OK(disk.CreateDirectory(directory));
  const auto entries = disk_->ListDirectory(directory);
  CHECK_OK(entries);
  for (const DirectoryEntry& entry : *entries) {
    const std::string path = absl::StrCat(directory, "/", entry.name);
    if (entry.is_directory) {
      Copy(path);
      continue;
    }
    std::string bytes(entry.size_bytes, '\0');
    CHECK_EQ(disk_->Peek(path, 0, absl::MakeSpan(bytes)), bytes.size());
    const auto file = disk.Open(path, OpenMode::kCreate);
    CHECK_OK(file);
    CHECK_OK((*file)->WriteAt(0, bytes));
  }
}

}  // namespace millrace::sim

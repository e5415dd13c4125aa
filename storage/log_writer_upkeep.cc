// What a LogWriter does beside its rounds, by timers: deletions that wait for readers, the free
// space, the lone seal of the sync journal, recovery points.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status.h"
#include "storage/file_names.h"
#include "storage/log_writer.h"

namespace millrace::storage {
namespace {

// How often the free space is looked at: others write to the file system, too.
constexpr absl::Duration kSpaceCheckDelay = absl::Seconds(1);
// A deletion that waits for readers looks again after this.
constexpr absl::Duration kDeleteRetryDelay = absl::Milliseconds(100);

}  // namespace

LogWriter::Metrics LogWriter::MetricsIn(MetricRegistry* metrics, const std::string& directory) {
  Metrics cells;
  if (metrics == nullptr) return cells;
  const MetricLabels labels = {{"directory", directory}};
  cells.round_seconds =
      &metrics->AddHistogram("millrace_storage_round_seconds",
                             "Time of a round of group commit, its syncs included.", 1e-5, labels);
  cells.round_bytes = &metrics->AddHistogram(
      "millrace_storage_round_bytes", "Bytes appended by a round of group commit.", 256, labels);
  cells.round_logs = &metrics->AddHistogram("millrace_storage_round_partitions",
                                            "Partitions in a round of group commit.", 1, labels);
  cells.written_bytes = &metrics->AddCounter("millrace_storage_written_bytes_total",
                                             "Bytes appended to partitions.", labels);
  cells.free_bytes = &metrics->AddGauge(
      "millrace_log_dir_free_bytes", "Free space of a log directory, as last looked at.", labels);
  cells.total_bytes =
      &metrics->AddGauge("millrace_log_dir_total_bytes", "Size of its file system.", labels);
  cells.full =
      &metrics->AddGauge("millrace_log_dir_full",
                         "1 while a log directory takes no records for want of room.", labels);
  cells.offline =
      &metrics->AddGauge("millrace_log_dir_offline", "1 after a log directory has failed.", labels);
  return cells;
}

void LogWriter::DeleteWhenFree(Deletion deletion) {
  // They went with the replica's directory, or with that aside; or when the log began anew.
  std::erase_if(deletion.segments, [&](const auto& segment) {
    return segment->log->gone || segment->log->restarts != deletion.restarts;
  });
  const bool free = std::all_of(deletion.segments.begin(), deletion.segments.end(),
                                [](const auto& segment) { return segment.use_count() == 1; });
  if (!free) {
    After(kDeleteRetryDelay, [deletion = std::move(deletion)](LogWriter& self) mutable {
      self.DeleteWhenFree(std::move(deletion));
      return self.status_;
    });
    return;
  }
  const absl::Status status = DeleteNow(deletion);
  if (CodeOf(status) == ErrorCode::kStorageFull) {
    // Not even for the new names.
    After(kDeleteRetryDelay, [deletion = std::move(deletion)](LogWriter& self) mutable {
      self.DeleteWhenFree(std::move(deletion));
      return self.status_;
    });
  } else if (!status.ok()) {
    Fail(status);
  }
}

absl::Status LogWriter::DeleteNow(const Deletion& deletion) {
  for (const auto& segment : deletion.segments) {
    for (const absl::string_view suffix :
         {kOffsetIndexSuffix, kTimeIndexSuffix, kSnapshotSuffix, kLogSuffix}) {
      const std::string path = segment->Path(suffix);
      // Nothing to do for a replica deleted meanwhile.
      ASSIGN_OR_RETURN(const bool exists, files_->Exists(path));
      if (exists) RETURN_IF_ERROR(files_->Rename(path, absl::StrCat(path, kDeletedSuffix)));
    }
  }
  if (deletion.segments.empty()) return absl::OkStatus();
  // A full disk needs the room more than anybody the files.
  const bool full = flags_->full.load(std::memory_order_relaxed);
  After(absl::Milliseconds(full ? 0 : deletion.delay_ms),
        [segments = deletion.segments](LogWriter& self) { return self.RemoveDeleted(segments); });
  return absl::OkStatus();
}

absl::Status LogWriter::RemoveDeleted(const Segments& segments) {
  for (const auto& segment : segments) {
    for (const absl::string_view suffix :
         {kOffsetIndexSuffix, kTimeIndexSuffix, kSnapshotSuffix, kLogSuffix}) {
      const std::string path = absl::StrCat(segment->Path(suffix), kDeletedSuffix);
      ASSIGN_OR_RETURN(const bool exists, files_->Exists(path));
      if (exists) RETURN_IF_ERROR(files_->RemoveFile(path));
    }
  }
  return absl::OkStatus();
}

absl::Status LogWriter::CheckSpace() {
  bytes_since_space_check_ = 0;
  ASSIGN_OR_RETURN(const SpaceInfo space, files_->Space(options_.directory));
  flags_->free_bytes.store(space.free_bytes, std::memory_order_relaxed);
  flags_->total_bytes.store(space.total_bytes, std::memory_order_relaxed);
  NoteReserve(space);
  const bool full = waits_for_room_ || reserve_reached_;
  flags_->full.store(full, std::memory_order_relaxed);
  if (metrics_.free_bytes != nullptr) {
    metrics_.free_bytes->Set(static_cast<double>(space.free_bytes));
    metrics_.total_bytes->Set(static_cast<double>(space.total_bytes));
    metrics_.full->Set(full ? 1 : 0);
  }
  if (space_check_posted_) return absl::OkStatus();
  space_check_posted_ = true;
  After(kSpaceCheckDelay, [](LogWriter& self) {
    self.space_check_posted_ = false;
    return self.CheckSpace();
  });
  return absl::OkStatus();
}

void LogWriter::NoteReserve(const SpaceInfo& space) {
  const bool reached = space.free_bytes < options_.reserve_bytes;
  if (reached == std::exchange(reserve_reached_, reached)) return;
  if (reached) {
    LOG_WARN("storage",
             "log directory refuses records, since its file system has less room than "
             "log.dir.reserve.bytes: free space, delete topics or records, or shorten retention",
             {{"directory", options_.directory},
              {"free_bytes", space.free_bytes},
              {"reserve_bytes", options_.reserve_bytes}});
  } else {
    LOG_INFO("storage", "log directory has more room than log.dir.reserve.bytes again",
             {{"directory", options_.directory},
              {"free_bytes", space.free_bytes},
              {"reserve_bytes", options_.reserve_bytes}});
  }
}

void LogWriter::ScheduleSeal() {
  if (seal_posted_ || !syncs_->has_pending()) return;
  seal_posted_ = true;
  After(options_.seal_delay, [](LogWriter& self) {
    self.seal_posted_ = false;
    return self.syncs_->Flush();
  });
}

void LogWriter::ScheduleFlush(const std::shared_ptr<DiskLog>& log, int64_t flush_ms) {
  // Longer than this: left to the operating system, as is the default.
  constexpr int64_t kFlushMsMax = int64_t{365} * 24 * 3600 * 1000;
  if (log->flush_posted || flush_ms > kFlushMsMax) return;
  log->flush_posted = true;
  After(absl::Milliseconds(flush_ms), [log](LogWriter& self) -> absl::Status {
    log->flush_posted = false;
    if (log->gone || !log->unsynced) return absl::OkStatus();
    RETURN_IF_ERROR(log->SyncData());
    self.Vouch(*log);
    self.ReportProgress(*log, std::nullopt, absl::OkStatus());
    self.SendReports();
    self.ScheduleSeal();
    return absl::OkStatus();
  });
}

void LogWriter::ScheduleCheckpoint() {
  if (checkpoint_posted_) return;
  checkpoint_posted_ = true;
  After(options_.checkpoint_interval, [](LogWriter& self) {
    self.checkpoint_posted_ = false;
    self.RequestCheckpoints();
    return absl::OkStatus();
  });
}

void LogWriter::RequestCheckpoints() {
  // They would need room, and wait behind what does.
  if (waits_for_room_) return;
  for (const auto& [number, log] : logs_) {
    if (log->owner == nullptr || !log->active_base.has_value() || log->size == 0) continue;
    const RecoveryPoint* const point = points_->Find(log->topic_partition());
    const bool of_segment = point != nullptr && point->segment_base == *log->active_base;
    const uint64_t position = of_segment ? point->position : 0;
    // Small ones are read again as fast as a point is written.
    if (log->size <= position || log->size - position < options_.checkpoint_bytes_min) continue;
    LogProgress progress;
    progress.handle = log->handle;
    progress.wants_checkpoint = true;
    ReportTo(log->owner).progress.push_back(std::move(progress));
  }
  SendReports();
}

void LogWriter::After(absl::Duration delay, absl::AnyInvocable<absl::Status(LogWriter&) &&> what) {
  disk_->PostAt(clock_->Now() + delay, [weak = weak_from_this(), what = std::move(what)]() mutable {
    const auto self = weak.lock();
    if (self == nullptr || !self->status_.ok()) return;
    self->OnError(std::move(what)(*self));
  });
}

}  // namespace millrace::storage

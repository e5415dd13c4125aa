#include "storage/log_writer.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"
#include "record/batch_view.h"
#include "storage/file_names.h"
#include "storage/segment_repair.h"

namespace millrace::storage {
namespace {

// How often the free space is looked at while bytes flow.
constexpr uint64_t kSpaceCheckBytes = 4 << 20;
// Not every sync is measured: there may be ten thousand in a second.
constexpr absl::Duration kMeasureInterval = absl::Milliseconds(100);

// The worst: that there is no room comes after all others.
absl::Status WorstError(const std::vector<FileWrite>& writes) {
  absl::Status worst;
  for (const FileWrite& write : writes) {
    if (write.status.ok()) continue;
    if (CodeOf(write.status) != ErrorCode::kStorageFull) return write.status;
    worst = write.status;
  }
  return worst;
}

}  // namespace

LogWriter::LogWriter(const Options& options, FileSystem* files, Executor* disk, Clock* clock,
                     PartitionsJournal* partitions, SyncJournal* syncs, RecoveryPoints* points,
                     std::shared_ptr<LogDirFlags> flags, const Metrics& metrics,
                     DoneOnDisk on_failure)
    : options_(options),
      files_(files),
      disk_(disk),
      clock_(clock),
      partitions_(partitions),
      syncs_(syncs),
      points_(points),
      flags_(std::move(flags)),
      metrics_(metrics),
      on_failure_(std::move(on_failure)) {}

void LogWriter::Enqueue(const std::shared_ptr<StagingPort>& port, std::vector<LogOp>* ops) {
  for (LogOp& op : *ops) queue_.push_back({port, std::move(op)});
  ops->clear();
}

void LogWriter::Accept(const std::shared_ptr<StagingPort>& port, std::vector<LogOp> ops) {
  Enqueue(port, &ops);
  PostRound();
}

void LogWriter::AfterRound(DoneOnDisk done) {
  if (!status_.ok()) {
    std::move(done)(status_);
    return;
  }
  after_round_.push_back(std::move(done));
  PostRound();
}

void LogWriter::PostRound() {
  if (round_posted_) return;
  round_posted_ = true;
  // Behind all tasks that wait already: what they bring goes into the same round.
  disk_->Post([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->RunRound();
  });
}

void LogWriter::RunRound() {
  round_posted_ = false;
  if (status_.ok()) {
    OnError(waits_for_room_ ? WaitForRoom() : RunQueue());
  }
  if (!status_.ok()) {
    DropQueue();
    return;
  }
  ScheduleSeal();
  ScheduleIdleClose();
  ScheduleCheckpoint();
}

absl::Status LogWriter::RunQueue() {
  if (bytes_since_space_check_ >= kSpaceCheckBytes) RETURN_IF_ERROR(CheckSpace());
  // What found no room goes alone: the journal may know already where its round ends.
  if (!appends_.empty()) RETURN_IF_ERROR(Commit());
  while (!queue_.empty()) {
    RETURN_IF_ERROR(CreateFiles(queue_));
    std::vector<Queued> queue = std::exchange(queue_, {});
    for (size_t i = 0; i < queue.size(); ++i) {
      if (absl::Status status = CarryOut(queue[i]); !status.ok()) {
        // The rest waits for room, or is dropped by whoever fails the writer.
        queue_.assign(std::make_move_iterator(queue.begin() + static_cast<std::ptrdiff_t>(i)),
                      std::make_move_iterator(queue.end()));
        return status;
      }
    }
  }
  return Commit();
}

absl::Status LogWriter::CarryOut(Queued& queued) {
  absl::Status status = TryToCarryOut(queued);
  if (CodeOf(status) != ErrorCode::kStorageFull) return status;
  // Perhaps among the files that may be open, of which what is gathered holds some until it is
  // written.
  if (!appends_.empty()) RETURN_IF_ERROR(Commit());
  ASSIGN_OR_RETURN(const bool closed, CloseOthers());
  return closed ? TryToCarryOut(queued) : status;
}

absl::Status LogWriter::TryToCarryOut(Queued& queued) {
  LogOp& op = queued.op;
  files_open_ = true;
  if (!op.log->gone && op.kind != LogOp::Kind::kAppend) {
    if (append_of_.count(op.log->number()) != 0) RETURN_IF_ERROR(Commit());
    return Perform(op);
  }
  if (!op.log->gone) RETURN_IF_ERROR(Gather(op));
  Report& report = ReportTo(queued.port->owner());
  if (!op.batches.empty()) {
    report.released.emplace_back(queued.port, static_cast<int64_t>(op.batches.size()));
  }
  if (!op.log->gone) {
    held_.push_back(std::move(op));
  } else if (op.done) {
    report.done.emplace_back(std::move(op.done),
                             MakeError(ErrorCode::kStorageError, "the replica is gone"));
  }
  return absl::OkStatus();
}

absl::Status LogWriter::Gather(const LogOp& op) {
  DiskLog& log = *op.log;
  RETURN_IF_ERROR(OpenActive(log, op.segment_base));
  if (!partitions_->replicas().at(log.number()).has_data) partitions_->SetHasData(log.number());
  const auto [at, first] = append_of_.try_emplace(log.number(), appends_.size());
  if (first) {
    appends_.emplace_back();
    appends_.back().log = &log;
    appends_.back().position = log.size;
  }
  Append& append = appends_[at->second];
  log.builder.set_interval_bytes(op.index_interval_bytes);
  Slice rest = op.batches;
  while (!rest.empty()) {
    // Validated when staged.
    const absl::StatusOr<record::BatchView> batch = record::BatchView::ParseWithVerifiedCrc(rest);
    CHECK_OK(batch.status());
    if (batch->leader_epoch() != log.last_epoch) {
      log.last_epoch = batch->leader_epoch();
      log.new_epochs.push_back({log.last_epoch, batch->base_offset()});
    }
    if (log.size == 0) log.first_timestamp_ms = batch->max_timestamp_ms();
    log.last_batch = log.size;
    log.builder.Add(*batch, log.size, &append.offset_entries, &append.time_entries);
    log.size += batch->size();
    rest.remove_prefix(batch->size());
  }
  append.pieces.push_back(op.batches);
  append.bytes += op.batches.size();
  append.sync |= op.sync;
  if (!op.sync) ScheduleFlush(op.log, op.flush_ms);
  append.end = op.end;
  append.preallocate_bytes_min = op.preallocate_bytes_min;
  append.preallocate_bytes_max = op.preallocate_bytes_max;
  return absl::OkStatus();
}

absl::Status LogWriter::MakeReady(const Append& append) {
  DiskLog& log = *append.log;
  // While it waited for room, idle files were closed perhaps.
  RETURN_IF_ERROR(OpenActive(log, *log.active_base));
  if (!append.sync) return absl::OkStatus();
  return log.Allocate(append.position + append.bytes, append.bytes, append.preallocate_bytes_min,
                      append.preallocate_bytes_max);
}

void LogWriter::AddWrites(Append& append, std::vector<FileWrite>* writes) {
  const auto add = [&](File* file, uint64_t offset, bool synced) -> FileWrite& {
    FileWrite& write = writes->emplace_back();
    write.file = file;
    write.offset = offset;
    write.sync = synced;
    return write;
  };
  DiskLog& log = *append.log;
  append.writes_begin = writes->size();
  add(log.log_file.get(), append.position, append.sync).pieces = std::move(append.pieces);
  // The indexes are hints: synced when the segment is sealed.
  if (!append.offset_entries.empty()) {
    add(log.index_file.get(), log.index_size, false).pieces.push_back(append.offset_entries);
  }
  if (!append.time_entries.empty()) {
    add(log.time_file.get(), log.time_size, false).pieces.push_back(append.time_entries);
  }
  append.writes_end = writes->size();
}

absl::Status LogWriter::WriteAppends(bool sync) {
  for (const Append& append : appends_) {
    if (append.sync == sync && !append.written) RETURN_IF_ERROR(MakeReady(append));
  }
  std::vector<FileWrite> writes;
  for (Append& append : appends_) {
    if (append.sync != sync || append.written) continue;
    AddWrites(append, &writes);
    if (!sync) continue;
    syncs_->SetRoundEnd(append.log->number(),
                        {*append.log->active_base, append.position + append.bytes, append.end});
  }
  const size_t journals = writes.size();
  bool partitions = false;
  bool syncs = false;
  if (sync) RETURN_IF_ERROR(AddJournals(&writes, &partitions, &syncs));
  if (writes.empty()) return absl::OkStatus();
  files_->WriteAndSync(absl::MakeSpan(writes));
  absl::Status status = WorstError(writes);
  if (!status.ok() && CodeOf(status) != ErrorCode::kStorageFull) return status;
  const auto all_ok = [&](size_t from, size_t to) {
    return std::all_of(writes.begin() + static_cast<std::ptrdiff_t>(from),
                       writes.begin() + static_cast<std::ptrdiff_t>(to),
                       [](const FileWrite& write) { return write.status.ok(); });
  };
  const bool journalled = all_ok(journals, writes.size());
  if (partitions && writes[journals].status.ok()) partitions_->Finish();
  if (syncs && writes.back().status.ok()) syncs_->Finish();
  for (Append& append : appends_) {
    if (append.sync != sync || append.written) continue;
    if (journalled && all_ok(append.writes_begin, append.writes_end)) {
      Advance(append);
      continue;
    }
    // A part may be there. It is written again, whole, in the same place.
    append.pieces = std::move(writes[append.writes_begin].pieces);
    RETURN_IF_ERROR(append.log->NoteAllocated());
  }
  return status;
}

absl::Status LogWriter::AddJournals(std::vector<FileWrite>* writes, bool* partitions, bool* syncs) {
  if (partitions_->has_pending()) {
    FileWrite write;
    RETURN_IF_ERROR(partitions_->Begin(&write));
    writes->push_back(std::move(write));
    *partitions = true;
  }
  // The ends of earlier rounds: those of this one follow with the next (S-08).
  if (syncs_->has_pending()) {
    FileWrite write;
    RETURN_IF_ERROR(syncs_->Begin(&write));
    writes->push_back(std::move(write));
    *syncs = true;
  }
  return absl::OkStatus();
}

void LogWriter::Advance(Append& append) {
  DiskLog& log = *append.log;
  append.written = true;
  log.index_size += append.offset_entries.size();
  log.time_size += append.time_entries.size();
  bytes_since_space_check_ += append.bytes;
  if (metrics_.written_bytes != nullptr) {
    metrics_.written_bytes->Add(static_cast<int64_t>(append.bytes));
  }
  log.end = append.end;
  log.last_append = clock_->Now();
  log.unsynced = !append.sync;
  if (append.sync) {
    log.durable = log.end;
    Vouch(log);
  }
  ReportProgress(log, std::nullopt, absl::OkStatus());
}

void LogWriter::Vouch(DiskLog& log) {
  syncs_->SetDurable(log.number(), log.durable);
  for (const EpochEntry& entry : std::exchange(log.new_epochs, {})) {
    syncs_->AddEpoch(log.number(), entry);
  }
}

void LogWriter::FinishWaiting() {
  for (Waiting& waiting : std::exchange(waiting_, {})) {
    ReportTo(waiting.owner).done.emplace_back(std::move(waiting.done), absl::OkStatus());
  }
  SendReports();
  for (DoneOnDisk& done : std::exchange(after_round_, {})) std::move(done)(absl::OkStatus());
  for (Deletion& deletion : std::exchange(deletions_, {})) DeleteWhenFree(std::move(deletion));
}

absl::Status LogWriter::Commit() {
  const MonotonicTime begin = clock_->Now();
  uint64_t bytes = 0;
  bool any_unsynced = false;
  for (const Append& append : appends_) {
    bytes += append.bytes;
    any_unsynced |= !append.sync;
  }
  if (any_unsynced) {
    RETURN_IF_ERROR(WriteAppends(false));
    SendReports();
  }
  RETURN_IF_ERROR(WriteAndMeasure());
  if (!appends_.empty() && metrics_.round_seconds != nullptr) {
    metrics_.round_seconds->Record(absl::ToDoubleSeconds(clock_->Now() - begin));
    metrics_.round_bytes->Record(static_cast<double>(bytes));
    metrics_.round_logs->Record(static_cast<double>(appends_.size()));
  }
  appends_.clear();
  append_of_.clear();
  held_.clear();
  FinishWaiting();
  RETURN_IF_ERROR(points_->Flush());
  // Not needed: where there is no room for the new file, the old one goes on.
  const auto rewrite = [](auto* journal) -> absl::Status {
    const absl::Status status = journal->grown() ? journal->Rewrite() : absl::OkStatus();
    return CodeOf(status) == ErrorCode::kStorageFull ? absl::OkStatus() : status;
  };
  RETURN_IF_ERROR(rewrite(partitions_));
  return rewrite(syncs_);
}

absl::Status LogWriter::WriteAndMeasure() {
  const bool syncs =
      std::any_of(appends_.begin(), appends_.end(), [](const Append& a) { return a.sync; });
  if (!syncs) return WriteAppends(true);
  const MonotonicTime begin = clock_->Now();
  flags_->sync_began_nanos.store(begin.nanos(), std::memory_order_relaxed);
  const absl::Status status = WriteAppends(true);
  flags_->sync_began_nanos.store(0, std::memory_order_relaxed);
  if (begin - last_measured_ < kMeasureInterval && last_measured_ != MonotonicTime()) return status;
  last_measured_ = begin;
  // It has lasted until this strand is free again: a simulated disk takes its time after the call.
  disk_->Post([flags = flags_, clock = clock_, begin] {
    flags->syncs_nanos.fetch_add(absl::ToInt64Nanoseconds(clock->Now() - begin),
                                 std::memory_order_relaxed);
    flags->syncs_measured.fetch_add(1, std::memory_order_relaxed);
  });
  return status;
}

absl::Status LogWriter::Perform(LogOp& op) {
  switch (op.kind) {
    case LogOp::Kind::kAppend:
      break;
    case LogOp::Kind::kRoll:
      return PerformRoll(op);
    case LogOp::Kind::kTruncate:
      return PerformTruncate(op);
    case LogOp::Kind::kRestart:
      return PerformRestart(op);
    case LogOp::Kind::kReplace:
      // The new file has an empty batch for what is deleted: no power loss may bring back a log
      // that begins before that.
      RETURN_IF_ERROR(partitions_->Flush());
      RETURN_IF_ERROR(op.repair->PutInPlace());
      if (op.done) ReportTo(op.log->owner).done.emplace_back(std::move(op.done), absl::OkStatus());
      return absl::OkStatus();
    case LogOp::Kind::kCheckpoint:
      return PerformCheckpoint(op);
    case LogOp::Kind::kClose:
      return PerformClose(op);
    case LogOp::Kind::kLogStart:
      partitions_->SetLogStart(op.log->number(), op.to);
      deletions_.push_back(
          {std::move(op.segments), op.delete_delay_ms, op.log->identity()->restarts});
      if (op.done) waiting_.push_back({op.log->owner, std::move(op.done)});
      return absl::OkStatus();
  }
  CHECK(false) << "an append is gathered, not performed";
  return absl::OkStatus();
}

absl::Status LogWriter::PerformRoll(LogOp& op) {
  DiskLog& log = *op.log;
  RETURN_IF_ERROR(log.Seal(op.index_interval_bytes));
  RETURN_IF_ERROR(log.WriteSnapshot(op.to, op.snapshot));
  RETURN_IF_ERROR(log.WriteEpochs(op.epochs));
  if (const RecoveryPoint* const point = points_->Find(log.topic_partition()); point != nullptr) {
    // It was of the segment that is sealed now.
    RETURN_IF_ERROR(log.RemovePassingSnapshot(point->offset));
    points_->Remove(log.topic_partition());
  }
  // At once, so that retention may delete all segments before it.
  RETURN_IF_ERROR(OpenActive(log, op.to));
  log.last_append = clock_->Now();
  Vouch(log);
  ReportProgress(log, std::nullopt, absl::OkStatus());
  return absl::OkStatus();
}

absl::Status LogWriter::PerformTruncate(LogOp& op) {
  DiskLog& log = *op.log;
  LogProgress::Truncated truncated;
  if (log.exists) {
    RETURN_IF_ERROR(points_->RemoveNow(log.topic_partition()));
    // First the mark and the hint, which must never vouch for more than is there.
    RETURN_IF_ERROR(syncs_->Lower(log.number(), op.to));
    // Nor is it told or vouched for, where the rest has to wait for room.
    log.end = std::min(log.end, op.to);
    log.durable = std::min(log.durable, op.to);
    std::erase_if(log.new_epochs, [&](const EpochEntry& e) { return e.start_offset >= op.to; });
    log.last_epoch = kNoLeaderEpoch;
    RETURN_IF_ERROR(log.WriteEpochs(op.epochs));
    const absl::Status cut = log.Truncate(op.to, op.segment_base, op.index_interval_bytes);
    if (CodeOf(cut) == ErrorCode::kCorruptLog) {
      // Of this log only: it goes offline, the directory lives. Nothing is finished in it, so that
      // no more than is on the disk may be vouched for.
      log.gone = true;
      log.end = log.durable;
      ReportProgress(log, std::nullopt, cut);
      return absl::OkStatus();
    }
    RETURN_IF_ERROR(cut);
    truncated.size_bytes = static_cast<int64_t>(log.size);
    truncated.max_timestamp_ms = log.builder.max_timestamp_ms();
    if (op.rebuild_producers) {
      ASSIGN_OR_RETURN(const std::vector<Offset> segments, log.ListSegments());
      ASSIGN_OR_RETURN(truncated.producers,
                       RebuildProducers(*files_, log.directory(), segments, op.to));
    }
  }
  log.generation = op.generation;
  log.end = log.durable = op.to;
  ReportProgress(log, std::move(truncated), absl::OkStatus());
  return absl::OkStatus();
}

absl::Status LogWriter::PerformRestart(LogOp& op) {
  DiskLog& log = *op.log;
  // What is still to be deleted goes now, or what has its name is the new log's.
  ++log.identity()->restarts;
  RETURN_IF_ERROR(points_->RemoveNow(log.topic_partition()));
  syncs_->Forget(log.number());
  log.new_epochs.clear();
  log.last_epoch = kNoLeaderEpoch;
  RETURN_IF_ERROR(syncs_->Flush());
  const auto files = [&]() -> absl::Status {
    // Nothing but the start needs to be on disk of a log without files.
    if (!log.exists) return absl::OkStatus();
    RETURN_IF_ERROR(log.Restart(op.to));
    return log.WriteEpochs(op.epochs);
  };
  // A crash in between finds a log that ends below its start, and begins it there: forwards that
  // finishes the work; backwards, where the log was empty, that undoes it.
  const bool forwards = op.to >= log.end;
  if (!forwards) RETURN_IF_ERROR(files());
  partitions_->SetLogStart(log.number(), op.to);
  RETURN_IF_ERROR(partitions_->Flush());
  if (forwards) RETURN_IF_ERROR(files());
  log.generation = op.generation;
  log.end = log.durable = op.to;
  ReportProgress(log, LogProgress::Truncated{}, absl::OkStatus());
  return absl::OkStatus();
}

absl::Status LogWriter::WriteHints(DiskLog& log, const LogOp& op) {
  ASSIGN_OR_RETURN(const std::optional<RecoveryPoint> point, log.MakeRecoveryPoint());
  RETURN_IF_ERROR(log.WriteSnapshot(op.to, op.snapshot));
  RETURN_IF_ERROR(log.WriteEpochs(op.epochs));
  if (point.has_value()) {
    const RecoveryPoint* const before = points_->Find(log.topic_partition());
    if (before != nullptr && before->offset != op.to) {
      RETURN_IF_ERROR(log.RemovePassingSnapshot(before->offset));
    }
    points_->Set(log.topic_partition(), *point);
  }
  Vouch(log);
  ReportProgress(log, std::nullopt, absl::OkStatus());
  return absl::OkStatus();
}

absl::Status LogWriter::PerformCheckpoint(LogOp& op) {
  // Only a log whose files are as its owner sees them can be described.
  if (!op.log->exists || op.log->end != op.to) return absl::OkStatus();
  const absl::Status status = WriteHints(*op.log, op);
  return CodeOf(status) == ErrorCode::kStorageFull ? absl::OkStatus() : status;
}

absl::Status LogWriter::PerformClose(LogOp& op) {
  DiskLog& log = *op.log;
  if (log.exists) {
    RETURN_IF_ERROR(log.Seal(op.index_interval_bytes));
    RETURN_IF_ERROR(WriteHints(log, op));
    RETURN_IF_ERROR(log.CloseFiles());
  }
  if (op.done) ReportTo(log.owner).done.emplace_back(std::move(op.done), absl::OkStatus());
  return absl::OkStatus();
}

void LogWriter::AddLog(std::shared_ptr<DiskLog> log) { logs_[log->number()] = std::move(log); }

void LogWriter::RemoveLog(const DiskLog& log) { logs_.erase(log.number()); }

absl::Status LogWriter::Drain() {
  RETURN_IF_ERROR(status_);
  absl::Status status = waits_for_room_ ? WaitForRoom() : RunQueue();
  if (status.ok()) status = partitions_->Flush();
  if (status.ok()) status = syncs_->Flush();
  OnError(status);
  return status_;
}

LogWriter::Report& LogWriter::ReportTo(Executor* owner) {
  for (Report& report : reports_) {
    if (report.owner == owner) return report;
  }
  reports_.emplace_back();
  reports_.back().owner = owner;
  return reports_.back();
}

void LogWriter::ReportProgress(const DiskLog& log, std::optional<LogProgress::Truncated> truncated,
                               const absl::Status& failure) {
  if (log.owner == nullptr) return;
  LogProgress progress;
  progress.handle = log.handle;
  progress.generation = log.generation;
  progress.written = log.end;
  progress.durable = log.durable;
  progress.truncated = std::move(truncated);
  progress.failure = failure;
  ReportTo(log.owner).progress.push_back(std::move(progress));
}

void LogWriter::SendReports() {
  for (Report& report : std::exchange(reports_, {})) {
    Executor* const owner = report.owner;
    owner->Post([report = std::move(report)]() mutable {
      for (const auto& [port, bytes] : report.released) port->Release(bytes);
      for (LogProgress& progress : report.progress) Deliver(progress);
      for (auto& [done, status] : report.done) std::move(done)(status);
    });
  }
}

void LogWriter::DropQueue() {
  for (Queued& queued : std::exchange(queue_, {})) {
    Report& report = ReportTo(queued.port->owner());
    report.released.emplace_back(queued.port, static_cast<int64_t>(queued.op.batches.size()));
    if (queued.op.done) report.done.emplace_back(std::move(queued.op.done), status_);
  }
  SendReports();
}

void LogWriter::Fail(const absl::Status& status) {
  if (!status_.ok()) return;
  status_ = status;
  flags_->failed.store(true, std::memory_order_relaxed);
  if (metrics_.offline != nullptr) metrics_.offline->Set(1);
  for (const auto& [number, log] : logs_) ReportProgress(*log, std::nullopt, status);
  for (Waiting& waiting : std::exchange(waiting_, {})) {
    ReportTo(waiting.owner).done.emplace_back(std::move(waiting.done), status);
  }
  DropQueue();
  for (DoneOnDisk& done : std::exchange(after_round_, {})) std::move(done)(status);
  deletions_.clear();
  appends_.clear();
  append_of_.clear();
  held_.clear();
  std::move(on_failure_)(status);
}

}  // namespace millrace::storage

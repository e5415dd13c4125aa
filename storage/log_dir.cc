#include "storage/log_dir.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"
#include "storage/dir_identity.h"
#include "storage/file_names.h"
#include "storage/leftovers.h"
#include "storage/log_recovery.h"
#include "storage/log_writer.h"
#include "storage/partitions_journal.h"
#include "storage/recovery_points.h"
#include "storage/recovery_progress.h"
#include "storage/sync_journal.h"

namespace millrace::storage {
namespace {

constexpr uint64_t kSmallFileBytesMax = uint64_t{256} << 20;

}  // namespace

// Everything below runs on the disk executor, but for what the header says any thread may read.
class LogDir::Impl : public std::enable_shared_from_this<LogDir::Impl> {
 public:
  Impl(const LogDirOptions& options, const LogDirDeps& deps)
      : options_(options),
        deps_(deps),
        flags_(std::make_shared<LogDirFlags>()),
        syncs_(deps.files, Path(kSyncJournalFile), options.journal_bytes_max),
        partitions_(deps.files, Path(kPartitionsJournalFile), options.journal_bytes_max, &syncs_),
        points_(deps.files, Path(kRecoveryPointsFile)) {}

  absl::Status Open();
  void BeginEpoch(BrokerEpoch epoch, Executor* executor, Done done);
  void RegistrationCommitted(BrokerEpoch epoch, Executor* executor, Done done);
  void OpenLog(const TopicPartition& topic_partition, const std::string& topic_name,
               const LogConfig& config, Executor* owner, LogDone done);
  void DeleteReplica(const TopicPartition& topic_partition, Executor* executor, Done done);
  void MarkStray(const TopicPartition& topic_partition, Executor* executor, Done done);
  void Close(Executor* executor, Done done);
  void OnFailure(Executor* executor, absl::AnyInvocable<void(absl::Status)> callback);

  const LogDirState& state() const { return state_; }
  const LogDirOptions& options() const { return options_; }
  const LogDirFlags& flags() const { return *flags_; }
  Executor* disk() const { return deps_.disk; }

 private:
  std::string Path(absl::string_view name) const { return JoinPath(options_.path, name); }
  FileSystem& files() { return *deps_.files; }

  absl::Status OpenIdentity();
  absl::Status LoadHowItWasLeft();
  absl::Status RecoverReplicas();
  absl::Status MakeWriter();
  absl::StatusOr<std::string> ReadSmallFile(absl::string_view name, bool* found);
  absl::Status WriteOpenRecord(const OpenRecord& record);
  absl::StatusOr<RecoveredLog> TakeReplica(const TopicPartition& topic_partition,
                                           const std::string& topic_name, bool* created);
  absl::Status DeleteNow(const TopicPartition& topic_partition);
  absl::Status MarkStrayNow(const TopicPartition& topic_partition);
  absl::Status CloseNow();
  // The directory's own failure, if `status` is one of the disk.
  absl::Status Checked(const absl::Status& status);
  std::shared_ptr<StagingPort> PortOf(Executor* owner);
  std::shared_ptr<LogFilesIdentity> MakeIdentity(const ReplicaRecord& replica) const;

  const LogDirOptions options_;
  const LogDirDeps deps_;
  const std::shared_ptr<LogDirFlags> flags_;
  SyncJournal syncs_;
  PartitionsJournal partitions_;
  RecoveryPoints points_;
  std::unique_ptr<FileLock> lock_;
  LogDirState state_;
  OpenRecord open_record_;
  std::map<TopicPartition, Offset> clean_ends_;
  // Recovered and not opened yet; and the disk side of all others.
  std::map<TopicPartition, RecoveredLog> recovered_;
  std::map<TopicPartition, std::shared_ptr<DiskLog>> opened_;
  std::vector<std::shared_ptr<StagingPort>> ports_;
  std::shared_ptr<LogWriter> writer_;
  Executor* failure_executor_ = nullptr;
  absl::AnyInvocable<void(absl::Status)> on_failure_;
};

absl::StatusOr<std::string> LogDir::Impl::ReadSmallFile(absl::string_view name, bool* found) {
  ASSIGN_OR_RETURN(*found, files().Exists(Path(name)));
  if (!*found) return std::string();
  return ReadWholeFile(files(), Path(name), kSmallFileBytesMax);
}

absl::Status LogDir::Impl::Open() {
  RETURN_IF_ERROR(files().CreateDirectory(options_.path));
  ASSIGN_OR_RETURN(lock_, files().Lock(Path(kLockFile)));
  RETURN_IF_ERROR(OpenIdentity());
  RETURN_IF_ERROR(LoadHowItWasLeft());
  RETURN_IF_ERROR(RemoveLeftovers(files(), options_.path, partitions_));
  RETURN_IF_ERROR(RecoverReplicas());
  return MakeWriter();
}

absl::Status LogDir::Impl::OpenIdentity() {
  ASSIGN_OR_RETURN(std::optional<DirIdentity> identity,
                   CheckDirIdentity(files(), options_.path, options_.cluster_id, options_.node_id));
  if (!identity.has_value()) {
    state_.is_new = true;
    RETURN_IF_ERROR(partitions_.Rewrite());
    RETURN_IF_ERROR(syncs_.Rewrite());
    identity = DirIdentity{options_.cluster_id, options_.node_id, DirectoryId::Draw(*deps_.random)};
    // Last: with it, the directory is one.
    RETURN_IF_ERROR(ReplaceFile(files(), Path(kMetaPropertiesFile), EncodeDirIdentity(*identity)));
    RETURN_IF_ERROR(files().SyncDirectory(ParentPath(options_.path)));
  } else {
    RETURN_IF_ERROR(syncs_.Load());
    RETURN_IF_ERROR(partitions_.Load());
    if (!partitions_.found() || !syncs_.found()) {
      return MakeError(ErrorCode::kInvalidDirectory,
                       absl::StrCat("log directory '", options_.path, "' has lost its file '",
                                    partitions_.found() ? kSyncJournalFile : kPartitionsJournalFile,
                                    "': restore it, or empty the directory"),
                       {.name = options_.path});
    }
  }
  state_.directory_id = identity->directory_id;
  return absl::OkStatus();
}

absl::Status LogDir::Impl::LoadHowItWasLeft() {
  bool found = false;
  ASSIGN_OR_RETURN(const std::string open, ReadSmallFile(kOpenRecordFile, &found));
  if (found) {
    const absl::StatusOr<OpenRecord> record = DecodeOpenRecord(open, Path(kOpenRecordFile));
    if (CodeOf(record.status()) == ErrorCode::kUnsupportedFormatVersion) return record.status();
    // A damaged one proves nothing: never open as far as we know, and suspect.
    open_record_ = record.ok() ? *record : OpenRecord{kNoBrokerEpoch, true};
  }
  bool clean_found = false;
  ASSIGN_OR_RETURN(const std::string clean, ReadSmallFile(kCleanShutdownFile, &clean_found));
  if (clean_found) {
    absl::StatusOr<CleanShutdown> shutdown = DecodeCleanShutdown(clean, Path(kCleanShutdownFile));
    if (CodeOf(shutdown.status()) == ErrorCode::kUnsupportedFormatVersion) {
      return shutdown.status();
    }
    // Valid only for the epoch it was last open under (S-21).
    if (shutdown.ok() && found && shutdown->broker_epoch == open_record_.broker_epoch) {
      state_.clean = true;
      clean_ends_ = std::move(shutdown->log_ends);
    }
  }
  // Never opened for appends: nothing can be missing.
  const bool untouched = !found && !clean_found;
  if (untouched) state_.clean = true;
  state_.last_broker_epoch = open_record_.broker_epoch;
  // A damaged sync journal may have vouched for more than is known now.
  state_.suspect = open_record_.suspect || !state_.clean || syncs_.damaged();
  return absl::OkStatus();
}

std::shared_ptr<LogFilesIdentity> LogDir::Impl::MakeIdentity(const ReplicaRecord& replica) const {
  auto identity = std::make_shared<LogFilesIdentity>();
  identity->name = PartitionName(replica.topic_name, replica.topic_partition.partition);
  identity->directory = Path(identity->name);
  return identity;
}

absl::Status LogDir::Impl::RecoverReplicas() {
  RETURN_IF_ERROR(points_.Load());
  std::set<TopicPartition> with_point;
  RecoveryProgress progress(deps_.clock, options_.path, partitions_.replicas().size());
  for (const auto& [number, replica] : partitions_.replicas()) {
    ReplicaReport report;
    report.topic_partition = replica.topic_partition;
    report.topic_name = replica.topic_name;
    report.stray = replica.stray;
    report.has_data = replica.has_data;
    report.log_start_offset = report.end_offset = replica.log_start;
    if (!replica.stray) {
      RecoveryInput input;
      input.replica = replica;
      input.identity = MakeIdentity(replica);
      const auto mark = syncs_.marks().find(number);
      if (mark != syncs_.marks().end()) input.mark = mark->second;
      input.vouched_epochs = syncs_.epochs(number);
      input.round_end = syncs_.round_end(number);
      const auto end = clean_ends_.find(replica.topic_partition);
      if (end != clean_ends_.end()) {
        input.clean_end = end->second;
        // It was synced up to there; said here too, because the clean-shutdown file goes.
        syncs_.SetDurable(number, std::max(end->second, input.mark.value_or(Offset(0))));
      }
      input.progress = &progress;
      input.point = points_.Find(replica.topic_partition);
      input.index_interval_bytes = options_.index_interval_bytes;
      ASSIGN_OR_RETURN(RecoveredLog log, RecoverLog(files(), input));
      if (log.status.ok() && log.log_start != input.replica.log_start) {
        partitions_.SetLogStart(number, log.log_start);  // Written before anything else is.
      }
      if (log.proven_end.has_value()) {
        syncs_.SetDurable(number, std::max(*log.proven_end, input.mark.value_or(Offset(0))));
      }
      report.status = log.status;
      report.log_start_offset = log.log_start;
      report.end_offset = log.end;
      report.last_epoch = log.epochs.latest();
      report.cut_bytes = log.cut_bytes;
      if (log.point_used && log.status.ok()) with_point.insert(replica.topic_partition);
      recovered_[replica.topic_partition] = std::move(log);
    }
    state_.replicas.push_back(std::move(report));
    progress.ReplicaDone();
  }
  progress.Finish();
  // A point that was of no use now must not be believed about what is written from here on.
  points_.KeepOnly(with_point);
  std::sort(state_.replicas.begin(), state_.replicas.end(),
            [](const ReplicaReport& a, const ReplicaReport& b) {
              return a.topic_partition < b.topic_partition;
            });
  return absl::OkStatus();
}

absl::Status LogDir::Impl::MakeWriter() {
  // Recovery synced what it kept: that is vouched for from here on.
  for (const auto& [topic_partition, log] : recovered_) {
    if (!log.status.ok() || !log.disk->exists) continue;
    syncs_.SetDurable(log.disk->number(), log.end);
    syncs_.SetEpochs(log.disk->number(), log.epochs);
  }
  std::vector<uint32_t> unknown;
  for (const auto& [number, end] : syncs_.marks()) {
    if (number != SyncJournal::kPartitionsJournal && partitions_.replicas().count(number) == 0) {
      unknown.push_back(number);
    }
  }
  for (const uint32_t number : unknown) syncs_.Forget(number);
  if (state_.suspect && !open_record_.suspect) {
    // Sticky: a stop before the registration is committed must not make it clean (S-03).
    RETURN_IF_ERROR(WriteOpenRecord({open_record_.broker_epoch, true}));
  }
  RETURN_IF_ERROR(points_.Flush());
  RETURN_IF_ERROR(partitions_.Rewrite());
  RETURN_IF_ERROR(syncs_.Rewrite());
  LogWriter::Options options;
  options.directory = options_.path;
  options.reserve_bytes = options_.reserve_bytes;
  options.seal_delay = options_.seal_delay;
  options.idle_close_delay = options_.idle_close_delay;
  options.checkpoint_interval = options_.checkpoint_interval;
  options.checkpoint_bytes_min = options_.checkpoint_bytes_min;
  LogWriter::Metrics metrics;
  if (deps_.metrics != nullptr) {
    const MetricLabels labels = {{"directory", options_.path}};
    metrics.round_seconds = &deps_.metrics->AddHistogram(
        "millrace_storage_round_seconds", "Time of a round of group commit, its syncs included.",
        1e-5, labels);
    metrics.round_bytes = &deps_.metrics->AddHistogram(
        "millrace_storage_round_bytes", "Bytes appended by a round of group commit.", 256, labels);
    metrics.round_logs = &deps_.metrics->AddHistogram(
        "millrace_storage_round_partitions", "Partitions in a round of group commit.", 1, labels);
    metrics.written_bytes = &deps_.metrics->AddCounter("millrace_storage_written_bytes_total",
                                                       "Bytes appended to partitions.", labels);
  }
  writer_ = std::make_shared<LogWriter>(
      options, deps_.files, deps_.disk, deps_.clock, &partitions_, &syncs_, &points_, flags_,
      metrics, [this](const absl::Status& status) {
        if (on_failure_ == nullptr) return;
        failure_executor_->Post(
            [callback = std::move(on_failure_), status]() mutable { callback(status); });
        on_failure_ = nullptr;
      });
  return writer_->CheckSpace();
}

absl::Status LogDir::Impl::WriteOpenRecord(const OpenRecord& record) {
  RETURN_IF_ERROR(ReplaceFile(files(), Path(kOpenRecordFile), EncodeOpenRecord(record)));
  open_record_ = record;
  return absl::OkStatus();
}

absl::Status LogDir::Impl::Checked(const absl::Status& status) {
  if (!status.ok()) writer_->Fail(status);
  return status;
}

void LogDir::Impl::BeginEpoch(BrokerEpoch epoch, Executor* executor, Done done) {
  absl::Status status = writer_->status();
  if (status.ok()) {
    const auto begin = [&]() -> absl::Status {
      RETURN_IF_ERROR(WriteOpenRecord({epoch, open_record_.suspect}));
      ASSIGN_OR_RETURN(const bool clean, files().Exists(Path(kCleanShutdownFile)));
      if (!clean) return absl::OkStatus();
      RETURN_IF_ERROR(files().RemoveFile(Path(kCleanShutdownFile)));
      return files().SyncDirectory(options_.path);
    };
    status = Checked(begin());
  }
  executor->Post([done = std::move(done), status]() mutable { std::move(done)(status); });
}

void LogDir::Impl::RegistrationCommitted(BrokerEpoch epoch, Executor* executor, Done done) {
  absl::Status status = writer_->status();
  // An older registration says nothing about what this epoch found.
  if (status.ok() && open_record_.suspect && epoch == open_record_.broker_epoch) {
    status = Checked(WriteOpenRecord({epoch, false}));
  }
  executor->Post([done = std::move(done), status]() mutable { std::move(done)(status); });
}

absl::StatusOr<RecoveredLog> LogDir::Impl::TakeReplica(const TopicPartition& topic_partition,
                                                       const std::string& topic_name,
                                                       bool* created) {
  RETURN_IF_ERROR(writer_->status());
  const auto found = recovered_.find(topic_partition);
  if (found != recovered_.end()) {
    RETURN_IF_ERROR(found->second.status);
    RecoveredLog log = std::move(found->second);
    recovered_.erase(found);
    return log;
  }
  const std::string name = PartitionName(topic_name, topic_partition.partition);
  const ReplicaRecord* other = partitions_.Find(topic_partition);
  if (other == nullptr) other = partitions_.FindByName(name);
  if (other != nullptr) {
    return MakeError(ErrorCode::kInvalidDirectory,
                     absl::StrCat("log directory '", options_.path, "' has a replica ", name,
                                  " of topic ", other->topic_partition.topic_id.ToString(),
                                  other->stray ? ", set aside" : " already"),
                     {.name = name});
  }
  *created = true;
  RecoveredLog log;
  log.topic_partition = topic_partition;
  log.name = name;
  const uint32_t number = partitions_.Create(topic_partition, topic_name);
  log.disk = std::make_shared<DiskLog>(deps_.files, number, topic_partition,
                                       MakeIdentity(partitions_.replicas().at(number)));
  return log;
}

void LogDir::Impl::OpenLog(const TopicPartition& topic_partition, const std::string& topic_name,
                           const LogConfig& config, Executor* owner, LogDone done) {
  bool created = false;
  absl::StatusOr<RecoveredLog> log = TakeReplica(topic_partition, topic_name, &created);
  if (!log.ok()) {
    owner->Post(
        [done = std::move(done), status = log.status()]() mutable { std::move(done)(status); });
    return;
  }
  log->disk->owner = owner;
  log->disk->handle = std::make_shared<LogHandle>();
  opened_[topic_partition] = log->disk;
  writer_->AddLog(log->disk);
  // The Log is made where it will live.
  auto deliver = [owner, port = PortOf(owner), log = *std::move(log), config, files = deps_.files,
                  done = std::move(done)](const absl::Status& status) mutable {
    owner->Post([port = std::move(port), log = std::move(log), config, files,
                 done = std::move(done), status]() mutable {
      if (!status.ok()) {
        std::move(done)(status);
        return;
      }
      std::move(done)(
          std::unique_ptr<Log>(new Log(std::move(log), std::move(port), files, config)));
    });
  };
  if (created) {
    writer_->AfterRound(std::move(deliver));
  } else {
    std::move(deliver)(absl::OkStatus());
  }
}

std::shared_ptr<StagingPort> LogDir::Impl::PortOf(Executor* owner) {
  for (const auto& port : ports_) {
    if (port->owner() == owner) return port;
  }
  ports_.push_back(
      std::make_shared<StagingPort>(owner, deps_.disk, writer_, flags_, options_.staged_bytes_max));
  return ports_.back();
}

absl::Status LogDir::Impl::DeleteNow(const TopicPartition& topic_partition) {
  const ReplicaRecord* found = partitions_.Find(topic_partition);
  if (found == nullptr) return absl::OkStatus();
  const ReplicaRecord replica = *found;
  if (const auto opened = opened_.find(topic_partition); opened != opened_.end()) {
    opened->second->gone = true;
    RETURN_IF_ERROR(opened->second->CloseFiles());
    writer_->RemoveLog(*opened->second);
    opened_.erase(opened);
  }
  recovered_.erase(topic_partition);
  RETURN_IF_ERROR(points_.RemoveNow(topic_partition));
  // First the decision, durably, then the files.
  partitions_.Delete(replica.number);
  syncs_.Forget(replica.number);
  RETURN_IF_ERROR(partitions_.Flush());
  const std::string name = PartitionName(replica.topic_name, topic_partition.partition);
  const std::string from = Path(
      replica.stray ? AsideName(replica.topic_name, topic_partition, kStrayDirectorySuffix) : name);
  ASSIGN_OR_RETURN(const bool exists, files().Exists(from));
  if (!exists) return absl::OkStatus();
  // Aside, so that a topic of the same name can be made at once.
  const std::string aside =
      Path(AsideName(replica.topic_name, topic_partition, kDeletedDirectorySuffix));
  RETURN_IF_ERROR(files().Rename(from, aside));
  RETURN_IF_ERROR(files().SyncDirectory(options_.path));
  return RemoveTree(files(), aside);
}

void LogDir::Impl::DeleteReplica(const TopicPartition& topic_partition, Executor* executor,
                                 Done done) {
  absl::Status status = writer_->Drain();
  if (status.ok()) status = Checked(DeleteNow(topic_partition));
  executor->Post([done = std::move(done), status]() mutable { std::move(done)(status); });
}

absl::Status LogDir::Impl::MarkStrayNow(const TopicPartition& topic_partition) {
  const ReplicaRecord* found = partitions_.Find(topic_partition);
  if (found == nullptr || found->stray) return absl::OkStatus();
  const ReplicaRecord replica = *found;
  if (const auto opened = opened_.find(topic_partition); opened != opened_.end()) {
    opened->second->gone = true;
    RETURN_IF_ERROR(opened->second->FinishActive());
    RETURN_IF_ERROR(opened->second->CloseFiles());
    writer_->RemoveLog(*opened->second);
    opened_.erase(opened);
  }
  recovered_.erase(topic_partition);
  RETURN_IF_ERROR(points_.RemoveNow(topic_partition));
  partitions_.SetStray(replica.number);
  RETURN_IF_ERROR(partitions_.Flush());
  const std::string name = Path(PartitionName(replica.topic_name, topic_partition.partition));
  ASSIGN_OR_RETURN(const bool exists, files().Exists(name));
  if (!exists) return absl::OkStatus();
  RETURN_IF_ERROR(files().Rename(
      name, Path(AsideName(replica.topic_name, topic_partition, kStrayDirectorySuffix))));
  return files().SyncDirectory(options_.path);
}

void LogDir::Impl::MarkStray(const TopicPartition& topic_partition, Executor* executor, Done done) {
  absl::Status status = writer_->Drain();
  if (status.ok()) status = Checked(MarkStrayNow(topic_partition));
  executor->Post([done = std::move(done), status]() mutable { std::move(done)(status); });
}

absl::Status LogDir::Impl::CloseNow() {
  CleanShutdown shutdown;
  shutdown.broker_epoch = open_record_.broker_epoch;
  for (const auto& [topic_partition, log] : opened_) {
    // Also those whose Log was not closed: what is written is finished here.
    RETURN_IF_ERROR(log->FinishActive());
    RETURN_IF_ERROR(log->CloseFiles());
    if (log->exists) shutdown.log_ends[topic_partition] = log->end;
  }
  for (const auto& [topic_partition, log] : recovered_) {
    if (log.status.ok() && log.disk->exists) shutdown.log_ends[topic_partition] = log.end;
  }
  RETURN_IF_ERROR(points_.Flush());
  if (open_record_.broker_epoch == kNoBrokerEpoch) return absl::OkStatus();
  // Last of all (S-21).
  return ReplaceFile(files(), Path(kCleanShutdownFile), EncodeCleanShutdown(shutdown));
}

void LogDir::Impl::Close(Executor* executor, Done done) {
  absl::Status status = writer_->Drain();
  if (status.ok()) status = Checked(CloseNow());
  executor->Post([done = std::move(done), status]() mutable { std::move(done)(status); });
}

void LogDir::Impl::OnFailure(Executor* executor, absl::AnyInvocable<void(absl::Status)> callback) {
  if (!writer_->status().ok()) {
    executor->Post([callback = std::move(callback), status = writer_->status()]() mutable {
      callback(status);
    });
    return;
  }
  failure_executor_ = executor;
  on_failure_ = std::move(callback);
}

absl::StatusOr<std::unique_ptr<LogDir>> LogDir::Open(const LogDirOptions& options,
                                                     const LogDirDeps& deps) {
  auto impl = std::make_shared<Impl>(options, deps);
  RETURN_IF_ERROR(impl->Open());
  return std::unique_ptr<LogDir>(new LogDir(std::move(impl)));
}

LogDir::LogDir(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

LogDir::~LogDir() {
  // Files and the lock belong to the disk strand, which may be in the middle of something.
  Executor* const disk = impl_->disk();
  disk->Post([impl = std::move(impl_)] {});
}

const LogDirState& LogDir::opened() const { return impl_->state(); }
const std::string& LogDir::path() const { return impl_->options().path; }
uint64_t LogDir::free_bytes() const { return impl_->flags().free_bytes.load(); }
uint64_t LogDir::total_bytes() const { return impl_->flags().total_bytes.load(); }
bool LogDir::failed() const { return impl_->flags().failed.load(); }

void LogDir::OnFailure(Executor* executor, absl::AnyInvocable<void(absl::Status)> callback) {
  impl_->disk()->Post([impl = impl_, executor, callback = std::move(callback)]() mutable {
    impl->OnFailure(executor, std::move(callback));
  });
}

void LogDir::BeginEpoch(BrokerEpoch epoch, Executor* executor, Done done) {
  impl_->disk()->Post([impl = impl_, epoch, executor, done = std::move(done)]() mutable {
    impl->BeginEpoch(epoch, executor, std::move(done));
  });
}

void LogDir::RegistrationCommitted(BrokerEpoch epoch, Executor* executor, Done done) {
  impl_->disk()->Post([impl = impl_, epoch, executor, done = std::move(done)]() mutable {
    impl->RegistrationCommitted(epoch, executor, std::move(done));
  });
}

void LogDir::OpenLog(const TopicPartition& topic_partition, const std::string& topic_name,
                     const LogConfig& config, Executor* owner, LogDone done) {
  impl_->disk()->Post(
      [impl = impl_, topic_partition, topic_name, config, owner, done = std::move(done)]() mutable {
        impl->OpenLog(topic_partition, topic_name, config, owner, std::move(done));
      });
}

void LogDir::DeleteReplica(const TopicPartition& topic_partition, Executor* executor, Done done) {
  impl_->disk()->Post([impl = impl_, topic_partition, executor, done = std::move(done)]() mutable {
    impl->DeleteReplica(topic_partition, executor, std::move(done));
  });
}

void LogDir::MarkStray(const TopicPartition& topic_partition, Executor* executor, Done done) {
  impl_->disk()->Post([impl = impl_, topic_partition, executor, done = std::move(done)]() mutable {
    impl->MarkStray(topic_partition, executor, std::move(done));
  });
}

void LogDir::Close(Executor* executor, Done done) {
  impl_->disk()->Post([impl = impl_, executor, done = std::move(done)]() mutable {
    impl->Close(executor, std::move(done));
  });
}

}  // namespace millrace::storage

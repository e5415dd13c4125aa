#include "storage/log_dir.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/mutant.h"
#include "base/status.h"
#include "storage/cut_mark.h"
#include "storage/dir_identity.h"
#include "storage/file_names.h"
#include "storage/leftovers.h"
#include "storage/log_recovery.h"
#include "storage/log_writer.h"
#include "storage/partitions_journal.h"
#include "storage/recovery_points.h"
#include "storage/recovery_progress.h"
#include "storage/replica_directory.h"
#include "storage/sync_journal.h"

namespace millrace::storage {
namespace {

// How long what found no room on the disk waits before it is tried again.
constexpr absl::Duration kRoomDelay = absl::Milliseconds(200);
// Of a small file, how often: then the directory is offline, and the broker goes on with others.
constexpr int kRoomTries = 150;

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
        points_(deps.files, Path(kRecoveryPointsFile)) {
    flags_->directory = options.path;
    flags_->reserve_bytes = options.reserve_bytes;
  }

  absl::Status Open();
  void BeginEpoch(BrokerEpoch epoch, Executor* executor, Done done, int tries = kRoomTries);
  void RegistrationCommitted(BrokerEpoch epoch, Executor* executor, Done done,
                             int tries = kRoomTries);
  void OpenLog(const TopicPartition& topic_partition, const std::string& topic_name,
               const LogConfig& config, Executor* owner, LogDone done);
  // Deletes a replica, or sets it aside; where there is no room, when there is.
  void Leave(const TopicPartition& topic_partition, bool aside, Executor* executor, Done done);
  void VouchForNothing(const TopicPartition& replica) { not_missed_.insert(replica); }
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
  RecoveryInput InputOf(const ReplicaRecord& replica) const;
  // Recovers one log, and notes what that finished or proved.
  absl::StatusOr<RecoveredLog> Recover(const RecoveryInput& input);
  // Recovery synced what it kept: that is vouched for from here on.
  void VouchFor(const RecoveredLog& log);
  absl::Status MakeWriter();
  absl::Status WriteOpenRecord(const OpenRecord& record);
  absl::StatusOr<RecoveredLog> TakeReplica(const TopicPartition& topic_partition,
                                           const std::string& topic_name, bool* created);
  // Makes a stray replica one of those that were recovered.
  absl::Status TakeBack(const ReplicaRecord& replica);
  // Can be called again where it found no room.
  absl::Status LeaveNow(const TopicPartition& topic_partition, bool aside);
  absl::Status CloseNow();
  absl::Status BeginEpochNow(BrokerEpoch epoch);
  void WhenThereMayBeRoom(Task task);
  // The directory's own failure, if `status` is one of the disk.
  absl::Status Checked(const absl::Status& status);
  std::shared_ptr<StagingPort> PortOf(Executor* owner);

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
  std::vector<std::string> cut_;  // Directories of logs of which a registration must tell it.
  // Recovered and not opened yet; and the disk side of all others.
  std::map<TopicPartition, RecoveredLog> recovered_;
  std::set<uint32_t> taking_back_;       // By number; renamed, and no room for the rest yet.
  std::set<TopicPartition> not_missed_;  // Set aside, and to be taken back without damage.
  std::map<TopicPartition, std::shared_ptr<DiskLog>> opened_;
  // Deleted or (true) set aside, and not all of that is on the disk yet.
  std::map<TopicPartition, std::pair<ReplicaRecord, bool>> leaving_;
  std::vector<std::shared_ptr<StagingPort>> ports_;
  std::shared_ptr<LogWriter> writer_;
  Executor* failure_executor_ = nullptr;
  absl::AnyInvocable<void(absl::Status)> on_failure_;
};

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
  ASSIGN_OR_RETURN(HowItWasLeft left, storage::LoadHowItWasLeft(files(), options_.path));
  open_record_ = left.open;
  state_.clean = left.clean;
  clean_ends_ = std::move(left.clean_ends);
  state_.last_broker_epoch = open_record_.broker_epoch;
  // A damaged sync journal may have vouched for more than is known now.
  state_.suspect = open_record_.suspect || !state_.clean || syncs_.damaged();
  if (MUTANT("storage.stop-taken-for-clean")) state_.suspect = open_record_.suspect;
  if (MUTANT("storage.suspicion-not-sticky")) state_.suspect = !state_.clean || syncs_.damaged();
  return absl::OkStatus();
}

RecoveryInput LogDir::Impl::InputOf(const ReplicaRecord& replica) const {
  RecoveryInput input;
  input.replica = replica;
  input.identity = IdentityOf(options_.path, replica);
  const auto mark = syncs_.marks().find(replica.number);
  if (mark != syncs_.marks().end()) input.mark = mark->second;
  input.vouched_epochs = syncs_.epochs(replica.number);
  input.index_interval_bytes = options_.index_interval_bytes;
  return input;
}

absl::StatusOr<RecoveredLog> LogDir::Impl::Recover(const RecoveryInput& input) {
  ASSIGN_OR_RETURN(RecoveredLog log, RecoverLog(files(), input));
  if (log.status.ok() && log.log_start != input.replica.log_start) {
    partitions_.SetLogStart(input.replica.number, log.log_start);  // Before anything else is.
  }
  if (log.proven_end.has_value()) {
    syncs_.SetDurable(input.replica.number,
                      std::max(*log.proven_end, input.mark.value_or(Offset(0))));
  }
  return log;
}

void LogDir::Impl::VouchFor(const RecoveredLog& log) {
  if (!log.status.ok() || !log.disk->exists) return;
  syncs_.SetDurable(log.disk->number(), log.end);
  syncs_.SetEpochs(log.disk->number(), log.epochs);
}

absl::Status LogDir::Impl::RecoverReplicas() {
  RETURN_IF_ERROR(points_.Load());
  std::set<TopicPartition> with_point;
  RecoveryProgress progress(deps_.clock, options_.path, partitions_.replicas().size());
  for (const auto& [number, replica] : partitions_.replicas()) {
    ReplicaReport report = {.topic_partition = replica.topic_partition,
                            .topic_name = replica.topic_name,
                            .stray = replica.stray,
                            .has_data = replica.has_data,
                            .log_start_offset = replica.log_start,
                            .end_offset = replica.log_start};
    if (!replica.stray) {
      RecoveryInput input = InputOf(replica);
      input.round_end = syncs_.round_end(number);
      const auto end = clean_ends_.find(replica.topic_partition);
      if (end != clean_ends_.end()) {
        input.clean_end = end->second;
        // It was synced up to there; said here too, because the clean-shutdown file goes.
        syncs_.SetDurable(number, std::max(end->second, input.mark.value_or(Offset(0))));
      }
      input.progress = &progress;
      input.marks_cut = true;
      input.point = points_.Find(replica.topic_partition);
      ASSIGN_OR_RETURN(RecoveredLog log, Recover(input));
      report.status = log.status;
      report.log_start_offset = log.log_start;
      report.end_offset = log.end;
      report.last_epoch = log.epochs.latest();
      report.cut_bytes = log.cut_bytes;
      report.cut = log.cut;
      if (log.cut) cut_.push_back(input.identity->directory);
      if (log.point_used && log.status.ok()) with_point.insert(replica.topic_partition);
      recovered_[replica.topic_partition] = std::move(log);
    }
    state_.replicas.push_back(std::move(report));
    progress.ReplicaDone();
  }
  progress.Finish();
  // A point that was of no use now must not be believed about what is written from here on.
  points_.KeepOnly(with_point);
  std::ranges::sort(state_.replicas, {}, &ReplicaReport::topic_partition);
  return absl::OkStatus();
}

absl::Status LogDir::Impl::MakeWriter() {
  for (const auto& [topic_partition, log] : recovered_) VouchFor(log);
  syncs_.KeepIf([this](uint32_t number) { return partitions_.replicas().contains(number); });
  if (state_.suspect && !open_record_.suspect) {
    // Sticky: a stop before the registration is committed must not make it clean (S-03).
    RETURN_IF_ERROR(WriteOpenRecord({open_record_.broker_epoch, true}));
  }
  RETURN_IF_ERROR(points_.Flush());
  RETURN_IF_ERROR(partitions_.Rewrite());
  RETURN_IF_ERROR(syncs_.Rewrite());
  const LogWriter::Options options = {.directory = options_.path,
                                      .reserve_bytes = options_.reserve_bytes,
                                      .seal_delay = options_.seal_delay,
                                      .idle_close_delay = options_.idle_close_delay,
                                      .checkpoint_interval = options_.checkpoint_interval,
                                      .checkpoint_bytes_min = options_.checkpoint_bytes_min};
  const LogWriter::Metrics metrics = LogWriter::MetricsIn(deps_.metrics, options_.path);
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

absl::Status LogDir::Impl::BeginEpochNow(BrokerEpoch epoch) {
  RETURN_IF_ERROR(WriteOpenRecord({epoch, open_record_.suspect}));
  ASSIGN_OR_RETURN(const bool clean, files().Exists(Path(kCleanShutdownFile)));
  if (!clean) return absl::OkStatus();
  RETURN_IF_ERROR(files().RemoveFile(Path(kCleanShutdownFile)));
  return files().SyncDirectory(options_.path);
}

void LogDir::Impl::BeginEpoch(BrokerEpoch epoch, Executor* executor, Done done, int tries) {
  absl::Status status = writer_->status();
  if (status.ok()) {
    status = BeginEpochNow(epoch);
    if (CodeOf(status) == ErrorCode::kStorageFull && tries > 1) {
      return WhenThereMayBeRoom([this, epoch, executor, done = std::move(done), tries]() mutable {
        // Not if a later registration has overtaken this one meanwhile.
        BeginEpoch(std::max(epoch, open_record_.broker_epoch), executor, std::move(done),
                   tries - 1);
      });
    }
    Checked(status).IgnoreError();
  }
  executor->Post([done = std::move(done), status]() mutable { std::move(done)(status); });
}

void LogDir::Impl::RegistrationCommitted(BrokerEpoch epoch, Executor* executor, Done done,
                                         int tries) {
  absl::Status status = writer_->status();
  // An older registration says nothing about what this epoch found.
  if (status.ok() && epoch == open_record_.broker_epoch) {
    status = RemoveCutMarks(files(), cut_);
    if (status.ok() && open_record_.suspect) status = WriteOpenRecord({epoch, false});
    if (CodeOf(status) == ErrorCode::kStorageFull && tries > 1) {
      return WhenThereMayBeRoom([this, epoch, executor, done = std::move(done), tries]() mutable {
        RegistrationCommitted(epoch, executor, std::move(done), tries - 1);
      });
    }
    Checked(status).IgnoreError();
  }
  executor->Post([done = std::move(done), status]() mutable { std::move(done)(status); });
}

void LogDir::Impl::WhenThereMayBeRoom(Task task) {
  deps_.disk->PostAt(deps_.clock->Now() + kRoomDelay,
                     [weak = weak_from_this(), task = std::move(task)]() mutable {
                       if (const auto self = weak.lock()) std::move(task)();
                     });
}

absl::StatusOr<RecoveredLog> LogDir::Impl::TakeReplica(const TopicPartition& topic_partition,
                                                       const std::string& topic_name,
                                                       bool* created) {
  RETURN_IF_ERROR(writer_->status());
  const ReplicaRecord* other = partitions_.Find(topic_partition);
  const std::string name = PartitionName(topic_name, topic_partition.partition);
  for (const auto& [leaving, what] : leaving_) {
    if (PartitionName(what.first.topic_name, leaving.partition) != name) continue;
    // Its directory still has the name, and goes with all that is in it by then.
    return MakeError(ErrorCode::kStorageFull, "what was asked for before comes first");
  }
  const bool aside = other != nullptr && other->stray && partitions_.FindByName(name) == nullptr;
  const bool begun = other != nullptr && taking_back_.contains(other->number);
  if (aside || begun) RETURN_IF_ERROR(TakeBack(*other));
  const auto found = recovered_.find(topic_partition);
  if (found != recovered_.end()) {
    RETURN_IF_ERROR(found->second.status);
    return std::move(recovered_.extract(found).mapped());
  }
  if (other == nullptr || other->stray) other = partitions_.FindByName(name);
  if (other != nullptr) {
    return MakeError(
        ErrorCode::kInvalidDirectory,
        absl::StrCat("log directory '", options_.path, "' has a replica ", name, " of topic ",
                     other->topic_partition.topic_id.ToString(), " already"),
        {.name = name});
  }
  *created = true;
  RecoveredLog log = {.topic_partition = topic_partition, .name = name};
  const uint32_t number = partitions_.Create(topic_partition, topic_name);
  log.disk =
      std::make_shared<DiskLog>(deps_.files, number, topic_partition,
                                IdentityOf(options_.path, partitions_.replicas().at(number)));
  return log;
}

absl::Status LogDir::Impl::TakeBack(const ReplicaRecord& replica) {
  RETURN_IF_ERROR(writer_->Drain());
  const ReplicaRecord stray = replica;
  const absl::Status moved = TakeReplicaDirectoryBack(files(), options_.path, stray);
  // It stays aside, and the directory lives. Nor does a full one fail for it.
  const ErrorCode code = CodeOf(moved);
  if (code == ErrorCode::kInvalidDirectory || code == ErrorCode::kStorageFull) return moved;
  RETURN_IF_ERROR(Checked(moved));
  taking_back_.insert(stray.number);
  const auto recover = [&]() -> absl::Status {
    // Only now: until then the next start sets it aside again.
    if (stray.stray) partitions_.TakeBack(stray.number);
    RETURN_IF_ERROR(partitions_.Flush());
    RecoveryInput input = InputOf(partitions_.replicas().at(stray.number));
    input.cuts_damage = not_missed_.contains(stray.topic_partition);
    ASSIGN_OR_RETURN(RecoveredLog log, Recover(input));
    VouchFor(log);
    recovered_[stray.topic_partition] = std::move(log);
    taking_back_.erase(stray.number);
    not_missed_.erase(stray.topic_partition);
    return writer_->Drain();
  };
  const absl::Status recovered = recover();
  return CodeOf(recovered) == ErrorCode::kStorageFull ? recovered : Checked(recovered);
}

void LogDir::Impl::OpenLog(const TopicPartition& topic_partition, const std::string& topic_name,
                           const LogConfig& config, Executor* owner, LogDone done) {
  bool created = false;
  absl::StatusOr<RecoveredLog> log = TakeReplica(topic_partition, topic_name, &created);
  if (CodeOf(log.status()) == ErrorCode::kStorageFull) {
    return WhenThereMayBeRoom([=, this, done = std::move(done)]() mutable {
      OpenLog(topic_partition, topic_name, config, owner, std::move(done));
    });
  }
  if (!log.ok()) {
    return owner->Post(
        [done = std::move(done), status = log.status()]() mutable { std::move(done)(status); });
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
      if (!status.ok()) return std::move(done)(status);
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

absl::Status LogDir::Impl::LeaveNow(const TopicPartition& topic_partition, bool aside) {
  const ReplicaRecord* found = partitions_.Find(topic_partition);
  auto leaving = leaving_.find(topic_partition);
  if (found != nullptr && leaving == leaving_.end() && !(aside && found->stray)) {
    const ReplicaRecord replica = *found;
    if (const auto opened = opened_.find(topic_partition); opened != opened_.end()) {
      opened->second->gone = true;
      opened->second->identity()->LeaveDirectory();
      if (aside) RETURN_IF_ERROR(opened->second->FinishActive());
      RETURN_IF_ERROR(opened->second->CloseFiles());
      if (aside && opened->second->exists) writer_->Vouch(*opened->second);
      writer_->RemoveLog(*opened->second);
      opened_.erase(opened);
    }
    recovered_.erase(topic_partition);
    RETURN_IF_ERROR(points_.RemoveNow(topic_partition));
    if (aside) {
      RETURN_IF_ERROR(syncs_.Flush());
      partitions_.SetStray(replica.number);
    } else {
      partitions_.Delete(replica.number);
      not_missed_.erase(topic_partition);
      syncs_.Forget(replica.number);
    }
    leaving = leaving_.emplace(topic_partition, std::pair(replica, aside)).first;
  }
  if (leaving == leaving_.end()) return absl::OkStatus();
  if (leaving->second.second != aside) {
    return MakeError(ErrorCode::kStorageFull, "what was asked for before comes first");
  }
  // First the decision, durably, then the files.
  RETURN_IF_ERROR(partitions_.Flush());
  const ReplicaRecord& replica = leaving->second.first;
  RETURN_IF_ERROR(aside ? SetReplicaDirectoryAside(files(), options_.path, replica)
                        : RemoveReplicaDirectory(files(), options_.path, replica));
  leaving_.erase(leaving);
  return absl::OkStatus();
}

void LogDir::Impl::Leave(const TopicPartition& topic_partition, bool aside, Executor* executor,
                         Done done) {
  absl::Status status = writer_->Drain();
  if (status.ok()) status = LeaveNow(topic_partition, aside);
  if (CodeOf(status) == ErrorCode::kStorageFull && writer_->status().ok()) {
    return WhenThereMayBeRoom([=, this, done = std::move(done)]() mutable {
      Leave(topic_partition, aside, executor, std::move(done));
    });
  }
  Checked(status).IgnoreError();
  executor->Post([done = std::move(done), status]() mutable { std::move(done)(status); });
}

absl::Status LogDir::Impl::CloseNow() {
  CleanShutdown shutdown;
  shutdown.broker_epoch = open_record_.broker_epoch;
  for (const auto& [topic_partition, log] : opened_) {
    if (log->gone) continue;  // Of one that could not be cut nothing is known that counts.
    // Also those whose Log was not closed: what is written is finished here.
    RETURN_IF_ERROR(log->FinishActive());
    RETURN_IF_ERROR(log->CloseFiles());
    if (log->exists && !log->gone) shutdown.log_ends[topic_partition] = log->end;
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
  if (status.ok() && writer_->waits_for_room()) {
    status = Checked(MakeError(ErrorCode::kStorageFull,
                               absl::StrCat("log directory '", options_.path,
                                            "' has no room for what it still has to write"),
                               {.name = options_.path}));
  }
  if (status.ok()) status = Checked(CloseNow());
  executor->Post([done = std::move(done), status]() mutable { std::move(done)(status); });
}

void LogDir::Impl::OnFailure(Executor* executor, absl::AnyInvocable<void(absl::Status)> callback) {
  if (!writer_->status().ok()) {
    return executor->Post([callback = std::move(callback), status = writer_->status()]() mutable {
      callback(status);
    });
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

SyncTimes LogDir::sync_times() const {
  const LogDirFlags& flags = impl_->flags();
  const int64_t began = flags.sync_began_nanos.load(std::memory_order_relaxed);
  return {.measured = flags.syncs_measured.load(std::memory_order_relaxed),
          .total = absl::Nanoseconds(flags.syncs_nanos.load(std::memory_order_relaxed)),
          .began = began == 0 ? MonotonicTime::Never() : MonotonicTime::FromNanos(began)};
}

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
    impl->Leave(topic_partition, /*aside=*/false, executor, std::move(done));
  });
}

void LogDir::MarkStray(const TopicPartition& topic_partition, Executor* executor, Done done,
                       bool vouched) {
  impl_->disk()->Post(
      [impl = impl_, topic_partition, executor, done = std::move(done), vouched]() mutable {
        if (!vouched) impl->VouchForNothing(topic_partition);
        impl->Leave(topic_partition, /*aside=*/true, executor, std::move(done));
      });
}

void LogDir::Close(Executor* executor, Done done) {
  impl_->disk()->Post([impl = impl_, executor, done = std::move(done)]() mutable {
    impl->Close(executor, std::move(done));
  });
}

}  // namespace millrace::storage

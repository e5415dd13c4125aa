#include "raft/host/wal.h"

#include <deque>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"
#include "raft/host/wal_format.h"
#include "raft/host/wal_recovery.h"
#include "raft/host/wal_writer.h"

namespace millrace::raft {
namespace {

// About what a batch takes in memory and on the disk beside its payloads.
constexpr uint64_t kBatchOverheadBytes = 128;

uint64_t BytesOf(const WalBatch& batch) {
  uint64_t bytes = kBatchOverheadBytes;
  for (const Entry& entry : batch.entries) bytes += WalRecordBytes(entry.payload.size());
  return bytes;
}

absl::Status CheckOptions(const WalOptions& options) {
  if (options.segment_bytes % kWalBlockBytes != 0 ||
      options.fill_step_bytes % kWalBlockBytes != 0 || options.fill_step_bytes == 0 ||
      options.segment_bytes < options.entry_bytes_max + kWalStartGroupBytesMax + kWalBlockBytes) {
    return MakeError(
        ErrorCode::kInvalidConfig,
        absl::StrCat("WAL segments of ", options.segment_bytes, " bytes, filled in steps of ",
                     options.fill_step_bytes, ": both must be multiples of ", kWalBlockBytes,
                     ", and a segment must hold an entry of ", options.entry_bytes_max, " bytes"),
        {.name = "segment_bytes", .value = absl::StrCat(options.segment_bytes)});
  }
  return absl::OkStatus();
}

// Entries that follow each other are the caller's duty; sizes come from its input.
absl::Status CheckBatch(const WalOptions& options, const WalBatch& batch) {
  for (size_t i = 0; i < batch.entries.size(); ++i) {
    const Entry& entry = batch.entries[i];
    CHECK(i == 0 || entry.index == batch.entries[i - 1].index + 1) << "at entry " << entry.id();
    if (entry.payload.size() > options.entry_bytes_max) {
      return MakeError(
          ErrorCode::kEntryTooLarge,
          absl::StrCat("a log entry of ", entry.payload.size(), " bytes; the maximum is ",
                       options.entry_bytes_max, ": split the change"),
          {.name = "entry", .value = absl::StrCat(entry.payload.size())});
    }
  }
  return batch.voters.has_value() ? EncodeVoters(batch.voters->voters).status() : absl::OkStatus();
}

}  // namespace

WalMetrics::WalMetrics(MetricRegistry& registry)
    : sync_seconds(registry.AddHistogram("millrace_metadata_wal_sync_seconds",
                                         "Time to write and sync one group of the metadata log.",
                                         0.00001)),
      groups(registry.AddCounter("millrace_metadata_wal_groups_total",
                                 "Groups of records made durable together.")),
      bytes(registry.AddCounter("millrace_metadata_wal_written_bytes_total",
                                "Bytes written to the metadata log, padding included.")),
      seals(registry.AddCounter("millrace_metadata_wal_seals_total",
                                "Empty groups written to mark the one before as durable.")),
      segments_opened(
          registry.AddCounter("millrace_metadata_wal_segments_opened_total", "Segments begun.")) {}

// What the owner keeps of batches that are not durable.
struct Wal::Shared {
  struct Waiting {
    PersistedCallback persisted;
    uint64_t bytes = 0;
    MonotonicTime appended_at;
  };

  void OnPersisted(size_t batches) {
    for (; batches > 0 && !closed; --batches) {
      CHECK(!waiting.empty());
      Waiting first = std::move(waiting.front());
      waiting.pop_front();
      unsynced_bytes -= first.bytes;
      // It may append again, or destroy the Wal.
      if (first.persisted) std::move(first.persisted)();
    }
  }

  void OnFailed(const absl::Status& status) {
    if (closed) return;
    failed = status;
    waiting.clear();
    on_failed(status);
  }

  FailedCallback on_failed;
  std::deque<Waiting> waiting;
  uint64_t unsynced_bytes = 0;
  absl::Status failed;
  bool closed = false;
};

absl::StatusOr<std::unique_ptr<Wal>> Wal::Open(WalOptions options, Dependencies dependencies,
                                               EntryId snapshot, FailedCallback on_failed,
                                               WalRecovery* recovery) {
  RETURN_IF_ERROR(CheckOptions(options));
  auto writer = std::make_shared<WalWriter>(options, dependencies, dependencies.random->Next());
  RETURN_IF_ERROR(writer->PrepareDirectory());
  ASSIGN_OR_RETURN(WalRecovered recovered, RecoverWal(options, *dependencies.files, snapshot));
  RETURN_IF_ERROR(writer->Open(recovered));
  *recovery = std::move(recovered.recovery);
  return std::unique_ptr<Wal>(
      new Wal(std::move(options), dependencies, std::move(writer), std::move(on_failed)));
}

Wal::Wal(WalOptions options, Dependencies dependencies, std::shared_ptr<WalWriter> writer,
         FailedCallback on_failed)
    : options_(std::move(options)),
      dependencies_(dependencies),
      writer_(std::move(writer)),
      shared_(std::make_shared<Shared>()) {
  shared_->on_failed = std::move(on_failed);
  Executor* const owner = dependencies_.owner;
  std::weak_ptr<Shared> weak = shared_;
  writer_->SetEvents(WalWriter::Events{
      .persisted =
          [owner, weak](size_t batches) {
            owner->Post([weak, batches] {
              if (auto shared = weak.lock()) shared->OnPersisted(batches);
            });
          },
      .failed =
          [owner, weak](const absl::Status& status) {
            owner->Post([weak, status] {
              if (auto shared = weak.lock()) shared->OnFailed(status);
            });
          },
  });
  dependencies_.disk->Post([writer = writer_] { writer->ArmSeal(); });
}

Wal::~Wal() {
  shared_->closed = true;
  writer_->Close();
}

absl::Status Wal::Append(WalBatch batch, PersistedCallback persisted) {
  RETURN_IF_ERROR(shared_->failed);
  RETURN_IF_ERROR(CheckBatch(options_, batch));
  const uint64_t bytes = BytesOf(batch);
  if (shared_->unsynced_bytes > 0 &&
      shared_->unsynced_bytes + bytes > options_.unsynced_bytes_max) {
    return MakeError(ErrorCode::kResourceExhausted,
                     absl::StrCat("the disk of '", options_.directory, "' is behind: ",
                                  shared_->unsynced_bytes, " bytes are not durable yet; retry"),
                     {.name = options_.directory});
  }
  shared_->unsynced_bytes += bytes;
  shared_->waiting.push_back(
      Shared::Waiting{std::move(persisted), bytes, dependencies_.clock->Now()});
  dependencies_.disk->Post(
      [writer = writer_, batch = std::move(batch)]() mutable { writer->Stage(std::move(batch)); });
  return absl::OkStatus();
}

void Wal::ReleaseBefore(LogIndex index) {
  dependencies_.disk->Post([writer = writer_, index] { writer->ReleaseBefore(index); });
}

std::optional<MonotonicTime> Wal::oldest_unpersisted() const {
  if (shared_->waiting.empty()) return std::nullopt;
  return shared_->waiting.front().appended_at;
}

uint64_t Wal::unsynced_bytes() const { return shared_->unsynced_bytes; }

}  // namespace millrace::raft

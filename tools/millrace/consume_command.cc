#include "tools/millrace/consume_command.h"

#include <csignal>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "base/posix_file_system.h"
#include "base/status.h"
#include "client/consumer.h"
#include "tools/millrace/position_file.h"
#include "tools/millrace/record_format.h"
#include "tools/millrace/record_splitter.h"

namespace millrace::tools {
namespace {

// How often Poll comes back to look at signals and at whether the end is reached.
constexpr absl::Duration kPollTimeout = absl::Milliseconds(200);
constexpr size_t kFlushBytes = 256 << 10;

struct ConsumeOptions {
  std::string topic;
  bool from_beginning = false;
  int64_t offset = -1;
  std::string time;
  std::string state;
  std::vector<int32_t> partitions;
  int64_t count = -1;
  bool follow = false;
  std::string format = "value";
  std::string delimiter = "\\n";
  std::string isolation = "read_committed";
};

volatile std::sig_atomic_t stop_requested = 0;

void OnStopSignal(int /*signal*/) { stop_requested = 1; }

// From here on SIGINT and SIGTERM end the loop instead of the process, so that positions are saved.
void CatchStopSignals() {
  struct sigaction action = {};
  action.sa_handler = OnStopSignal;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

absl::StatusOr<int64_t> ParseTime(const std::string& text) {
  int64_t ms = 0;
  if (absl::SimpleAtoi(text, &ms)) return ms;
  absl::Time time;
  std::string error;
  for (const char* form : {"%Y-%m-%d%ET%H:%M:%E*S%Ez", "%Y-%m-%d %H:%M:%E*S", "%Y-%m-%d"}) {
    if (absl::ParseTime(form, text, &time, &error)) return absl::ToUnixMillis(time);
  }
  return MakeError(ErrorCode::kInvalidRequest,
                   absl::StrCat("--time: '", text,
                                "' is neither milliseconds since 1970 nor a time like "
                                "2026-01-31T12:00:00Z or 2026-01-31"),
                   {.name = "--time", .value = text});
}

// Where to begin, unless a position file knows better.
absl::StatusOr<client::Position> StartPosition(const ConsumeOptions& options) {
  if (options.offset >= 0) {
    return client::Position{.kind = client::Position::Kind::kOffset,
                            .offset = Offset(options.offset)};
  }
  if (!options.time.empty()) {
    ASSIGN_OR_RETURN(const int64_t ms, ParseTime(options.time));
    return client::Position{.kind = client::Position::Kind::kTimestamp, .timestamp_ms = ms};
  }
  // Following without a starting point shows what comes from now on; otherwise all there is.
  const bool latest = options.follow && !options.from_beginning;
  return client::Position{.kind = latest ? client::Position::Kind::kLatest
                                         : client::Position::Kind::kEarliest};
}

// One run of the command.
class Consumption {
 public:
  Consumption(const ConsumeOptions& options, const GlobalOptions& global, RecordFormat format,
              std::string delimiter)
      : options_(options),
        global_(global),
        format_(std::move(format)),
        delimiter_(std::move(delimiter)) {}

  absl::Status Run() {
    ASSIGN_OR_RETURN(
        consumer_,
        client::Consumer::Create(
            {{"bootstrap.servers", absl::StrJoin(global_.bootstrap_servers(), ",")},
             {"client.id", "millrace-consume"},
             {"isolation.level", options_.isolation},
             // A position that is gone is an error here: skipping records silently is no service.
             {"auto.offset.reset", "none"}}));
    RETURN_IF_ERROR(Assign());
    CatchStopSignals();
    const absl::Status status = Loop();
    const absl::Status flushed = Flush();
    return status.ok() ? flushed : status;
  }

 private:
  absl::Status Assign() {
    std::vector<PartitionIndex> partitions;
    for (int32_t partition : options_.partitions) partitions.push_back(PartitionIndex(partition));
    if (partitions.empty()) {
      ASSIGN_OR_RETURN(partitions, consumer_->Partitions(options_.topic, global_.timeout()));
    }
    if (!options_.state.empty()) {
      ASSIGN_OR_RETURN(next_, ReadPositionFile(files_, options_.state, options_.topic));
    }
    ASSIGN_OR_RETURN(const client::Position start, StartPosition(options_));
    std::map<client::NamedPartition, client::Position> assignment;
    std::vector<client::NamedPartition> named;
    for (PartitionIndex partition : partitions) {
      client::Position position = start;
      if (auto known = next_.find(partition); known != next_.end()) {
        position = {.kind = client::Position::Kind::kOffset, .offset = known->second};
      }
      named.push_back({options_.topic, partition});
      assignment[named.back()] = position;
    }
    ASSIGN_OR_RETURN(const auto ranges, consumer_->OffsetRange(named, global_.timeout()));
    for (const auto& [partition, range] : ranges) {
      RETURN_IF_ERROR(CheckOffset(partition, range.first, range.second));
      if (!options_.follow) end_[partition] = range.second;
    }
    return consumer_->Assign(std::move(assignment));
  }

  // Nothing would come from an offset beyond the end, and nobody would learn why.
  absl::Status CheckOffset(const client::NamedPartition& partition, Offset start,
                           Offset end) const {
    const Offset offset(options_.offset);
    if (options_.offset < 0 || (start <= offset && offset <= end)) return absl::OkStatus();
    return MakeError(ErrorCode::kOffsetOutOfRange,
                     absl::StrCat("--offset: ", options_.offset, " is not in ", partition.topic,
                                  "-", partition.partition.value(), ", which holds ", start.value(),
                                  " to ", end.value() - 1),
                     {.name = "--offset", .value = absl::StrCat(options_.offset)});
  }

  absl::Status Loop() {
    while (stop_requested == 0 && count_ != options_.count && !AtEnd()) {
      absl::StatusOr<std::vector<client::ConsumedRecord>> records = consumer_->Poll(kPollTimeout);
      if (!records.ok()) return records.status();
      for (const client::ConsumedRecord& record : *records) {
        if (count_ == options_.count) break;
        if (IsBeyondEnd(record)) continue;
        ++count_;
        format_.Append(record, &pending_);
        pending_.append(delimiter_);
        next_[record.partition] = record.offset + 1;
        if (pending_.size() >= kFlushBytes) RETURN_IF_ERROR(Flush());
      }
      // What is followed must be seen at once.
      if (options_.follow) RETURN_IF_ERROR(Flush());
      if (reader_gone_) break;
    }
    return absl::OkStatus();
  }

  bool IsBeyondEnd(const client::ConsumedRecord& record) const {
    const auto end = end_.find({record.topic, record.partition});
    return end != end_.end() && record.offset >= end->second;
  }

  // Whether all that was there at the start has been printed. Offsets may have gaps (control
  // batches), so it is the position that counts, not the last record.
  bool AtEnd() const {
    if (options_.follow) return false;
    for (const auto& [partition, end] : end_) {
      const absl::StatusOr<Offset> position = consumer_->PositionOf(partition);
      if (!position.ok() || *position == kNoOffset || *position < end) return false;
    }
    return true;
  }

  // The records first, then the positions that say they were printed.
  absl::Status Flush() {
    if (!pending_.empty()) {
      reader_gone_ = !PrintOut(pending_) || std::fflush(stdout) != 0;
      pending_.clear();
      if (reader_gone_) return absl::OkStatus();
    }
    if (options_.state.empty() || next_ == saved_) return absl::OkStatus();
    RETURN_IF_ERROR(WritePositionFile(files_, options_.state, options_.topic, next_));
    saved_ = next_;
    return absl::OkStatus();
  }

  const ConsumeOptions& options_;
  const GlobalOptions& global_;
  const RecordFormat format_;
  const std::string delimiter_;
  PosixFileSystem files_;
  std::unique_ptr<client::Consumer> consumer_;
  // Where the log ended when we began; empty when following.
  std::map<client::NamedPartition, Offset> end_;
  NextOffsets next_;
  NextOffsets saved_;
  std::string pending_;
  int64_t count_ = 0;
  bool reader_gone_ = false;
};

absl::Status Consume(const ConsumeOptions& options, const GlobalOptions& global) {
  ASSIGN_OR_RETURN(
      RecordFormat format,
      RecordFormat::Parse(global.format() == OutputFormat::kJson ? "json" : options.format));
  ASSIGN_OR_RETURN(std::string delimiter, Unescape(options.delimiter));
  Consumption consumption(options, global, std::move(format), std::move(delimiter));
  return consumption.Run();
}

}  // namespace

void AddConsumeCommand(CLI::App* app, GlobalOptions* global) {
  auto options = std::make_shared<ConsumeOptions>();
  CLI::App* command =
      AddCommand(app, "consume", "Print the records of a topic",
                 "  millrace consume orders --from-beginning\n"
                 "  millrace consume orders --follow --format '{offset} {key}: {value}'\n"
                 "  millrace consume orders --time 2026-01-31T12:00:00Z --count 10 -o json\n"
                 "  millrace consume orders --state orders.position    (go on where it stopped)\n",
                 global, [=] { return Consume(*options, *global); });
  command->add_option("topic", options->topic, "Topic to read")->required();
  CLI::Option* beginning =
      command->add_flag("--from-beginning", options->from_beginning,
                        "Begin at the first record (the default without --follow)");
  CLI::Option* offset =
      command->add_option("--offset", options->offset, "Begin at this offset in every partition")
          ->check(CLI::NonNegativeNumber);
  CLI::Option* time = command->add_option(
      "--time", options->time, "Begin at the first record at or after this time (ms or RFC 3339)");
  CLI::Option* state = command->add_option(
      "--state", options->state, "File that keeps the positions: begin there, and save them there");
  beginning->excludes(offset)->excludes(time);
  offset->excludes(time)->excludes(state);
  time->excludes(state);
  state->excludes(beginning);
  command->add_option("-p,--partition", options->partitions, "Only this partition; may be repeated")
      ->check(CLI::NonNegativeNumber);
  command->add_option("-n,--count", options->count, "Stop after this many records")
      ->check(CLI::NonNegativeNumber);
  command->add_flag("--follow", options->follow, "Wait for more records at the end");
  command
      ->add_option("--format", options->format,
                   "value, key-value, json, or a template with {topic} {partition} {offset} "
                   "{timestamp} {key} {value} {headers}")
      ->capture_default_str();
  command->add_option("-d,--delimiter", options->delimiter, "Printed after each record")
      ->capture_default_str();
  command->add_option("--isolation", options->isolation, "Which records are seen")
      ->check(CLI::IsMember({"read_committed", "read_uncommitted"}))
      ->capture_default_str();
  AddConnectionOptions(command, global);
}

}  // namespace millrace::tools

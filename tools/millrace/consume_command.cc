#include "tools/millrace/consume_command.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "base/posix_file_system.h"
#include "base/status.h"
#include "client/consumer.h"
#include "client/read_position.h"
#include "tools/millrace/option_check.h"
#include "tools/millrace/position_file.h"
#include "tools/millrace/progress_line.h"
#include "tools/millrace/record_format.h"
#include "tools/millrace/record_splitter.h"
#include "tools/millrace/stop_signals.h"

namespace millrace::tools {
namespace {

// How often Poll comes back to look at signals and at whether the end is reached.
constexpr absl::Duration kPollTimeout = absl::Milliseconds(200);
constexpr size_t kFlushBytes = 256 << 10;
constexpr char kReset[] = "auto.offset.reset";

struct ConsumeOptions {
  std::string topic;
  bool from_beginning = false;
  int64_t offset = -1;
  std::string time;
  std::string state;
  std::vector<int32_t> partitions;
  int64_t count = -1;
  bool follow = false;
  bool until_end = false;
  std::string format = "value";
  std::string null_marker;
  std::string delimiter = "\\n";
  std::string isolation = "read_committed";
  std::string rack;
  std::vector<std::string> properties;
  // For what was given on the line, and what is a default.
  const CLI::App* command = nullptr;

  bool given(const std::string& option) const { return command->count(option) != 0; }
};

// Kafka's names for the ends of a log among its times.
constexpr int64_t kTimeOfLatest = -1;
constexpr int64_t kTimeOfEarliest = -2;

client::Position AtTime(int64_t ms) {
  return {.kind = client::Position::Kind::kTimestamp, .timestamp_ms = ms};
}

absl::StatusOr<client::Position> ParseTime(const std::string& text) {
  int64_t ms = 0;
  if (absl::SimpleAtoi(text, &ms)) {
    if (ms == kTimeOfLatest) return client::Position{.kind = client::Position::Kind::kLatest};
    if (ms == kTimeOfEarliest) return client::Position{.kind = client::Position::Kind::kEarliest};
    if (ms >= 0) return AtTime(ms);
    return MakeError(ErrorCode::kInvalidRequest,
                     absl::StrCat("--time: ", ms,
                                  " is no time; a negative one may be -1, the end of the log, or "
                                  "-2, its beginning"),
                     {.name = "--time", .value = text});
  }
  absl::Time time;
  std::string error;
  for (const char* form : {"%Y-%m-%d%ET%H:%M:%E*S%Ez", "%Y-%m-%d %H:%M:%E*S", "%Y-%m-%d"}) {
    if (absl::ParseTime(form, text, &time, &error)) return AtTime(absl::ToUnixMillis(time));
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
  if (!options.time.empty()) return ParseTime(options.time);
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
        delimiter_(std::move(delimiter)),
        topic_{.name = options.topic} {}

  absl::Status Run() {
    RETURN_IF_ERROR(ExpectServer(global_));
    ConfigValues config = global_.connection();
    config["client.id"] = "millrace-consume";
    config["isolation.level"] = options_.isolation;
    config["client.rack"] = options_.rack;
    // A position that is gone is an error here: skipping records silently is no service.
    config[kReset] = "none";
    for (const std::string& text : options_.properties) {
      ASSIGN_OR_RETURN(auto setting, SplitSetting(text, "--property"));
      config[setting.first] = setting.second;
    }
    reset_ = config[kReset];
    ASSIGN_OR_RETURN(consumer_, client::Consumer::Create(config));
    RETURN_IF_ERROR(Assign());
    // At a signal the positions are still saved.
    CatchStopSignals();
    const absl::Status status = Loop();
    KeepBeginnings({});
    const absl::Status flushed = Flush();
    return status.ok() ? flushed : status;
  }

 private:
  absl::Status Assign() {
    ASSIGN_OR_RETURN(const std::vector<PartitionIndex> partitions, WantedPartitions());
    bool exists = false;
    if (!options_.state.empty()) {
      ASSIGN_OR_RETURN(exists, files_.Exists(options_.state));
      ASSIGN_OR_RETURN(topic_.id, consumer_->TopicIdOf(options_.topic, global_.timeout()));
      ASSIGN_OR_RETURN(kept_, ReadPositionFile(files_, options_.state, topic_));
    }
    ASSIGN_OR_RETURN(client::Position start, StartPosition(options_));
    // What the file does not name was added since then: nothing of it was printed.
    if (exists) start = {.kind = client::Position::Kind::kEarliest};
    std::map<client::NamedPartition, client::Position> assignment;
    std::vector<client::NamedPartition> named;
    for (PartitionIndex partition : partitions) {
      client::Position position = start;
      if (auto known = kept_.find(partition); known != kept_.end()) {
        position = {.kind = client::Position::Kind::kOffset,
                    .offset = known->second.next,
                    .leader_epoch = known->second.epoch};
      } else {
        unkept_.push_back({options_.topic, partition});
      }
      named.push_back({options_.topic, partition});
      assignment[named.back()] = position;
    }
    ASSIGN_OR_RETURN(const auto ranges, consumer_->OffsetRange(named, global_.timeout()));
    for (const auto& [partition, range] : ranges) {
      RETURN_IF_ERROR(CheckOffset(partition, range.first, range.second));
      client::Position& from = assignment[partition];
      RETURN_IF_ERROR(ResetIfDeleted(partition, range.first, &from));
      const bool known = from.kind == client::Position::Kind::kOffset;
      if (known && from.offset > range.second) beyond_end_[partition] = from.offset;
      if (options_.follow) continue;
      end_[partition] = range.second;
      if (from.kind == client::Position::Kind::kLatest) continue;
      expected_ += std::max<int64_t>(0, range.second - (known ? from.offset : range.first));
    }
    if (options_.count >= 0 && !options_.follow) expected_ = std::min(expected_, options_.count);
    return consumer_->Assign(std::move(assignment));
  }

  // Those asked for, or all there are.
  absl::StatusOr<std::vector<PartitionIndex>> WantedPartitions() {
    ASSIGN_OR_RETURN(const std::vector<PartitionIndex> all,
                     consumer_->Partitions(options_.topic, global_.timeout()));
    if (options_.partitions.empty()) return all;
    std::set<PartitionIndex> wanted;
    for (int32_t partition : options_.partitions) {
      wanted.insert(PartitionIndex(partition));
      if (static_cast<size_t>(partition) < all.size()) continue;
      return MakeError(ErrorCode::kUnknownTopicOrPartition,
                       absl::StrCat("--partition: topic '", options_.topic, "' has no partition ",
                                    partition, "; it has ", all.size(), ": 0 to ", all.size() - 1),
                       {.name = "--partition", .value = absl::StrCat(partition)});
    }
    return std::vector<PartitionIndex>(wanted.begin(), wanted.end());
  }

  // Nothing would come from an offset beyond the end, and nobody would learn why.
  absl::Status CheckOffset(const client::NamedPartition& partition, Offset start,
                           Offset end) const {
    const Offset offset(options_.offset);
    if (options_.offset < 0 || (start <= offset && offset <= end)) return absl::OkStatus();
    const std::string holds =
        start == end ? absl::StrCat(", which is empty and ends at ", end.value())
                     : absl::StrCat(", which holds ", start.value(), " to ", end.value() - 1);
    return MakeError(ErrorCode::kOffsetOutOfRange,
                     absl::StrCat("--offset: ", options_.offset, " is not in ", partition.topic,
                                  "-", partition.partition.value(), holds),
                     {.name = "--offset", .value = absl::StrCat(options_.offset)});
  }

  // What was to be read next was deleted meanwhile, by retention or by hand.
  absl::Status ResetIfDeleted(const client::NamedPartition& partition, Offset start,
                              client::Position* from) {
    const auto known = kept_.find(partition.partition);
    if (known == kept_.end() || known->second.next >= start) return absl::OkStatus();
    const std::string what =
        absl::StrCat(TextOf(partition), ": the next offset in '", options_.state, "' is ",
                     known->second.next.value(), ", and the log begins at ", start.value(),
                     " now: what lay between was deleted");
    if (reset_ == "none") {
      return MakeError(ErrorCode::kOffsetOutOfRange,
                       absl::StrCat(what, "; go on with --property ", kReset, "=earliest, at ",
                                    start.value(), ", or =latest, with what comes from now on"),
                       {.name = "--state", .value = options_.state});
    }
    NoteReset(what);
    *from = {.kind = reset_ == "latest" ? client::Position::Kind::kLatest
                                        : client::Position::Kind::kEarliest};
    kept_.erase(known);
    unkept_.push_back(partition);
    return absl::OkStatus();
  }

  // Nobody is to believe that he was shown all.
  void NoteReset(const std::string& what) {
    progress_.Clear();
    const std::string text = absl::StrCat("note: ", what, "; it goes on by ", kReset, "=", reset_);
    std::fprintf(stderr, "%s\n", text.c_str());
  }

  absl::Status Loop() {
    auto heard = std::chrono::steady_clock::now();
    while (!StopRequested() && count_ != options_.count && !AtEnd()) {
      absl::StatusOr<std::vector<client::ConsumedRecord>> records = consumer_->Poll(kPollTimeout);
      if (!records.ok()) return WithWayOn(records.status());
      KeepBeginnings(*records);
      const auto now = std::chrono::steady_clock::now();
      if (!records->empty()) heard = now;
      if (absl::FromChrono(now - heard) > global_.timeout()) {
        if (!options_.follow) return Silence();
        if (options_.given("--timeout")) break;
      }
      for (const client::ConsumedRecord& record : *records) {
        if (count_ == options_.count || unwritten_) break;
        if (IsBeyondEnd(record)) continue;
        ++count_;
        format_.Append(record, &pending_);
        pending_.append(delimiter_);
        kept_[record.partition] = {record.offset + 1, record.leader_epoch};
        if (pending_.size() >= kFlushBytes) RETURN_IF_ERROR(Flush());
      }
      // What is followed must be seen at once.
      if (options_.follow) RETURN_IF_ERROR(Flush());
      if (unwritten_) break;
      progress_.Update([this] { return absl::StrCat(CountOf(count_, expected_), " records"); });
    }
    return absl::OkStatus();
  }

  // A partition is kept from where it begins, as soon as that is known, also if nothing of it is
  // printed: else the next run would begin it elsewhere. `records` have not been printed yet.
  void KeepBeginnings(const std::vector<client::ConsumedRecord>& records) {
    NoteResets();
    if (unkept_.empty()) return;
    for (const client::ConsumedRecord& record : records) {
      kept_.try_emplace(record.partition, KeptPosition{.next = record.offset});
    }
    std::erase_if(unkept_, [this](const client::NamedPartition& name) {
      if (kept_.contains(name.partition)) return true;
      const absl::StatusOr<client::Position> at = consumer_->ResumePositionOf(name);
      if (!at.ok() || at->kind != client::Position::Kind::kOffset) return false;
      kept_[name.partition] = {.next = at->offset, .epoch = at->leader_epoch};
      return true;
    });
  }

  // Of positions beyond the end: those that auto.offset.reset has moved begin elsewhere now. Others
  // may have come into the log meanwhile.
  void NoteResets() {
    std::erase_if(beyond_end_, [this](const auto& beyond) {
      const auto& [partition, offset] = beyond;
      if (IsAt(partition, offset)) return false;
      if (consumer_->PositionOf(partition).value_or(offset) > offset) return true;
      NoteReset(absl::StrCat(TextOf(partition), ": offset ", offset.value(),
                             " is not in the log, which is shorter than it was"));
      kept_.erase(partition.partition);
      unkept_.push_back(partition);
      return true;
    });
  }

  bool IsAt(const client::NamedPartition& partition, Offset offset) const {
    const absl::StatusOr<Offset> at = consumer_->PositionOf(partition);
    return !at.ok() || *at == kNoOffset || *at == offset;
  }

  // How to go on where the log has not what is to be read. After an unclean election the epoch has
  // to go with the offset: a leader that has nothing of that epoch would find the position as wrong
  // as before.
  absl::Status WithWayOn(const absl::Status& status) const {
    const std::optional<Offset> at = client::TruncatedAt(status);
    if (!at && CodeOf(status) == ErrorCode::kOffsetOutOfRange) {
      return MakeError(
          CodeOf(status),
          absl::StrCat(status.message(), " (--property ", kReset, "=earliest, or =latest)"),
          DetailOf(status));
    }
    if (!at || options_.state.empty()) return status;
    return MakeError(
        CodeOf(status),
        absl::StrCat(status.message(), ": set next_offsets of the partition to ", at->value(),
                     " and remove its entry of leader_epochs in '", options_.state, "'"),
        DetailOf(status));
  }

  // There is more, and it does not come.
  absl::Status Silence() const {
    return MakeError(ErrorCode::kRequestTimedOut,
                     absl::StrCat("nothing came from topic '", options_.topic, "' for ",
                                  absl::FormatDuration(global_.timeout()), ", after ", count_,
                                  " records and before the end; is its leader up? Wait longer with "
                                  "--timeout"),
                     {.name = "--timeout", .value = absl::StrCat(global_.timeout_s)});
  }

  bool IsBeyondEnd(const client::ConsumedRecord& record) const {
    const auto end = end_.find({record.topic, record.partition});
    return end != end_.end() && record.offset >= end->second;
  }

  // Whether all that was there at the start has been printed. Offsets may have gaps (control
  // batches), so it is the position that counts, not the last record.
  bool AtEnd() const {
    if (options_.follow) return false;
    // It is not the end that was reached: the log is shorter than it was. Poll says so, or goes on
    // elsewhere.
    for (const auto& [partition, offset] : beyond_end_) {
      if (IsAt(partition, offset)) return false;
    }
    for (const auto& [partition, end] : end_) {
      const absl::StatusOr<Offset> position = consumer_->PositionOf(partition);
      if (!position.ok() || *position == kNoOffset || *position < end) return false;
    }
    return true;
  }

  // The records first, then the positions that say they were printed.
  absl::Status Flush() {
    if (!pending_.empty()) {
      unwritten_ = !PrintOut(pending_) || !FlushOut();
      pending_.clear();
    }
    // What was not printed is not kept, now or later. Whether that is an error is told at the end.
    if (unwritten_) return absl::OkStatus();
    if (options_.state.empty() || kept_ == saved_) return absl::OkStatus();
    RETURN_IF_ERROR(WritePositionFile(files_, options_.state, topic_, kept_));
    saved_ = kept_;
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
  // What to do with positions out of range: "none", "earliest", "latest".
  std::string reset_;
  // Positions of the file that are beyond the end of their log, until a reset moves them.
  std::map<client::NamedPartition, Offset> beyond_end_;
  KeptTopic topic_;
  KeptPositions kept_;
  KeptPositions saved_;
  // Those that kept_ does not have yet.
  std::vector<client::NamedPartition> unkept_;
  std::string pending_;
  int64_t count_ = 0;
  // How many there are to the end; at most, since offsets may have gaps. 0: not known.
  int64_t expected_ = 0;
  // Standard output takes no more.
  bool unwritten_ = false;
  // Records on the same terminal are progress enough.
  ProgressLine progress_{ErrorIsTerminal() && ::isatty(STDOUT_FILENO) != 1};
};

absl::Status Consume(const ConsumeOptions& options, const GlobalOptions& global) {
  const bool json = global.format() == OutputFormat::kJson;
  ASSIGN_OR_RETURN(const std::string text, Unescape(json ? "json" : options.format));
  ASSIGN_OR_RETURN(RecordFormat format, RecordFormat::Parse(text, options.null_marker));
  ASSIGN_OR_RETURN(std::string delimiter, Unescape(options.delimiter));
  // Raw is what was sent and nothing else, unless something else was asked for.
  if (text == "raw" && !options.given("--delimiter")) delimiter.clear();
  Consumption consumption(options, global, std::move(format), std::move(delimiter));
  return consumption.Run();
}

}  // namespace

void AddConsumeCommand(CLI::App* app, GlobalOptions* global) {
  auto options = std::make_shared<ConsumeOptions>();
  CLI::App* command = AddCommand(
      app, "consume", "Print the records of a topic",
      "  millrace consume orders --from-beginning\n"
      "  millrace consume orders --follow --format '{offset} {key}: {value}'\n"
      "  millrace consume orders --time 2026-01-31T12:00:00Z --count 10 -o json\n"
      "  millrace consume orders --state orders.position    (go on where it stopped)\n"
      "  millrace consume images --partition 0 --offset 7 --count 1 --format raw >7.png\n"
      "A state file keeps every partition from where its reading began; one that it does not "
      "name,\n"
      "since it was added later, begins at its first record. If what is to be read next was "
      "deleted\n"
      "meanwhile that is an error, unless --property auto.offset.reset=earliest (or latest) says "
      "where\n"
      "to go on.\n"
      "It ends at what is the end when it begins (--until-end, the default), after --count\n"
      "records, or with --follow at a signal, or after --timeout seconds without a record.\n",
      global,
      [=] { return WithNearestTopic(Consume(*options, *global), options->topic, *global); });
  options->command = command;
  command->add_option("topic", options->topic, "Topic to read")->required();
  CLI::Option* beginning =
      command->add_flag("--from-beginning", options->from_beginning,
                        "Begin at the first record (the default without --follow)");
  CLI::Option* offset =
      command->add_option("--offset", options->offset, "Begin at this offset in every partition")
          ->check(WholeNumber(0));
  CLI::Option* time = command->add_option(
      "--time", options->time,
      "Begin at the first record at or after this time (ms or RFC 3339; -1: at the end, -2: "
      "at the beginning)");
  CLI::Option* state = command->add_option(
      "--state", options->state, "File that keeps the positions: begin there, and save them there");
  beginning->excludes(offset)->excludes(time);
  offset->excludes(time)->excludes(state);
  time->excludes(state);
  state->excludes(beginning);
  command->add_option("-p,--partition", options->partitions, "Only this partition; may be repeated")
      ->check(WholeNumber(0, INT32_MAX));
  command->add_option("-n,--count", options->count, "Stop after this many records")
      ->check(WholeNumber(0));
  CLI::Option* follow =
      command->add_flag("--follow", options->follow, "Wait for more records at the end");
  command
      ->add_flag("--until-end", options->until_end,
                 "Stop at what is the end now (the default without --follow)")
      ->excludes(follow);
  command
      ->add_option(
          "--format", options->format,
          "value, key-value, json, raw (nothing between records), or a template with "
          "{topic} {partition} {offset} {timestamp} {key} {value} {headers}; escapes as in "
          "--delimiter")
      ->capture_default_str();
  command->add_option("--null-marker", options->null_marker,
                      "Printed for a null key, value or header's value, which prints as nothing "
                      "otherwise; JSON has null");
  command
      ->add_option("-d,--delimiter", options->delimiter,
                   "Printed after each record; \\n \\t \\0 \\\\ \\xNN are escapes")
      ->capture_default_str();
  command->add_option("--isolation", options->isolation, "Which records are seen")
      ->check(OneOf({"read_committed", "read_uncommitted"}))
      ->capture_default_str();
  command->add_option("--rack", options->rack,
                      "Rack of this machine: replicas in it are read from, where they are in sync");
  command->add_option("--property", options->properties,
                      "Consumer config, name=value (see docs/configuration.md); may be repeated");
  AddConnectionOptions(command, global);
  command->get_option("--timeout")
      ->description(
          "Seconds to wait for an answer, or for the next record before the end, else it fails; "
          "--follow waits for ever, or if this is given ends after so many without a record");
}

}  // namespace millrace::tools

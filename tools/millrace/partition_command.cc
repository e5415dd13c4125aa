#include "tools/millrace/partition_command.h"

#include <algorithm>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "tools/millrace/broker_log_dirs.h"
#include "tools/millrace/delete_records_command.h"
#include "tools/millrace/partition_verify_command.h"
#include "tools/millrace/reassignment_plan.h"

namespace millrace::tools {
namespace {

// What the commands of `partition` are given; one struct, since each uses a few of the fields.
struct PartitionOptions {
  std::vector<std::string> words;
  std::string replicas;
  std::string file;
  int64_t throttle_bytes_per_s = 0;
  bool unclean = false;
  bool all = false;
  bool status = false;
  bool dry_run = false;
};

absl::Status Misused(const std::string& message) {
  return MakeError(ErrorCode::kInvalidRequest, message);
}

template <class Ids>
Json IdsJson(const Ids& ids) {
  return std::vector<int32_t>(ids.begin(), ids.end());
}

template <class Ids>
std::string IdsText(const Ids& ids) {
  return ids.empty() ? "-" : absl::StrJoin(ids, ",");
}

// Empty for a result that is none.
std::string ErrorText(v1::ErrorCode code) {
  if (code == v1::ERROR_CODE_UNSPECIFIED) return "";
  return std::string(ErrorCodeName(CodeOf(ResultStatus(code, ""))));
}

std::string LeaderText(int32_t leader) { return leader < 0 ? "none" : absl::StrCat(leader); }

// --- elect ---

absl::StatusOr<v1::ElectLeadersRequest> ElectionOf(const PartitionOptions& options) {
  v1::ElectLeadersRequest request;
  request.set_type(options.unclean ? v1::ELECTION_TYPE_UNCLEAN : v1::ELECTION_TYPE_PREFERRED);
  request.set_validate_only(options.dry_run);
  for (const std::string& word : options.words) {
    ASSIGN_OR_RETURN(const TopicPartitionWord named, ParseTopicPartition(word));
    v1::ElectLeadersTopic* topic = request.add_topics();
    topic->set_name(named.topic);
    if (named.partition.has_value()) topic->add_partitions(*named.partition);
  }
  if (options.unclean && request.topics().empty()) {
    return Misused(
        "partition elect --unclean: name the partitions: records that the new leaders lack are "
        "lost");
  }
  return request;
}

absl::Status Elect(const PartitionOptions& options, const GlobalOptions& global) {
  ASSIGN_OR_RETURN(const v1::ElectLeadersRequest request, ElectionOf(options));
  ASSIGN_OR_RETURN(auto admin, ConnectAdmin(global));
  ASSIGN_OR_RETURN(const v1::ElectLeadersResponse response, admin->ElectLeaders(request));
  absl::Status first_error;
  Json partitions = Json::array();
  Table table({"TOPIC", "PARTITION", "LEADER", "EPOCH", "RESULT"});
  int unclean = 0;
  for (const v1::ElectLeaderResult& result : response.results()) {
    // Controllers of earlier versions say 0 of what does not exist, which may be a broker.
    const bool missing = result.code() == v1::ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION;
    const int32_t leader = missing ? -1 : result.leader_id();
    first_error.Update(ResultStatus(result.code(), result.message()));
    unclean += result.unclean() ? 1 : 0;
    partitions.push_back({{"topic", result.topic()},
                          {"partition", result.partition()},
                          {"leader", leader},
                          {"leader_epoch", result.leader_epoch()},
                          {"elected", result.changed() && !options.dry_run},
                          {"unclean", result.unclean()},
                          {"error", ErrorText(result.code())},
                          {"message", result.message()}});
    table.Add({result.topic(), absl::StrCat(result.partition()), LeaderText(leader),
               absl::StrCat(result.leader_epoch()),
               result.code() != v1::ERROR_CODE_UNSPECIFIED ? result.message()
               : !result.changed()                         ? "as it was"
               : options.dry_run                           ? "would be elected"
                                                           : "elected"});
  }
  if (global.format() == OutputFormat::kJson) {
    PrintJson({{"partitions", partitions}, {"dry_run", options.dry_run}});
  } else if (response.results().empty()) {
    PrintOut("nothing to elect: all leaders are as they should be\n");
  } else {
    table.Print();
  }
  if (unclean > 0 && global.format() == OutputFormat::kTable) {
    PrintOut(absl::StrCat(unclean, " partition(s) ", options.dry_run ? "would have" : "have",
                          " a leader that was not sure to hold all acknowledged records: what it "
                          "lacks is lost\n"));
  }
  return first_error;
}

// --- reassign and cancel ---

// The partitions of a topic, as they are.
absl::StatusOr<v1::TopicDescription> DescribeTopic(const std::string& name,
                                                   const GlobalOptions& global,
                                                   client::Admin* admin) {
  v1::DescribeTopicsRequest request;
  request.add_names(name);
  ASSIGN_OR_RETURN(const v1::DescribeTopicsResponse response, admin->DescribeTopics(request));
  const v1::TopicDescription& topic = response.topics(0);
  RETURN_IF_ERROR(WithNearestTopic(ResultStatus(topic.code(), topic.message()), name, global));
  return topic;
}

// One partition, or all of the topic: then each begins with the next broker, so that leaders are
// spread.
absl::Status AddWord(const std::string& word, const std::vector<int32_t>& replicas,
                     const GlobalOptions& global, client::Admin* admin,
                     v1::AlterPartitionReassignmentsRequest* request) {
  ASSIGN_OR_RETURN(const TopicPartitionWord named, ParseTopicPartition(word));
  ASSIGN_OR_RETURN(const v1::TopicDescription topic, DescribeTopic(named.topic, global, admin));
  for (const v1::PartitionDescription& partition : topic.partitions()) {
    if (named.partition.value_or(partition.partition()) != partition.partition()) continue;
    v1::PartitionReassignment* wanted = request->add_reassignments();
    wanted->set_topic(topic.name());
    wanted->set_partition(partition.partition());
    std::vector<int32_t> rotated = replicas;
    if (!named.partition.has_value() && !rotated.empty()) {
      const auto first = partition.partition() % static_cast<int64_t>(rotated.size());
      std::rotate(rotated.begin(), rotated.begin() + first, rotated.end());
    }
    wanted->mutable_replicas()->Add(rotated.begin(), rotated.end());
  }
  if (!request->reassignments().empty()) return absl::OkStatus();
  return MakeError(ErrorCode::kUnknownTopicOrPartition,
                   absl::StrCat("topic ", topic.name(), " has partitions 0 to ",
                                topic.partitions_size() - 1, ", not ", *named.partition),
                   {.name = "partition", .value = absl::StrCat(*named.partition)});
}

Json StateJson(const v1::PartitionReassignmentState& state) {
  return {{"topic", state.topic()},
          {"partition", state.partition()},
          {"leader", state.leader_id()},
          {"replicas", IdsJson(state.replicas())},
          {"target", IdsJson(state.target())},
          {"adding", IdsJson(state.adding())},
          {"removing", IdsJson(state.removing())},
          {"isr", IdsJson(state.in_sync_replicas())},
          {"throttle_bytes_per_s", state.throttle_bytes_per_s()}};
}

// "2/3": of those that will hold it in the end, how many are in sync.
std::string ProgressText(const v1::PartitionReassignmentState& state) {
  int in_sync = 0;
  for (const int32_t broker : state.target()) {
    in_sync += std::count(state.in_sync_replicas().begin(), state.in_sync_replicas().end(), broker);
  }
  return absl::StrCat(in_sync, "/", state.target_size());
}

std::vector<std::string> Header() {
  return {"TOPIC", "PARTITION", "LEADER", "REPLICAS", "TARGET", "ADDING", "REMOVING", "IN SYNC"};
}

std::vector<std::string> Row(const v1::PartitionReassignmentState& state) {
  const bool moving = !state.target().empty();
  return {state.topic(),
          absl::StrCat(state.partition()),
          LeaderText(state.leader_id()),
          IdsText(state.replicas()),
          IdsText(state.target()),
          IdsText(state.adding()),
          IdsText(state.removing()),
          moving ? ProgressText(state) : "-"};
}

// How much of a partition each broker has, asked of the brokers that are concerned.
class Sizes {
 public:
  static absl::StatusOr<Sizes> Of(const v1::ListPartitionReassignmentsResponse& under_way,
                                  const GlobalOptions& global, client::Admin* admin) {
    std::set<int32_t> concerned;
    for (const v1::PartitionReassignmentState& state : under_way.reassignments()) {
      concerned.insert(state.leader_id());
      concerned.insert(state.adding().begin(), state.adding().end());
    }
    Sizes sizes;
    if (concerned.empty()) return sizes;
    ASSIGN_OR_RETURN(const v1::DescribeClusterResponse cluster, admin->DescribeCluster({}));
    for (const v1::BrokerDescription& broker : cluster.brokers()) {
      if (broker.fenced() || !concerned.contains(broker.broker_id())) continue;
      // One that does not answer has copied what nobody knows.
      const absl::StatusOr<v1::DescribeLogDirsResponse> dirs =
          DescribeLogDirsOf(broker, global, admin);
      if (dirs.ok()) sizes.Add(broker.broker_id(), *dirs);
    }
    return sizes;
  }

  // Over all that come: what they have, and what the leader has for them. Absent: not known.
  std::optional<std::pair<int64_t, int64_t>> Copied(
      const v1::PartitionReassignmentState& state) const {
    const std::optional<int64_t> whole = SizeOn(state.leader_id(), state);
    if (!whole.has_value()) return std::nullopt;
    int64_t copied = 0;
    for (const int32_t broker : state.adding()) {
      const std::optional<int64_t> there = SizeOn(broker, state);
      if (!there.has_value()) return std::nullopt;
      copied += std::min(*there, *whole);
    }
    return std::pair(copied, *whole * state.adding_size());
  }

 private:
  using Key = std::tuple<int32_t, std::string, int32_t>;

  void Add(int32_t broker, const v1::DescribeLogDirsResponse& dirs) {
    answered_.insert(broker);
    for (const v1::LogDirDescription& dir : dirs.log_dirs()) {
      for (const v1::LogDirPartition& partition : dir.partitions()) {
        bytes_[Key(broker, partition.topic(), partition.partition())] = partition.size_bytes();
      }
    }
  }
  std::optional<int64_t> SizeOn(int32_t broker, const v1::PartitionReassignmentState& state) const {
    if (!answered_.contains(broker)) return std::nullopt;
    const auto known = bytes_.find(Key(broker, state.topic(), state.partition()));
    return known == bytes_.end() ? 0 : known->second;
  }

  std::set<int32_t> answered_;
  std::map<Key, int64_t> bytes_;
};

constexpr double kMiB = 1 << 20;

std::string CopiedText(const std::optional<std::pair<int64_t, int64_t>>& copied) {
  if (!copied.has_value()) return "unknown";
  return absl::StrFormat("%.1f of %.1f MiB", static_cast<double>(copied->first) / kMiB,
                         static_cast<double>(copied->second) / kMiB);
}

// ", at most 1.50 MiB/s"; nothing where there is no throttle.
std::string ThrottleText(const v1::PartitionReassignmentState& state) {
  if (state.throttle_bytes_per_s() == 0) return "";
  return absl::StrFormat(", at most %.2f MiB/s",
                         static_cast<double>(state.throttle_bytes_per_s()) / kMiB);
}

absl::Status Alter(const v1::AlterPartitionReassignmentsRequest& request,
                   const GlobalOptions& global, client::Admin* admin) {
  ASSIGN_OR_RETURN(const v1::AlterPartitionReassignmentsResponse response,
                   admin->AlterPartitionReassignments(request));
  absl::Status first_error;
  Json partitions = Json::array();
  Table table(Header());
  int changed = 0;
  for (const v1::PartitionReassignmentResult& result : response.results()) {
    const std::string where =
        absl::StrCat("partition ", result.state().topic(), ":", result.state().partition());
    first_error.Update(Annotate(ResultStatus(result.code(), result.message()), where));
    Json json = StateJson(result.state());
    json["changed"] = result.changed() && !request.validate_only();
    json["error"] = ErrorText(result.code());
    json["message"] = result.message();
    partitions.push_back(std::move(json));
    changed += result.changed() ? 1 : 0;
    if (result.code() == v1::ERROR_CODE_UNSPECIFIED) table.Add(Row(result.state()));
  }
  if (global.format() == OutputFormat::kJson) {
    PrintJson({{"partitions", partitions}, {"dry_run", request.validate_only()}});
    return first_error;
  }
  table.Print();
  PrintOut(absl::StrCat(request.validate_only() ? "would change " : "changed ", changed, " of ",
                        response.results_size(), " partition(s)\n"));
  return first_error;
}

absl::Status ShowStatus(const PartitionOptions& options, const GlobalOptions& global) {
  v1::ListPartitionReassignmentsRequest request;
  for (const std::string& word : options.words) {
    ASSIGN_OR_RETURN(const TopicPartitionWord named, ParseTopicPartition(word));
    request.add_topics(named.topic);
  }
  ASSIGN_OR_RETURN(auto admin, ConnectAdmin(global));
  ASSIGN_OR_RETURN(const v1::ListPartitionReassignmentsResponse response,
                   admin->ListPartitionReassignments(request));
  ASSIGN_OR_RETURN(const Sizes sizes, Sizes::Of(response, global, admin.get()));
  Json reassignments = Json::array();
  std::vector<std::string> header = Header();
  header.push_back("COPIED");
  Table table(std::move(header));
  for (const v1::PartitionReassignmentState& state : response.reassignments()) {
    const std::optional<std::pair<int64_t, int64_t>> copied = sizes.Copied(state);
    Json json = StateJson(state);
    json["copied_bytes"] = copied.has_value() ? Json(copied->first) : Json(nullptr);
    json["total_bytes"] = copied.has_value() ? Json(copied->second) : Json(nullptr);
    reassignments.push_back(std::move(json));
    std::vector<std::string> row = Row(state);
    row.push_back(CopiedText(copied) + ThrottleText(state));
    table.Add(std::move(row));
  }
  if (global.format() == OutputFormat::kJson) {
    PrintJson({{"reassignments", reassignments}});
  } else if (response.reassignments().empty()) {
    PrintOut("no partition is being reassigned\n");
  } else {
    table.Print();
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadPlanFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file && text << file.rdbuf()) return text.str();
  return MakeError(ErrorCode::kInvalidRequest, absl::StrCat("--file: '", path, "' cannot be read"),
                   {.name = "--file", .value = path});
}

absl::Status Reassign(const PartitionOptions& options, const GlobalOptions& global) {
  if (options.status) return ShowStatus(options, global);
  const bool by_words = !options.words.empty() && !options.replicas.empty();
  if (by_words == !options.file.empty() || options.words.empty() != options.replicas.empty()) {
    return Misused(
        "partition reassign: give TOPIC or TOPIC:PARTITION with --replicas, or a --file, or "
        "--status");
  }
  if (options.throttle_bytes_per_s < 0) {
    return Misused("partition reassign: --throttle is in bytes per second, 0 for none");
  }
  v1::AlterPartitionReassignmentsRequest request;
  request.set_validate_only(options.dry_run);
  if (!by_words) {
    ASSIGN_OR_RETURN(const std::string text, ReadPlanFile(options.file));
    ASSIGN_OR_RETURN(auto plan, ParsePlan(text));
    for (v1::PartitionReassignment& wanted : plan) {
      *request.add_reassignments() = std::move(wanted);
    }
  }
  std::vector<int32_t> replicas;
  if (by_words) {
    ASSIGN_OR_RETURN(replicas, ParseBrokers(options.replicas));
  }
  ASSIGN_OR_RETURN(auto admin, ConnectAdmin(global));
  for (const std::string& word : options.words) {
    RETURN_IF_ERROR(AddWord(word, replicas, global, admin.get(), &request));
  }
  for (v1::PartitionReassignment& wanted : *request.mutable_reassignments()) {
    wanted.set_throttle_bytes_per_s(options.throttle_bytes_per_s);
  }
  return Alter(request, global, admin.get());
}

absl::Status Cancel(const PartitionOptions& options, const GlobalOptions& global) {
  if (options.all == !options.words.empty()) {
    return Misused("partition cancel: name partitions as TOPIC or TOPIC:PARTITION, or give --all");
  }
  ASSIGN_OR_RETURN(auto admin, ConnectAdmin(global));
  v1::AlterPartitionReassignmentsRequest request;
  request.set_validate_only(options.dry_run);
  for (const std::string& word : options.words) {
    RETURN_IF_ERROR(AddWord(word, {}, global, admin.get(), &request));
  }
  if (options.all) {
    ASSIGN_OR_RETURN(const v1::ListPartitionReassignmentsResponse under_way,
                     admin->ListPartitionReassignments({}));
    for (const v1::PartitionReassignmentState& state : under_way.reassignments()) {
      v1::PartitionReassignment* wanted = request.add_reassignments();
      wanted->set_topic(state.topic());
      wanted->set_partition(state.partition());
    }
  }
  return Alter(request, global, admin.get());
}

}  // namespace

void AddPartitionCommands(CLI::App* app, GlobalOptions* global) {
  CLI::App* partition = app->add_subcommand(
      "partition",
      "Move partitions between brokers, elect leaders, compare replicas, delete records");
  partition->require_subcommand(1);
  auto options = std::make_shared<PartitionOptions>();

  CLI::App* elect = AddCommand(
      partition, "elect", "Give leadership back to the first replicas",
      "  millrace partition elect                      (all topics)\n"
      "  millrace partition elect orders:3 payments\n"
      "  millrace partition elect orders:3 --unclean\n\n"
      "--unclean gives a partition without a leader one that may lack acknowledged records; they\n"
      "are lost. Use it when the brokers that have them are known not to come back.\n",
      global, [=] { return Elect(*options, *global); });
  elect->add_option("partitions", options->words, "TOPIC, or TOPIC:PARTITION; none means all");
  elect->add_flag("--unclean", options->unclean,
                  "Where there is no leader, take one that may lack records");

  CLI::App* reassign = AddCommand(
      partition, "reassign", "Move partitions to other brokers, or give them more or fewer",
      "  millrace partition reassign orders:3 --replicas 101,102,104\n"
      "  millrace partition reassign orders --replicas 101,102,103 --dry-run\n"
      "  millrace partition reassign --file plan.json --throttle 20000000\n"
      "  millrace partition reassign --status\n\n"
      "The first broker is the preferred leader; of a whole topic, each partition begins with the\n"
      "next one. The brokers that come copy the partition first; when all are in sync the others\n"
      "leave, and delete what they had. --throttle bounds what each leading broker sends to those\n"
      "that come; give the same command again with another one to change it. It has to be above\n"
      "what producers write, or nobody catches up. It ends with the move. A plan is JSON:\n"
      R"(  {"partitions":[{"topic":"orders","partition":3,"replicas":[101,102,104]}]})"
      "\n",
      global, [=] { return Reassign(*options, *global); });
  reassign->add_option("partitions", options->words, "TOPIC, or TOPIC:PARTITION");
  reassign->add_option("--replicas", options->replicas, "Broker ids, the preferred leader first");
  reassign->add_option("--file", options->file, "A plan for many partitions");
  reassign->add_option("--throttle", options->throttle_bytes_per_s,
                       "Bytes per second to those that come, of each leader; 0: no limit");
  reassign->add_flag("--status", options->status, "Show what is under way, change nothing");

  CLI::App* cancel =
      AddCommand(partition, "cancel", "Take reassignments back that are under way",
                 "  millrace partition cancel orders:3\n  millrace partition cancel --all\n",
                 global, [=] { return Cancel(*options, *global); });
  cancel->add_option("partitions", options->words, "TOPIC, or TOPIC:PARTITION");
  cancel->add_flag("--all", options->all, "All that are under way");

  AddPartitionVerify(partition, global);
  AddDeleteRecords(partition, global);
  for (CLI::App* command : {elect, reassign, cancel}) {
    command->add_flag("--dry-run", options->dry_run, "Check everything, change nothing");
    AddConnectionOptions(command, global);
  }
}

}  // namespace millrace::tools

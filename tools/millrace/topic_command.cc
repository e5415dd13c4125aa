#include "tools/millrace/topic_command.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "base/uuid.h"
#include "tools/millrace/command.h"
#include "tools/millrace/offline_replicas.h"
#include "tools/millrace/option_check.h"
#include "tools/millrace/topic_offsets_command.h"

namespace millrace::tools {
namespace {

// What the commands of `topic` are given; one struct, since each uses a few of the fields.
struct TopicOptions {
  std::string name;
  std::vector<std::string> names;
  int32_t partitions = 0;
  int32_t replication_factor = 0;
  std::vector<std::string> configs;
  std::vector<std::string> delete_configs;
  bool dry_run = false;
  bool if_not_exists = false;
  bool if_exists = false;
  bool internal = false;
  // Describe only partitions in trouble, or topics with configs of their own.
  bool under_replicated = false;
  bool unavailable = false;
  bool overridden = false;
};

std::string IdText(const std::string& bytes) {
  const absl::StatusOr<Uuid> id = Uuid::FromBytes(bytes);
  return id.ok() ? id->ToString() : std::string();
}

absl::Status Create(const TopicOptions& options, const GlobalOptions& global) {
  v1::CreateTopicsRequest request;
  request.set_validate_only(options.dry_run);
  v1::CreatableTopic* topic = request.add_topics();
  topic->set_name(options.name);
  topic->set_partitions(options.partitions);
  topic->set_replication_factor(options.replication_factor);
  for (const std::string& text : options.configs) {
    ASSIGN_OR_RETURN(auto setting, SplitSetting(text, "--config"));
    v1::ConfigEntry* entry = topic->add_configs();
    entry->set_name(setting.first);
    entry->set_value(setting.second);
  }
  ASSIGN_OR_RETURN(auto admin, ConnectAdmin(global));
  ASSIGN_OR_RETURN(const v1::CreateTopicsResponse response, admin->CreateTopics(request));
  const v1::CreateTopicResult& result = response.topics(0);
  const bool existed = result.code() == v1::ERROR_CODE_TOPIC_ALREADY_EXISTS;
  if (!(existed && options.if_not_exists)) {
    RETURN_IF_ERROR(ResultStatus(result.code(), result.message()));
  }
  // That a topic exists is told as an error is.
  const std::string warning = existed ? "" : result.message();
  PrintWarning(warning, global.format());
  if (global.format() == OutputFormat::kJson) {
    PrintJson({{"name", result.name()},
               {"topic_id", IdText(result.topic_id())},
               {"partitions", result.partitions()},
               {"replication_factor", result.replication_factor()},
               {"min_insync_replicas", result.min_insync_replicas()},
               {"created", !existed && !options.dry_run},
               {"dry_run", options.dry_run},
               {"warning", warning}});
  } else if (existed) {
    PrintOut(absl::StrCat("topic ", result.name(), " exists already\n"));
  } else {
    PrintOut(absl::StrCat(options.dry_run ? "would create" : "created", " topic ", result.name(),
                          ": ", result.partitions(), " partition(s), replication factor ",
                          result.replication_factor(), ", min.insync.replicas ",
                          result.min_insync_replicas(), "\n"));
  }
  return absl::OkStatus();
}

absl::Status List(const TopicOptions& options, const GlobalOptions& global) {
  v1::ListTopicsRequest request;
  request.set_include_internal(options.internal);
  ASSIGN_OR_RETURN(auto admin, ConnectAdmin(global));
  ASSIGN_OR_RETURN(const v1::ListTopicsResponse response, admin->ListTopics(request));
  Json topics = Json::array();
  Table table({"TOPIC", "PARTITIONS", "REPLICAS"});
  for (const v1::TopicListing& topic : response.topics()) {
    topics.push_back({{"name", topic.name()},
                      {"topic_id", IdText(topic.topic_id())},
                      {"partitions", topic.partitions()},
                      {"replication_factor", topic.replication_factor()},
                      {"internal", topic.internal()}});
    table.Add(
        {topic.name(), absl::StrCat(topic.partitions()), absl::StrCat(topic.replication_factor())});
  }
  if (global.format() == OutputFormat::kJson) {
    PrintJson({{"topics", topics}});
  } else {
    table.Print();
  }
  return absl::OkStatus();
}

std::vector<int32_t> Ids(const google::protobuf::RepeatedField<int32_t>& ids) {
  return {ids.begin(), ids.end()};
}

Json PartitionJson(const v1::PartitionDescription& partition) {
  return {{"partition", partition.partition()},
          {"leader", partition.leader_id()},
          {"leader_epoch", partition.leader_epoch()},
          {"partition_epoch", partition.partition_epoch()},
          {"replicas", Ids(partition.replicas())},
          {"isr", Ids(partition.in_sync_replicas())},
          {"eligible", Ids(partition.eligible_leader_replicas())},
          {"offline", Ids(partition.offline_replicas())},
          {"adding", Ids(partition.adding_replicas())},
          {"removing", Ids(partition.removing_replicas())},
          {"impaired", Ids(partition.impaired_replicas())},
          {"raising_durability", partition.raising_durability()}};
}

// "1,2,3", or while it is reassigned "1,2,3,4 (+4 -1)".
std::string ReplicasText(const v1::PartitionDescription& partition) {
  std::vector<std::string> moves;
  for (const int32_t id : partition.adding_replicas()) moves.push_back(absl::StrCat("+", id));
  for (const int32_t id : partition.removing_replicas()) moves.push_back(absl::StrCat("-", id));
  const std::string replicas = absl::StrJoin(partition.replicas(), ",");
  return moves.empty() ? replicas : absl::StrCat(replicas, " (", absl::StrJoin(moves, " "), ")");
}

// Of a partition without a leader: who may lead it, and what it waits for.
std::string WhyNoLeader(const v1::PartitionDescription& partition) {
  std::vector<int32_t> may_lead = Ids(partition.in_sync_replicas());
  may_lead.insert(may_lead.end(), partition.eligible_leader_replicas().begin(),
                  partition.eligible_leader_replicas().end());
  const auto among_those = [&](const google::protobuf::RepeatedField<int32_t>& ids) {
    std::vector<int32_t> found;
    for (const int32_t id : may_lead) {
      if (std::find(ids.begin(), ids.end(), id) != ids.end()) found.push_back(id);
    }
    return absl::StrJoin(found, ",");
  };
  if (may_lead.empty() && partition.offline_replicas_size() == partition.replicas_size()) {
    return absl::StrCat(
        "no replica can be used; offline: ", absl::StrJoin(partition.offline_replicas(), ","),
        ". The broker does not run, or has not the log directory that it was in; "
        "see 'millrace cluster describe'");
  }
  if (may_lead.empty()) {
    return "no replica is known to have all that was acknowledged. Those of a topic with "
           "durability=replicated say where they end, and the longest leads once all have, or "
           "after unclean.recovery.timeout.ms; else see 'millrace partition elect --unclean'";
  }
  const std::string offline = among_those(partition.offline_replicas());
  const std::string impaired = among_those(partition.impaired_replicas());
  return absl::StrCat(
      "in sync or eligible: ", absl::StrJoin(may_lead, ","),
      offline.empty() ? "" : absl::StrCat("; offline: ", offline),
      impaired.empty() ? ""
                       : absl::StrCat("; cut or damaged when they started, so that others lead if "
                                      "any comes: ",
                                      impaired));
}

void PrintMissingLeaders(const v1::TopicDescription& topic) {
  // What one broker's failure causes it causes for many partitions.
  std::map<std::string, std::vector<int32_t>> partitions_of;
  for (const v1::PartitionDescription& partition : topic.partitions()) {
    if (partition.leader_id() >= 0) continue;
    partitions_of[WhyNoLeader(partition)].push_back(partition.partition());
  }
  for (const auto& [why, partitions] : partitions_of) {
    PrintOut(absl::StrCat("  no leader for partition ", absl::StrJoin(partitions, ","), ": ", why,
                          "\n"));
  }
}

void PrintTopic(const v1::TopicDescription& topic, const std::vector<OfflineReplica>& offline) {
  PrintOut(absl::StrCat("topic ", topic.name(), "  id ", IdText(topic.topic_id()), "\n"));
  for (const v1::ConfigEntry& config : topic.configs()) {
    PrintOut(absl::StrCat("  ", config.name(), " = ", config.value(), "\n"));
  }
  const auto& partitions = topic.partitions();
  const bool any_offline = std::any_of(partitions.begin(), partitions.end(), [](const auto& each) {
    return !each.offline_replicas().empty();
  });
  std::vector<std::string> header = {"  PARTITION", "LEADER", "EPOCH", "REPLICAS", "ISR"};
  if (any_offline) header.push_back("OFFLINE");
  Table table(std::move(header));
  for (const v1::PartitionDescription& partition : partitions) {
    std::vector<std::string> row = {
        absl::StrCat("  ", partition.partition()),
        partition.leader_id() < 0 ? "none" : absl::StrCat(partition.leader_id()),
        absl::StrCat(partition.leader_epoch()), ReplicasText(partition),
        absl::StrJoin(partition.in_sync_replicas(), ",")};
    if (any_offline) row.push_back(absl::StrJoin(partition.offline_replicas(), ","));
    table.Add(std::move(row));
  }
  table.Print();
  PrintMissingLeaders(topic);
  for (const OfflineReplica& replica : offline) {
    if (replica.topic != topic.name()) continue;
    PrintOut(absl::StrCat("  partition ", replica.partition, " is offline on broker ",
                          replica.broker, ": ", replica.why, "\n"));
  }
  const auto raising =
      std::count_if(topic.partitions().begin(), topic.partitions().end(),
                    [](const auto& partition) { return partition.raising_durability(); });
  if (raising > 0) {
    PrintOut(absl::StrCat("  the durability of ", raising,
                          " partition(s) is being raised: not all that was acknowledged before is "
                          "on all disks yet\n"));
  }
}

// Whether a partition is one of those asked for.
bool IsWanted(const TopicOptions& options, const v1::PartitionDescription& partition) {
  // Those that come with a reassignment are not missed yet.
  const int wanted = partition.replicas_size() - partition.adding_replicas_size();
  const bool behind = partition.in_sync_replicas_size() < wanted;
  if (options.under_replicated && !behind) return false;
  const bool led = partition.leader_id() >= 0 && !IsOffline(partition, partition.leader_id());
  return !options.unavailable || !led;
}

// Leaves what was asked for of a description; false: nothing.
bool KeepWanted(const TopicOptions& options, v1::TopicDescription* topic) {
  if (options.overridden && topic->configs().empty()) return false;
  if (!options.under_replicated && !options.unavailable) return true;
  v1::TopicDescription all;
  all.mutable_partitions()->Swap(topic->mutable_partitions());
  for (const v1::PartitionDescription& partition : all.partitions()) {
    if (IsWanted(options, partition)) *topic->add_partitions() = partition;
  }
  return !topic->partitions().empty();
}

absl::Status Describe(const TopicOptions& options, const GlobalOptions& global) {
  v1::DescribeTopicsRequest request;
  request.mutable_names()->Add(options.names.begin(), options.names.end());
  ASSIGN_OR_RETURN(auto admin, ConnectAdmin(global));
  ASSIGN_OR_RETURN(v1::DescribeTopicsResponse response, admin->DescribeTopics(request));
  Json topics = Json::array();
  std::vector<v1::TopicDescription> found;
  for (v1::TopicDescription& topic : *response.mutable_topics()) {
    const bool missing = topic.code() == v1::ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION;
    if (missing && options.if_exists) continue;
    RETURN_IF_ERROR(
        WithNearestTopic(ResultStatus(topic.code(), topic.message()), topic.name(), global));
    found.push_back(std::move(topic));
  }
  const std::vector<OfflineReplica> offline = AddOfflineReplicas(global, admin.get(), &found);
  std::vector<v1::TopicDescription> wanted;
  for (v1::TopicDescription& topic : found) {
    if (KeepWanted(options, &topic)) wanted.push_back(std::move(topic));
  }
  for (const v1::TopicDescription& topic : wanted) {
    Json partitions = Json::array();
    for (const auto& partition : topic.partitions()) partitions.push_back(PartitionJson(partition));
    Json configs = Json::object();
    for (const v1::ConfigEntry& config : topic.configs()) configs[config.name()] = config.value();
    topics.push_back({{"name", topic.name()},
                      {"topic_id", IdText(topic.topic_id())},
                      {"internal", topic.internal()},
                      {"configs", configs},
                      {"partitions", partitions}});
  }
  if (global.format() == OutputFormat::kJson) {
    PrintJson({{"topics", topics}});
  } else {
    for (const v1::TopicDescription& topic : wanted) PrintTopic(topic, offline);
  }
  return absl::OkStatus();
}

absl::Status Delete(const TopicOptions& options, const GlobalOptions& global) {
  v1::DeleteTopicsRequest request;
  request.set_validate_only(options.dry_run);
  request.mutable_names()->Add(options.names.begin(), options.names.end());
  ASSIGN_OR_RETURN(auto admin, ConnectAdmin(global));
  ASSIGN_OR_RETURN(const v1::DeleteTopicsResponse response, admin->DeleteTopics(request));
  absl::Status first_error;
  Json topics = Json::array();
  for (const v1::DeleteTopicResult& result : response.topics()) {
    const bool missing = result.code() == v1::ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION;
    const bool fine = result.code() == v1::ERROR_CODE_UNSPECIFIED || (missing && options.if_exists);
    if (!fine) {
      first_error.Update(
          WithNearestTopic(ResultStatus(result.code(), result.message()), result.name(), global));
    }
    topics.push_back({{"name", result.name()}, {"deleted", fine && !missing && !options.dry_run}});
    if (fine && global.format() == OutputFormat::kTable) {
      PrintOut(absl::StrCat(missing           ? "no such topic: "
                            : options.dry_run ? "would delete topic "
                                              : "deleted topic ",
                            result.name(), "\n"));
    }
  }
  if (global.format() == OutputFormat::kJson) {
    PrintJson({{"topics", topics}, {"dry_run", options.dry_run}});
  }
  return first_error;
}

// `warning`: what the server says of configs that change nothing.
absl::Status AlterConfigs(const TopicOptions& options, client::Admin* admin, std::string* warning) {
  v1::IncrementalAlterConfigsRequest request;
  request.set_validate_only(options.dry_run);
  v1::AlterConfigsResource* resource = request.add_resources();
  resource->mutable_resource()->set_type(v1::CONFIG_RESOURCE_TYPE_TOPIC);
  resource->mutable_resource()->set_name(options.name);
  for (const std::string& text : options.configs) {
    ASSIGN_OR_RETURN(auto setting, SplitSetting(text, "--config"));
    v1::ConfigAlteration* alteration = resource->add_alterations();
    alteration->set_operation(v1::CONFIG_OPERATION_SET);
    alteration->set_name(setting.first);
    alteration->set_value(setting.second);
  }
  for (const std::string& name : options.delete_configs) {
    v1::ConfigAlteration* alteration = resource->add_alterations();
    alteration->set_operation(v1::CONFIG_OPERATION_DELETE);
    alteration->set_name(name);
  }
  ASSIGN_OR_RETURN(const auto response, admin->IncrementalAlterConfigs(request));
  const v1::AlterConfigsResult& result = response.resources(0);
  RETURN_IF_ERROR(ResultStatus(result.code(), result.message()));
  *warning = result.message();
  return absl::OkStatus();
}

absl::Status AlterPartitions(const TopicOptions& options, client::Admin* admin) {
  v1::CreatePartitionsRequest request;
  request.set_validate_only(options.dry_run);
  v1::CreatePartitionsTopic* topic = request.add_topics();
  topic->set_name(options.name);
  topic->set_total_count(options.partitions);
  ASSIGN_OR_RETURN(const auto response, admin->CreatePartitions(request));
  return ResultStatus(response.topics(0).code(), response.topics(0).message());
}

absl::Status Alter(const TopicOptions& options, const GlobalOptions& global) {
  const bool configs = !options.configs.empty() || !options.delete_configs.empty();
  if (!configs && options.partitions == 0) {
    return MakeError(
        ErrorCode::kInvalidRequest,
        "topic alter: nothing to change; give --partitions, --config or --delete-config");
  }
  ASSIGN_OR_RETURN(auto admin, ConnectAdmin(global));
  // The configs first: they can be taken back, partitions cannot.
  std::string warning;
  absl::Status status = configs ? AlterConfigs(options, admin.get(), &warning) : absl::OkStatus();
  if (status.ok() && options.partitions != 0) status = AlterPartitions(options, admin.get());
  const bool missing = CodeOf(status) == ErrorCode::kUnknownTopicOrPartition && options.if_exists;
  if (!missing) RETURN_IF_ERROR(WithNearestTopic(status, options.name, global));
  PrintWarning(warning, global.format());
  if (global.format() == OutputFormat::kJson) {
    PrintJson({{"name", options.name},
               {"altered", !options.dry_run && !missing},
               {"dry_run", options.dry_run},
               {"warning", warning}});
  } else {
    PrintOut(absl::StrCat(missing           ? "no such topic: "
                          : options.dry_run ? "would alter topic "
                                            : "altered topic ",
                          options.name, "\n"));
  }
  return absl::OkStatus();
}

}  // namespace

void AddTopicCommands(CLI::App* app, GlobalOptions* global) {
  CLI::App* topic =
      app->add_subcommand("topic", "Create, list, describe, change and delete topics");
  topic->require_subcommand(1);
  auto options = std::make_shared<TopicOptions>();

  CLI::App* create = AddCommand(
      topic, "create", "Create a topic",
      "  millrace topic create orders --partitions 6\n"
      "  millrace topic create audit --config retention.ms=-1 --config durability=durable\n",
      global, [=] { return Create(*options, *global); });
  create->add_option("topic", options->name, "Name of the topic")->required();
  create->add_option("-p,--partitions", options->partitions, "Partitions (default: num.partitions)")
      ->check(WholeNumber(1, INT32_MAX));
  create
      ->add_option("-r,--replication-factor", options->replication_factor,
                   "Replicas of each partition (default: default.replication.factor)")
      ->check(WholeNumber(1, INT32_MAX));
  create->add_option("-c,--config", options->configs, "Topic config, name=value; may be repeated");
  create->add_flag("--if-not-exists", options->if_not_exists, "Succeed if the topic exists");
  create->add_flag("--dry-run", options->dry_run, "Check everything, change nothing");

  CLI::App* list = AddCommand(topic, "list", "List topics", "  millrace topic list -o json\n",
                              global, [=] { return List(*options, *global); });
  list->add_flag("--internal", options->internal, "The system's own topics too");

  CLI::App* describe =
      AddCommand(topic, "describe", "Show partitions, leaders, replicas and configs",
                 "  millrace topic describe orders\n  millrace topic describe    (all topics)\n",
                 global, [=] { return Describe(*options, *global); });
  describe->add_option("topics", options->names, "Names; none means all");
  describe->add_flag("--if-exists", options->if_exists, "Leave out topics that do not exist");
  describe->add_flag("--under-replicated", options->under_replicated,
                     "Only partitions with a replica that is not in sync");
  describe->add_flag("--unavailable", options->unavailable,
                     "Only partitions without a leader that serves");
  describe->add_flag("--overridden", options->overridden, "Only topics with configs of their own");

  CLI::App* remove =
      AddCommand(topic, "delete", "Delete topics and their records",
                 "  millrace topic delete orders\n  millrace topic delete tmp --if-exists\n",
                 global, [=] { return Delete(*options, *global); });
  remove->add_option("topics", options->names, "Names")->required();
  remove->add_flag("--if-exists", options->if_exists, "Succeed if a topic does not exist");
  remove->add_flag("--dry-run", options->dry_run, "Check everything, change nothing");

  CLI::App* alter =
      AddCommand(topic, "alter", "Add partitions, change configs",
                 "  millrace topic alter orders --partitions 12\n"
                 "  millrace topic alter orders --config retention.ms=86400000 --dry-run\n"
                 "  millrace topic alter orders --delete-config retention.ms\n",
                 global, [=] { return Alter(*options, *global); });
  alter->add_option("topic", options->name, "Name of the topic")->required();
  alter->add_option("-p,--partitions", options->partitions, "Partitions afterwards; only more")
      ->check(WholeNumber(1, INT32_MAX));
  alter->add_option("-c,--config", options->configs, "Set a config, name=value; may be repeated");
  alter->add_option("--delete-config", options->delete_configs,
                    "Back to the default; may be repeated");
  alter->add_flag("--if-exists", options->if_exists, "Succeed if the topic does not exist");
  alter->add_flag("--dry-run", options->dry_run, "Check everything, change nothing");

  for (CLI::App* command : {create, list, describe, remove, alter}) {
    AddConnectionOptions(command, global);
  }
  AddTopicOffsets(topic, global);
}

}  // namespace millrace::tools

#include "tools/millrace/delete_records_command.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/status.h"
#include "tools/millrace/reassignment_plan.h"

namespace millrace::tools {
namespace {

struct DeleteRecordsOptions {
  std::vector<std::string> words;
  std::string before;
};

// -1: the end.
absl::StatusOr<int64_t> ParseBefore(const std::string& text) {
  if (text == "end") return -1;
  int64_t offset = 0;
  if (absl::SimpleAtoi(text, &offset) && offset >= 0) return offset;
  return MakeError(ErrorCode::kInvalidRequest,
                   absl::StrCat("--before: '", text, "' is neither an offset nor 'end'"));
}

absl::StatusOr<v1::DeleteRecordsRequest> RequestOf(const DeleteRecordsOptions& options,
                                                   const GlobalOptions& global) {
  v1::DeleteRecordsRequest request;
  // The broker's word that it took too long says more than silence: it has to come first.
  request.set_timeout_ms(static_cast<int32_t>(absl::ToInt64Milliseconds(global.timeout() * 0.8)));
  ASSIGN_OR_RETURN(const int64_t before, ParseBefore(options.before));
  for (const std::string& word : options.words) {
    ASSIGN_OR_RETURN(const TopicPartitionWord named, ParseTopicPartition(word));
    if (!named.partition.has_value()) {
      return MakeError(
          ErrorCode::kInvalidRequest,
          absl::StrCat("'", word, "': offsets are a partition's: say which, as in ", word, ":0"));
    }
    v1::DeleteRecordsPartition* partition = request.add_partitions();
    partition->set_topic(named.topic);
    partition->set_partition(*named.partition);
    partition->set_before_offset(before);
  }
  return request;
}

absl::Status DeleteRecords(const DeleteRecordsOptions& options, const GlobalOptions& global) {
  ASSIGN_OR_RETURN(const v1::DeleteRecordsRequest request, RequestOf(options, global));
  ASSIGN_OR_RETURN(auto admin, ConnectAdmin(global));
  ASSIGN_OR_RETURN(const v1::DeleteRecordsResponse response, admin->DeleteRecords(request));
  absl::Status first;
  Json partitions = Json::array();
  Table table({"TOPIC", "PARTITION", "LOG START", "RESULT"});
  for (const v1::DeleteRecordsPartitionResult& result : response.partitions()) {
    const absl::Status status = ResultStatus(result.code(), result.message());
    first.Update(Annotate(status, absl::StrCat(result.topic(), ":", result.partition())));
    const bool known = result.log_start_offset() >= 0;
    partitions.push_back({{"topic", result.topic()},
                          {"partition", result.partition()},
                          {"log_start_offset", result.log_start_offset()},
                          {"error", status.ok() ? "" : ErrorCodeName(CodeOf(status))},
                          {"message", result.message()}});
    table.Add({result.topic(), absl::StrCat(result.partition()),
               known ? absl::StrCat(result.log_start_offset()) : "-",
               status.ok() ? "deleted" : result.message()});
  }
  if (global.format() == OutputFormat::kJson) {
    PrintJson({{"partitions", partitions}});
  } else {
    table.Print();
  }
  return first;
}

}  // namespace

void AddDeleteRecords(CLI::App* partition, GlobalOptions* global) {
  auto options = std::make_shared<DeleteRecordsOptions>();
  CLI::App* command = AddCommand(
      partition, "delete-records", "Delete the records below an offset",
      "  millrace partition delete-records orders:3 --before 120000\n"
      "  millrace partition delete-records orders:0 orders:1 --before end\n\n"
      "They are gone for readers at once, for good when the command ends without an error: no\n"
      "replica that may lead has them any more. Whole files go from the disks after\n"
      "file.delete.delay.ms; what shares a file with records that stay goes with it. 'end' means\n"
      "all that is committed now.\n",
      global, [=] { return DeleteRecords(*options, *global); });
  command->add_option("partitions", options->words, "TOPIC:PARTITION; may be several")->required();
  command->add_option("--before", options->before, "The first offset to keep, or 'end'")
      ->required();
  AddConnectionOptions(command, global);
}

}  // namespace millrace::tools

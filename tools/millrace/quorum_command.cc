#include "tools/millrace/quorum_command.h"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status.h"
#include "base/uuid.h"
#include "tools/millrace/option_check.h"
#include "tools/millrace/quorum_recover.h"

namespace millrace::tools {
namespace {

// What the commands of `quorum` are given; one struct, since each uses a few of the fields.
struct QuorumOptions {
  int32_t node = 0;
  std::string directory_id;
  std::string address;
};

std::string RoleName(v1::QuorumMemberRole role) {
  switch (role) {
    case v1::QUORUM_MEMBER_ROLE_VOTER:
      return "voter";
    case v1::QUORUM_MEMBER_ROLE_LEARNER:
      return "learner";
    case v1::QUORUM_MEMBER_ROLE_OBSERVER:
      return "observer";
    default:
      return "unknown";
  }
}

std::string DirectoryText(const std::string& bytes) {
  const absl::StatusOr<Uuid> id = Uuid::FromBytes(bytes);
  return id.ok() ? id->ToString() : std::string();
}

Json MemberJson(const v1::QuorumMember& member) {
  return {{"node", member.node_id()},
          {"directory_id", DirectoryText(member.directory_id())},
          {"address", member.address()},
          {"role", RoleName(member.role())},
          {"state", member.state()},
          {"log_end", member.log_end_index()},
          {"lag", member.lag_entries()},
          {"last_contact_ms",
           member.has_last_contact_ms() ? Json(member.last_contact_ms()) : Json(nullptr)}};
}

Json QuorumJson(const v1::DescribeQuorumResponse& quorum) {
  Json members = Json::array();
  for (const v1::QuorumMember& member : quorum.members()) members.push_back(MemberJson(member));
  return {{"leader", quorum.leader_id()},
          {"term", quorum.term()},
          {"commit_index", quorum.commit_index()},
          {"log_start", quorum.log_start_index()},
          {"log_end", quorum.log_end_index()},
          {"snapshot_index", quorum.snapshot_index()},
          {"members", members}};
}

// "40 ms", "3.1 s"; nothing was ever heard: "never".
std::string ContactText(const v1::QuorumMember& member) {
  if (!member.has_last_contact_ms()) return "never";
  const int64_t ms = member.last_contact_ms();
  if (ms < 1000) return absl::StrCat(ms, " ms");
  return absl::StrFormat("%.1f s", static_cast<double>(ms) / 1000);
}

void PrintQuorum(const v1::DescribeQuorumResponse& quorum) {
  const std::string leader = quorum.leader_id() < 0 ? "none" : absl::StrCat(quorum.leader_id());
  const std::string snapshot =
      quorum.snapshot_index() == 0 ? "none" : absl::StrCat("at ", quorum.snapshot_index());
  PrintOut(absl::StrCat("leader ", leader, "  term ", quorum.term(), "  committed ",
                        quorum.commit_index(), "  log ", quorum.log_start_index(), " to ",
                        quorum.log_end_index(), "  snapshot ", snapshot, "\n\n"));
  Table table({"NODE", "ROLE", "STATE", "LOG END", "LAG", "LAST CONTACT", "ADDRESS", "DIRECTORY"});
  for (const v1::QuorumMember& member : quorum.members()) {
    const std::string directory = DirectoryText(member.directory_id());
    table.Add({absl::StrCat(member.node_id()), RoleName(member.role()), member.state(),
               absl::StrCat(member.log_end_index()), absl::StrCat(member.lag_entries()),
               ContactText(member), member.address().empty() ? "-" : member.address(),
               directory.empty() ? "-" : directory});
  }
  table.Print();
}

absl::Status Describe(const GlobalOptions& global) {
  ASSIGN_OR_RETURN(auto admin, ConnectAdmin(global));
  ASSIGN_OR_RETURN(const v1::DescribeQuorumResponse quorum, admin->DescribeQuorum({}));
  if (global.format() == OutputFormat::kJson) {
    PrintJson(QuorumJson(quorum));
  } else {
    PrintQuorum(quorum);
  }
  return absl::OkStatus();
}

// The 16 bytes of a directory id.
absl::StatusOr<std::string> DirectoryBytes(const std::string& text) {
  const absl::StatusOr<Uuid> id = Uuid::FromString(text);
  if (id.ok() && !id->is_zero()) return id->ToBytes();
  return MakeError(ErrorCode::kInvalidRequest,
                   absl::StrCat("--directory-id: '", text,
                                "' is no directory id; `millrace quorum describe` shows those of "
                                "the members, and meta.properties in a controller's metadata "
                                "directory has its own"),
                   {.name = "--directory-id", .value = text});
}

// The server that was asked answers only when the new controller has caught up: that it does not is
// not its fault.
absl::Status NotYetVoting(const QuorumOptions& options, const GlobalOptions& global) {
  return MakeError(
      ErrorCode::kRequestTimedOut,
      absl::StrCat(
          "controller ", options.node, " does not vote within ",
          absl::FormatDuration(global.timeout()),
          ", and may still come to: `millrace quorum describe` says how far it is. See that "
          "it runs at ",
          options.address,
          " with that directory; add it again to correct the address, or "
          "with a longer --timeout"),
      {.name = "--address", .value = options.address});
}

absl::Status Add(const QuorumOptions& options, const GlobalOptions& global) {
  v1::AddControllerRequest request;
  request.set_node_id(options.node);
  ASSIGN_OR_RETURN(*request.mutable_directory_id(), DirectoryBytes(options.directory_id));
  request.set_address(options.address);
  ASSIGN_OR_RETURN(auto admin, ConnectAdmin(global));
  const absl::Status added = admin->AddController(request).status();
  // The client's own; the leader's says itself what is the matter.
  const bool unanswered =
      CodeOf(added) == ErrorCode::kRequestTimedOut && DetailOf(added).name == "timeout";
  if (unanswered) return NotYetVoting(options, global);
  RETURN_IF_ERROR(added);
  if (global.format() == OutputFormat::kJson) {
    PrintJson({{"node", options.node},
               {"directory_id", options.directory_id},
               {"address", options.address},
               {"added", true}});
  } else {
    PrintOut(absl::StrCat("controller ", options.node, " at ", options.address, " votes now\n"));
  }
  return absl::OkStatus();
}

absl::Status Remove(const QuorumOptions& options, const GlobalOptions& global) {
  v1::RemoveControllerRequest request;
  request.set_node_id(options.node);
  ASSIGN_OR_RETURN(*request.mutable_directory_id(), DirectoryBytes(options.directory_id));
  ASSIGN_OR_RETURN(auto admin, ConnectAdmin(global));
  RETURN_IF_ERROR(admin->RemoveController(request).status());
  if (global.format() == OutputFormat::kJson) {
    PrintJson({{"node", options.node}, {"directory_id", options.directory_id}, {"removed", true}});
  } else {
    PrintOut(absl::StrCat("controller ", options.node,
                          " is no voter any more; its process may be stopped\n"));
  }
  return absl::OkStatus();
}

absl::Status Transfer(const QuorumOptions& options, const GlobalOptions& global) {
  v1::TransferControllerLeadershipRequest request;
  request.set_node_id(options.node);
  ASSIGN_OR_RETURN(auto admin, ConnectAdmin(global));
  RETURN_IF_ERROR(admin->TransferControllerLeadership(request).status());
  if (global.format() == OutputFormat::kJson) {
    PrintJson({{"leader", options.node}, {"transferred", true}});
  } else {
    PrintOut(absl::StrCat("controller ", options.node, " leads now\n"));
  }
  return absl::OkStatus();
}

}  // namespace

void AddQuorumCommands(CLI::App* app, GlobalOptions* global) {
  CLI::App* quorum =
      app->add_subcommand("quorum", "Look at the quorum of controllers, and change it");
  quorum->require_subcommand(1);
  auto options = std::make_shared<QuorumOptions>();

  CLI::App* describe =
      AddCommand(quorum, "describe", "Show who leads, and how far each controller is",
                 "  millrace quorum describe\n  millrace quorum describe -o json\n", global,
                 [=] { return Describe(*global); });

  CLI::App* add = AddCommand(
      quorum, "add", "Make a controller that runs already a voter",
      "  millrace quorum add 4 --directory-id Jv0iX3kTTz2Kz0dOcbG8Vw --address ctl4:9093\n\n"
      "It has the log sent to it first, and votes once it has caught up; the answer comes then,\n"
      "so give a long --timeout for a long log. If the address was wrong, add it again with the\n"
      "right one.\n",
      global, [=] { return Add(*options, *global); });
  CLI::App* remove =
      AddCommand(quorum, "remove", "Take a voter out of the quorum",
                 "  millrace quorum remove 2 --directory-id Jv0iX3kTTz2Kz0dOcbG8Vw\n\n"
                 "Stop its process afterwards, not before: until then the quorum counts on it.\n",
                 global, [=] { return Remove(*options, *global); });
  CLI::App* transfer = AddCommand(quorum, "transfer", "Hand leadership over to another voter",
                                  "  millrace quorum transfer 3\n", global,
                                  [=] { return Transfer(*options, *global); });

  for (CLI::App* command : {add, remove, transfer}) {
    command->add_option("node", options->node, "The controller's node.id")
        ->required()
        ->check(WholeNumber(0, INT32_MAX));
  }
  for (CLI::App* command : {add, remove}) {
    command
        ->add_option("--directory-id", options->directory_id,
                     "Of its metadata directory: one with another directory is another voter")
        ->required();
  }
  add->add_option("--address", options->address, "host:port of its controller listener")
      ->required();
  for (CLI::App* command : {describe, add, remove, transfer}) {
    AddConnectionOptions(command, global);
  }
  AddQuorumRecoverCommand(quorum, global);
}

}  // namespace millrace::tools

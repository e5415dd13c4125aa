#include "tools/millrace/quorum_recover.h"

#include <memory>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/posix_file_system.h"
#include "base/status.h"
#include "base/system_random.h"
#include "node/quorum_recovery.h"

namespace millrace::tools {
namespace {

using Findings = node::QuorumRecovery::Findings;

struct RecoverOptions {
  std::string metadata_dir;
  bool accept_loss = false;
};

std::vector<int32_t> LostVoters(const Findings& found) {
  std::vector<int32_t> lost;
  for (const raft::Voter& voter : found.voters.voters) {
    if (voter.id.node != found.self.node) lost.push_back(voter.id.node.value());
  }
  return lost;
}

Json FindingsJson(const Findings& found) {
  return {{"node", found.self.node.value()},
          {"directory_id", found.self.directory.ToString()},
          {"cluster_id", found.cluster_id.ToString()},
          {"term", found.term.value()},
          {"committed_index", found.committed.value()},
          {"last_index", found.last.index.value()},
          {"last_term", found.last.term.value()},
          {"generation", found.generation},
          {"given_up", LostVoters(found)},
          {"topics", found.topics},
          {"brokers", found.brokers},
          {"recovered", false}};
}

void PrintFindings(const Findings& found) {
  const int64_t unsure = found.last.index - found.committed;
  PrintOut(absl::StrCat(
      "controller ", found.self.node.value(), " of cluster ", found.cluster_id.ToString(),
      ", directory ", found.self.directory.ToString(), ", term ", found.term.value(),
      "\n  known to be committed up to      ", found.committed.value(),
      "\n  last entry                       ", found.last.index.value(), " of term ",
      found.last.term.value(), "\n  as of it                         ", found.topics, " topics, ",
      found.brokers, " brokers\n  voters that would be given up    ",
      absl::StrJoin(LostVoters(found), ", "),
      "\n\nLost is every change that was acknowledged after entry ", found.last.index.value(),
      ": only the other voters had it.\n"));
  if (unsure > 0) {
    PrintOut(absl::StrCat("Kept are the last ", unsure,
                          " entries too, though they may never have been acknowledged.\n"));
  }
}

absl::Status Recover(const RecoverOptions& options, const GlobalOptions& global) {
  PosixFileSystem files;
  ASSIGN_OR_RETURN(const auto recovery, node::QuorumRecovery::Open(&files, options.metadata_dir));
  Json json = FindingsJson(recovery->findings());
  const bool as_json = global.format() == OutputFormat::kJson;
  if (!as_json) PrintFindings(recovery->findings());
  if (options.accept_loss) {
    SystemRandom random;
    ASSIGN_OR_RETURN(const raft::VoterId self, recovery->Recover(&random));
    json["recovered"] = true;
    json["directory_id"] = self.directory.ToString();
    json["generation"] = recovery->findings().generation + 1;
    if (!as_json) {
      PrintOut(absl::StrCat(
          "\nRecovered: the only voter is controller ", self.node.value(), " with directory ",
          self.directory.ToString(),
          " now. Start it with the same\nconfiguration, give the others empty directories, and "
          "add them with `millrace quorum add`.\n"));
    }
  } else if (!as_json) {
    PrintOut(
        "\nNothing was changed. If another voter's disk may come back, wait for it. If not, and "
        "no\n"
        "other voter that is left has a later entry, run this again with --accept-loss.\n");
  }
  if (as_json) PrintJson(json);
  return absl::OkStatus();
}

}  // namespace

void AddQuorumRecoverCommand(CLI::App* quorum, GlobalOptions* global) {
  auto options = std::make_shared<RecoverOptions>();
  CLI::App* recover = AddCommand(
      quorum, "recover", "Bring back a quorum that lost its majority, from one voter's directory",
      "  millrace quorum recover --metadata-dir /var/lib/millrace/metadata\n"
      "  millrace quorum recover --metadata-dir /var/lib/millrace/metadata --accept-loss\n\n"
      "The server on the directory must be stopped, and of the voters that are left it should be\n"
      "the one whose last entry is the latest; copy the directory before. What only the lost\n"
      "voters had is lost. They are refused if they come back.\n",
      global, [=] { return Recover(*options, *global); });
  recover
      ->add_option("--metadata-dir", options->metadata_dir,
                   "metadata.log.dir of the voter that is left")
      ->required();
  recover->add_flag("--accept-loss", options->accept_loss,
                    "Give the other voters up, and what only they had");
  AddOutputOption(recover, global);
}

}  // namespace millrace::tools

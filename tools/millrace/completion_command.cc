#include "tools/millrace/completion_command.h"

#include <string>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace millrace::tools {
namespace {

// Both shells find the command by walking the words up to the cursor: words that are commands
// extend the path, options and arguments do not.
constexpr char kWalk[] =
    "  local chosen='' word candidate found=''\n"
    "  _millrace_words ''\n"
    "  for word in \"$@\"; do\n"
    "    for candidate in ${=found}; do\n"
    "      if [[ \"$candidate\" == \"$word\" && \"$word\" != -* ]]; then\n"
    "        chosen=\"${chosen:+$chosen }$word\"\n"
    "        _millrace_words \"$chosen\"\n"
    "        break\n"
    "      fi\n"
    "    done\n"
    "  done\n";

void AppendCases(const CLI::App& app, const std::string& path, std::string* out) {
  absl::StrAppend(out, "    '", path, "') found='");
  const char* separator = "";
  for (const CLI::App* child : app.get_subcommands([](const CLI::App*) { return true; })) {
    absl::StrAppend(out, separator, child->get_name());
    separator = " ";
  }
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      absl::StrAppend(out, separator, "--", name);
      separator = " ";
    }
  }
  absl::StrAppend(out, "' ;;\n");
  for (const CLI::App* child : app.get_subcommands([](const CLI::App*) { return true; })) {
    AppendCases(*child, path.empty() ? child->get_name() : path + " " + child->get_name(), out);
  }
}

std::string Bash(const CLI::App& tree) {
  std::string walk = kWalk;
  // ${=found} is zsh's word splitting; bash splits by itself.
  walk.replace(walk.find("${=found}"), 9, "$found");
  return absl::StrCat("# bash completion for millrace\n", CompletionCases(tree), "_millrace() {\n",
                      "  local current=\"${COMP_WORDS[COMP_CWORD]}\"\n",
                      "  set -- \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"\n", walk,
                      "  COMPREPLY=($(compgen -W \"$found\" -- \"$current\"))\n", "}\n",
                      "complete -o default -F _millrace millrace\n");
}

std::string Zsh(const CLI::App& tree) {
  return absl::StrCat("#compdef millrace\n", CompletionCases(tree), "_millrace() {\n",
                      "  set -- \"${(@)words[2,CURRENT-1]}\"\n", kWalk, "  compadd -- ${=found}\n",
                      "  _files\n", "}\n", "compdef _millrace millrace\n");
}

}  // namespace

std::string CompletionCases(const CLI::App& tree) {
  std::string text = "_millrace_words() {\n  case \"$1\" in\n";
  AppendCases(tree, "", &text);
  absl::StrAppend(&text, "  esac\n}\n");
  return text;
}

void AddCompletionCommands(CLI::App* app, GlobalOptions* global) {
  CLI::App* completion =
      app->add_subcommand("completion", "Print a script that completes commands in a shell");
  completion->require_subcommand(1);
  AddCommand(completion, "bash", "For bash",
             "  source <(millrace completion bash)\n"
             "  millrace completion bash > /etc/bash_completion.d/millrace\n",
             global, [app] {
               PrintOut(Bash(*app));
               return absl::OkStatus();
             });
  AddCommand(completion, "zsh", "For zsh", "  source <(millrace completion zsh)\n", global, [app] {
    PrintOut(Zsh(*app));
    return absl::OkStatus();
  });
}

}  // namespace millrace::tools

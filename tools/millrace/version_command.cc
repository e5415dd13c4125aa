#include "tools/millrace/version_command.h"

#include <memory>

#include "absl/strings/str_cat.h"
#include "base/version.h"
#include "metadata/image.h"

namespace millrace::tools {

void AddVersionCommand(CLI::App* app, GlobalOptions* global) {
  CLI::App* command = AddCommand(app, "version", "Print the version",
                                 "  millrace version -o json\n", global, [global] {
                                   if (global->format() == OutputFormat::kJson) {
                                     PrintJson({{"version", kVersion},
                                                {"feature_level_min", metadata::kFeatureLevelMin},
                                                {"feature_level_max", metadata::kFeatureLevelMax},
                                                {"compiler", __VERSION__}});
                                   } else {
                                     PrintOut(absl::StrCat("millrace ", kVersion, "\n"));
                                   }
                                   return absl::OkStatus();
                                 });
  AddOutputOption(command, global);
}

}  // namespace millrace::tools

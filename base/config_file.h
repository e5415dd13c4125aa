// Config values from a YAML file and from the environment, as text for a ConfigSchema to check.
//
// The file holds flat dotted keys, nested maps, or both: "log.segment.bytes: 1" and "log: {segment:
// {bytes: 1}}" say the same. A list becomes text joined with commas. Values stay text as written.
//
// Thread: any (pure functions, but for the reading).
#ifndef BASE_CONFIG_FILE_H_
#define BASE_CONFIG_FILE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/config.h"
#include "base/file_system.h"

namespace millrace {

// Errors: INVALID_CONFIG, with "`file_name`:line: " in front: bad syntax, a key given twice, a key
// without a value, a list of anything but plain values.
absl::StatusOr<ConfigValues> ParseConfigYaml(absl::string_view text, absl::string_view file_name);

// Errors: as ParseConfigYaml; DIRECTORY_UNAVAILABLE if the file is missing or may not be read.
absl::StatusOr<ConfigValues> ReadConfigFile(FileSystem& files, const std::string& path);

// "MILLRACE_LOG_SEGMENT_BYTES" for "log.segment.bytes".
std::string ConfigEnvironmentName(absl::string_view key);

// The values of all variables in `environment` ("NAME=VALUE") that begin with MILLRACE_ and are not
// in `ignored` (names). An underscore may stand for a dot, a dash or itself, so a variable is known
// by `keys` only. Errors: INVALID_CONFIG for one that stands for none, naming the nearest that
// does.
absl::StatusOr<ConfigValues> ConfigFromEnvironment(absl::Span<const std::string> environment,
                                                   const std::vector<ConfigKey>& keys,
                                                   absl::Span<const std::string> ignored = {});

}  // namespace millrace

#endif  // BASE_CONFIG_FILE_H_

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

struct EnvironmentConfig {
  ConfigValues values;
  // Says which variables were passed over; empty if none was.
  std::string warning;
};

// The values of all variables in `environment` ("NAME=VALUE") that begin with MILLRACE_ and are not
// in `ignored` (names). An underscore may stand for a dot, a dash or itself, so a variable is known
// by `keys` only. One that stands for none is passed over if it is a service link (service_link.h):
// it is set by Kubernetes where a Service is named after us. Errors: INVALID_CONFIG for any other,
// naming the nearest that stands for a key.
absl::StatusOr<EnvironmentConfig> ConfigFromEnvironment(absl::Span<const std::string> environment,
                                                        const std::vector<ConfigKey>& keys,
                                                        absl::Span<const std::string> ignored = {});

}  // namespace millrace

#endif  // BASE_CONFIG_FILE_H_

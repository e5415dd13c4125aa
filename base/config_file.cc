#include "base/config_file.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/check.h"
#include "base/service_link.h"
#include "base/status.h"
#include "yaml-cpp/yaml.h"

namespace millrace {
namespace {

constexpr uint64_t kFileBytesMax = 1 << 20;
// Aliases can make a small file deep or huge.
constexpr int kDepthMax = 16;
constexpr size_t kValuesMax = 10'000;
constexpr absl::string_view kPrefix = "MILLRACE_";

// Walks one document. yaml-cpp's exceptions are caught by the caller.
class YamlReader {
 public:
  explicit YamlReader(absl::string_view file_name) : file_name_(file_name) {}

  absl::Status Read(const YAML::Node& node) {
    if (!node.IsDefined() || node.IsNull()) return absl::OkStatus();
    if (!node.IsMap()) return Refuse(node.Mark(), "", "expected 'key: value' lines");
    return ReadMap(node, "", 0);
  }

  absl::Status Refuse(const YAML::Mark& mark, absl::string_view key, absl::string_view why) const {
    return MakeError(ErrorCode::kInvalidConfig,
                     absl::StrCat(file_name_, ":", mark.line + 1, ": ", why),
                     {.name = std::string(key)});
  }

  ConfigValues&& TakeValues() { return std::move(values_); }

 private:
  absl::Status ReadMap(const YAML::Node& map, const std::string& prefix, int depth) {
    for (const auto& item : map) {
      const YAML::Node& key_node = item.first;
      const YAML::Node& value = item.second;
      if (!key_node.IsScalar()) return Refuse(key_node.Mark(), prefix, "a key must be plain text");
      const std::string key = absl::StrCat(prefix, key_node.Scalar());
      if (depth == kDepthMax) return Refuse(key_node.Mark(), key, "maps are nested too deeply");
      if (value.IsMap()) {
        RETURN_IF_ERROR(ReadMap(value, absl::StrCat(key, "."), depth + 1));
        continue;
      }
      ASSIGN_OR_RETURN(std::string text, Text(key_node, value, key));
      if (values_.size() == kValuesMax) return Refuse(key_node.Mark(), key, "too many values");
      if (!values_.emplace(key, std::move(text)).second) {
        return Refuse(key_node.Mark(), key, absl::StrCat("key '", key, "' is given twice"));
      }
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> Text(const YAML::Node& key_node, const YAML::Node& value,
                                   const std::string& key) const {
    if (value.IsScalar()) return value.Scalar();
    if (!value.IsSequence()) {
      return Refuse(key_node.Mark(), key,
                    absl::StrCat("key '", key, "' has no value; write '' for an empty one"));
    }
    std::string text;
    for (const YAML::Node& element : value) {
      if (!element.IsScalar() || element.Scalar().find(',') != std::string::npos) {
        return Refuse(element.Mark(), key,
                      absl::StrCat("key '", key,
                                   "': an element of a list must be plain text without a comma"));
      }
      absl::StrAppend(&text, text.empty() ? "" : ",", element.Scalar());
    }
    return text;
  }

  const std::string file_name_;
  ConfigValues values_;
};

}  // namespace

absl::StatusOr<ConfigValues> ParseConfigYaml(absl::string_view text, absl::string_view file_name) {
  YamlReader reader(file_name);
  // yaml-cpp reports by exceptions only; none leaves this function.
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(std::string(text));
    if (documents.size() > 1) {
      return reader.Refuse(documents[1].Mark(), "", "expected one document, but '---' begins more");
    }
    for (const YAML::Node& document : documents) RETURN_IF_ERROR(reader.Read(document));
  } catch (const YAML::Exception& error) {
    return reader.Refuse(error.mark, "", absl::StrCat("not YAML: ", error.msg));
  }
  return reader.TakeValues();
}

absl::StatusOr<ConfigValues> ReadConfigFile(FileSystem& files, const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(files, path, kFileBytesMax));
  return ParseConfigYaml(text, path);
}

std::string ConfigEnvironmentName(absl::string_view key) {
  std::string name = absl::StrCat(kPrefix, absl::AsciiStrToUpper(key));
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c == '.' || c == '-'; }, '_');
  return name;
}

absl::StatusOr<EnvironmentConfig> ConfigFromEnvironment(absl::Span<const std::string> environment,
                                                        const std::vector<ConfigKey>& keys,
                                                        absl::Span<const std::string> ignored) {
  std::map<std::string, std::string> key_of;
  std::vector<ConfigKey> variables;
  for (const ConfigKey& key : keys) {
    std::string name = ConfigEnvironmentName(key.name);
    // A name may be in the list twice (two modules share a key), but two names not in one variable.
    const std::string& meant = key_of.try_emplace(name, key.name).first->second;
    CHECK_EQ(meant, key.name) << name << " would stand for both";
    variables.push_back({.name = std::move(name)});
  }
  EnvironmentConfig config;
  std::vector<std::string> links;
  for (const std::string& variable : environment) {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(variable, absl::MaxSplits('=', 1));
    const std::string name(parts.first);
    if (!absl::StartsWith(name, kPrefix)) continue;
    if (std::find(ignored.begin(), ignored.end(), name) != ignored.end()) continue;
    const auto found = key_of.find(name);
    if (found != key_of.end()) {
      config.values[found->second] = std::string(parts.second);
    } else if (IsServiceLink(name, parts.second)) {
      links.push_back(name);
    } else {
      return Annotate(UnknownConfigKey(variables, name), "environment variable");
    }
  }
  if (!links.empty()) {
    config.warning = absl::StrCat(
        "environment variables that Kubernetes sets for a Service are no configuration and are "
        "ignored (enableServiceLinks: false in the pod keeps them away): ",
        absl::StrJoin(links, ", "));
  }
  return config;
}

}  // namespace millrace

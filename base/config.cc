#include "base/config.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/status.h"

namespace millrace {
namespace {

constexpr int64_t kNoMin = std::numeric_limits<int64_t>::min();
constexpr int64_t kNoMax = std::numeric_limits<int64_t>::max();

absl::Status Refuse(const ConfigKey& key, absl::string_view value, absl::string_view expected) {
  return MakeError(ErrorCode::kInvalidConfig,
                   absl::StrCat("config key '", key.name, "': '", value,
                                "' is not allowed; expected ", expected),
                   {.name = key.name, .value = std::string(value)});
}

// "an integer", "an integer from 1", "an integer from 1 to 10".
std::string Expected(const ConfigKey& key, absl::string_view kind) {
  std::string text(kind);
  if (key.min != kNoMin) absl::StrAppend(&text, " from ", key.min);
  if (key.max != kNoMax) absl::StrAppend(&text, key.min == kNoMin ? " up to " : " to ", key.max);
  return text;
}

bool IsAllowed(const ConfigKey& key, absl::string_view value) {
  return key.allowed.empty() ||
         std::find(key.allowed.begin(), key.allowed.end(), value) != key.allowed.end();
}

// Levenshtein's distance, by rows.
size_t EditDistance(absl::string_view a, absl::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace

absl::Status CheckConfigValue(const ConfigKey& key, absl::string_view value) {
  switch (key.type) {
    case ConfigType::kBool:
      return ParseConfigBool(key, value).status();
    case ConfigType::kInt:
      return ParseConfigInt(key, value).status();
    case ConfigType::kDouble:
      return ParseConfigDouble(key, value).status();
    case ConfigType::kList:
      return ParseConfigList(key, value).status();
    case ConfigType::kString:
      break;
  }
  if (IsAllowed(key, value)) return absl::OkStatus();
  return Refuse(key, value, absl::StrCat("one of: ", absl::StrJoin(key.allowed, ", ")));
}

absl::StatusOr<bool> ParseConfigBool(const ConfigKey& key, absl::string_view value) {
  if (value == "true") return true;
  if (value == "false") return false;
  return Refuse(key, value, "true or false");
}

absl::StatusOr<int64_t> ParseConfigInt(const ConfigKey& key, absl::string_view value) {
  int64_t number = 0;
  if (!absl::SimpleAtoi(value, &number) || number < key.min || number > key.max) {
    return Refuse(key, value, Expected(key, "an integer"));
  }
  return number;
}

absl::StatusOr<double> ParseConfigDouble(const ConfigKey& key, absl::string_view value) {
  double number = 0;
  if (!absl::SimpleAtod(value, &number) || !std::isfinite(number) ||
      (key.min != kNoMin && number < static_cast<double>(key.min)) ||
      (key.max != kNoMax && number > static_cast<double>(key.max))) {
    return Refuse(key, value, Expected(key, "a number"));
  }
  return number;
}

absl::StatusOr<std::vector<std::string>> ParseConfigList(const ConfigKey& key,
                                                         absl::string_view value) {
  std::vector<std::string> elements;
  if (absl::StripAsciiWhitespace(value).empty()) return elements;
  for (absl::string_view element : absl::StrSplit(value, ',')) {
    element = absl::StripAsciiWhitespace(element);
    if (element.empty()) return Refuse(key, value, "a list without empty elements");
    if (!IsAllowed(key, element)) {
      return Refuse(key, value,
                    absl::StrCat("elements out of: ", absl::StrJoin(key.allowed, ", ")));
    }
    elements.emplace_back(element);
  }
  return elements;
}

std::string NearestConfigName(const std::vector<ConfigKey>& keys, absl::string_view name) {
  // A third of the characters may be wrong: enough for a typing error or a forgotten prefix, too
  // little for a name that only happens to have the same words.
  size_t nearest = std::max<size_t>(2, name.size() / 3) + 1;
  std::string found;
  for (const ConfigKey& key : keys) {
    // As far apart they are at least; what comes over the network may be of any length.
    const size_t longer = std::max(key.name.size(), name.size());
    if (longer - std::min(key.name.size(), name.size()) >= nearest) continue;
    const size_t distance = EditDistance(key.name, name);
    if (distance < nearest) {
      nearest = distance;
      found = key.name;
    }
  }
  return found;
}

absl::Status UnknownConfigKey(const std::vector<ConfigKey>& keys, absl::string_view name) {
  const std::string nearest = NearestConfigName(keys, name);
  std::string message = absl::StrCat("unknown config key '", name, "'");
  if (!nearest.empty()) absl::StrAppend(&message, "; did you mean '", nearest, "'?");
  return MakeError(ErrorCode::kInvalidConfig, message, {.name = std::string(name)});
}

}  // namespace millrace

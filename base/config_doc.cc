#include "base/config_doc.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"

namespace millrace {
namespace {

absl::string_view TypeName(ConfigType type) {
  switch (type) {
    case ConfigType::kBool:
      return "boolean";
    case ConfigType::kInt:
      return "integer";
    case ConfigType::kDouble:
      return "number";
    case ConfigType::kString:
      return "text";
    case ConfigType::kList:
      return "list";
  }
  return "text";
}

// Text for a table cell: what would end the cell or the row is escaped.
std::string Cell(absl::string_view text) {
  return absl::StrReplaceAll(text, {{"|", "\\|"}, {"\n", " "}});
}

std::string Code(absl::string_view text) {
  return text.empty() ? "" : absl::StrCat("`", Cell(text), "`");
}

std::string Allowed(const ConfigKey& key) {
  if (key.type == ConfigType::kBool) return "`true`, `false`";
  if (!key.allowed.empty()) {
    return absl::StrJoin(key.allowed, ", ", [](std::string* out, const std::string& value) {
      absl::StrAppend(out, Code(value));
    });
  }
  const bool has_min = key.min != std::numeric_limits<int64_t>::min();
  const bool has_max = key.max != std::numeric_limits<int64_t>::max();
  if (has_min && has_max) return absl::StrCat(key.min, " to ", key.max);
  if (has_min) return absl::StrCat("from ", key.min);
  if (has_max) return absl::StrCat("up to ", key.max);
  return "";
}

std::string Doc(const ConfigKey& key) {
  std::string doc = Cell(key.doc);
  if (!key.broker_name.empty()) {
    absl::StrAppend(&doc, doc.empty() ? "" : " ", "Default for all topics: ", Code(key.broker_name),
                    ".");
  }
  return doc;
}

}  // namespace

std::string ConfigDocTable(std::vector<ConfigKey> keys) {
  std::sort(keys.begin(), keys.end(),
            [](const ConfigKey& a, const ConfigKey& b) { return a.name < b.name; });
  std::string table =
      "| Key | Type | Default | Allowed | Dynamic | Description |\n"
      "|---|---|---|---|---|---|\n";
  for (const ConfigKey& key : keys) {
    absl::StrAppend(&table, "| ", Code(key.name), " | ", TypeName(key.type), " | ",
                    Code(key.default_value), " | ", Allowed(key), " | ", key.dynamic ? "yes" : "no",
                    " | ", Doc(key), " |\n");
  }
  return table;
}

std::string ConfigDocPage(const std::vector<ConfigDocSection>& sections) {
  std::string page =
      "# Configuration\n\n"
      "Generated from the declarations in the code; change those. A key that is marked dynamic\n"
      "takes effect without a restart.\n";
  for (const ConfigDocSection& section : sections) {
    absl::StrAppend(&page, "\n## ", section.title, "\n\n");
    if (!section.introduction.empty()) absl::StrAppend(&page, section.introduction, "\n\n");
    absl::StrAppend(&page, ConfigDocTable(section.keys));
  }
  return page;
}

}  // namespace millrace

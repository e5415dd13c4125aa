#include "base/config_doc.h"

#include "gtest/gtest.h"

namespace millrace {
namespace {

TEST(ConfigDocTest, RowsSayAllThatIsDeclaredSortedByName) {
  const std::vector<ConfigKey> keys = {
      {.name = "z.list", .type = ConfigType::kList, .default_value = "a,b", .allowed = {"a", "b"}},
      {.name = "retention.ms",
       .type = ConfigType::kInt,
       .default_value = "604800000",
       .doc = "How long records are kept | or not.",
       .min = -1,
       .dynamic = true,
       .broker_name = "log.retention.ms"},
      {.name = "on", .type = ConfigType::kBool, .default_value = "true", .doc = "A\nB."},
      {.name = "ratio", .type = ConfigType::kDouble, .default_value = "0.5", .min = 0, .max = 1},
      {.name = "text"},
  };
  EXPECT_EQ(ConfigDocTable(keys),
            "| Key | Type | Default | Allowed | Dynamic | Description |\n"
            "|---|---|---|---|---|---|\n"
            "| `on` | boolean | `true` | `true`, `false` | no | A B. |\n"
            "| `ratio` | number | `0.5` | 0 to 1 | no |  |\n"
            "| `retention.ms` | integer | `604800000` | from -1 | yes | How long records are kept "
            "\\| or not. Default for all topics: `log.retention.ms`. |\n"
            "| `text` | text |  |  | no |  |\n"
            "| `z.list` | list | `a,b` | `a`, `b` | no |  |\n");
}

TEST(ConfigDocTest, PageHasAHeadingForEachSection) {
  const std::string page =
      ConfigDocPage({{.title = "Server", .introduction = "Per node."}, {.title = "Topics"}});
  EXPECT_NE(page.find("# Configuration\n"), std::string::npos);
  EXPECT_NE(page.find("\n## Server\n\nPer node.\n\n| Key"), std::string::npos);
  EXPECT_NE(page.find("\n## Topics\n\n| Key"), std::string::npos);
  EXPECT_EQ(page.back(), '\n');
}

}  // namespace
}  // namespace millrace

#include "base/config_file.h"

#include "base/sim/sim_file_system.h"
#include "base/status_matchers.h"

namespace millrace {
namespace {

TEST(ConfigFileTest, DottedKeysNestedMapsAndListsMixFreely) {
  ASSERT_OK_AND_ASSIGN(const ConfigValues values, ParseConfigYaml(R"(
# A comment.
node.id: 1
log:
  segment.bytes: 1048576
  retention: {ms: -1, "bytes": '10'}
process.roles: [controller, broker]
listeners:
  - PLAINTEXT://:9092
  - INTERNAL://localhost:9093
empty: ''
flag: true
none: []
)",
                                                                  "f.yaml"));
  EXPECT_EQ(values, (ConfigValues{{"node.id", "1"},
                                  {"log.segment.bytes", "1048576"},
                                  {"log.retention.ms", "-1"},
                                  {"log.retention.bytes", "10"},
                                  {"process.roles", "controller,broker"},
                                  {"listeners", "PLAINTEXT://:9092,INTERNAL://localhost:9093"},
                                  {"empty", ""},
                                  {"flag", "true"},
                                  {"none", ""}}));
}

TEST(ConfigFileTest, EmptyFileHasNoValues) {
  EXPECT_TRUE(ParseConfigYaml("", "f")->empty());
  EXPECT_TRUE(ParseConfigYaml("# nothing\n", "f")->empty());
  EXPECT_TRUE(ParseConfigYaml("---\n", "f")->empty());
}

TEST(ConfigFileTest, ErrorsNameFileAndLine) {
  const auto refuse = [](const char* text) {
    const absl::Status status = ParseConfigYaml(text, "dir/f.yaml").status();
    EXPECT_EQ(CodeOf(status), ErrorCode::kInvalidConfig);
    return std::string(status.message());
  };
  EXPECT_EQ(refuse("a: 1\nb: 2\na: 3\n"), "dir/f.yaml:3: key 'a' is given twice");
  EXPECT_EQ(refuse("a.b: 1\na:\n  b: 2\n"), "dir/f.yaml:3: key 'a.b' is given twice");
  EXPECT_EQ(refuse("a: 1\nb:\n"), "dir/f.yaml:2: key 'b' has no value; write '' for an empty one");
  EXPECT_EQ(refuse("a: 1\nb:\n  - x\n  - {y: 1}\n"),
            "dir/f.yaml:4: key 'b': an element of a list must be plain text without a comma");
  EXPECT_EQ(refuse("just text"), "dir/f.yaml:1: expected 'key: value' lines");
  EXPECT_THAT(refuse("a: 1\nb: [1, 2\n"), ::testing::StartsWith("dir/f.yaml:3: not YAML: "));
  EXPECT_THAT(refuse("a: 1\n---\nb: 2\n"), ::testing::HasSubstr("expected one document"));
  EXPECT_THAT(refuse("? [x]\n: 1\n"), ::testing::HasSubstr("a key must be plain text"));
}

TEST(ConfigFileTest, AliasesThatContainThemselvesEnd) {
  EXPECT_FALSE(ParseConfigYaml("a: &x\n  b: *x\n", "f").ok());
}

TEST(ConfigFileTest, ReadsAFile) {
  sim::SimFileSystem files;
  ASSERT_OK(ReplaceFile(files, "f.yaml", "a: 1"));
  EXPECT_EQ(ReadConfigFile(files, "f.yaml")->at("a"), "1");
  EXPECT_THAT(ReadConfigFile(files, "g.yaml"), HasCode(ErrorCode::kDirectoryUnavailable));
  ASSERT_OK(ReplaceFile(files, "f.yaml", std::string(2 << 20, '#')));
  EXPECT_THAT(ReadConfigFile(files, "f.yaml"), HasCode(ErrorCode::kResourceExhausted));
}

TEST(ConfigFileTest, EnvironmentIsMatchedAgainstDeclaredNames) {
  const std::vector<ConfigKey> keys = {
      {.name = "log.segment.bytes"}, {.name = "odd_name.x-y"}, {.name = "log.segment.bytes"}};
  ASSERT_OK_AND_ASSIGN(const EnvironmentConfig config,
                       ConfigFromEnvironment({"PATH=/bin", "MILLRACE_LOG_SEGMENT_BYTES=1024",
                                              "MILLRACE_TEST=x", "MILLRACE_ODD_NAME_X_Y=a=b"},
                                             keys, {"MILLRACE_TEST"}));
  EXPECT_EQ(config.values, (ConfigValues{{"log.segment.bytes", "1024"}, {"odd_name.x-y", "a=b"}}));
  EXPECT_EQ(config.warning, "");
}

TEST(ConfigFileTest, VariablesOfAKubernetesServiceArePassedOverWithOneWarning) {
  const std::vector<ConfigKey> keys = {{.name = "log.segment.bytes"}};
  ASSERT_OK_AND_ASSIGN(
      const EnvironmentConfig config,
      ConfigFromEnvironment({"MILLRACE_SERVICE_HOST=10.0.0.1", "MILLRACE_LOG_SEGMENT_BYTES=1024",
                             "MILLRACE_PORT_9092_TCP=tcp://10.0.0.1:9092"},
                            keys));
  EXPECT_EQ(config.values, (ConfigValues{{"log.segment.bytes", "1024"}}));
  EXPECT_THAT(config.warning,
              ::testing::EndsWith(": MILLRACE_SERVICE_HOST, MILLRACE_PORT_9092_TCP"));
}

TEST(ConfigFileTest, AVariableOfAKeyIsTheKeysAlsoIfItLooksLikeAServices) {
  const std::vector<ConfigKey> keys = {{.name = "x.port"}};
  ASSERT_OK_AND_ASSIGN(const EnvironmentConfig config,
                       ConfigFromEnvironment({"MILLRACE_X_PORT=tcp://10.0.0.1:9092"}, keys));
  // What it means is the key's to judge: an unlucky value is refused by name, and never dropped.
  EXPECT_EQ(config.values, (ConfigValues{{"x.port", "tcp://10.0.0.1:9092"}}));
  EXPECT_EQ(config.warning, "");
}

TEST(ConfigFileTest, UnknownVariableNamesTheNearest) {
  EXPECT_THAT(
      ConfigFromEnvironment({"MILLRACE_LOG_SEGMENT_BYTE=1"}, {{.name = "log.segment.bytes"}}),
      IsError(ErrorCode::kInvalidConfig, "did you mean 'MILLRACE_LOG_SEGMENT_BYTES'?"));
}

TEST(ConfigFileDeathTest, TwoKeysOfOneVariableAreABug) {
  const std::vector<ConfigKey> keys = {{.name = "a.b"}, {.name = "a_b"}};
  EXPECT_DEATH(ConfigFromEnvironment({}, keys).status().IgnoreError(), "MILLRACE_A_B");
}

}  // namespace
}  // namespace millrace

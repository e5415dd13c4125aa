#include "base/config.h"

#include "base/status_matchers.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct Sample {
  bool enabled = false;
  int64_t segment_bytes = -7;
  double ratio = 0;
  std::string compression = {};
  std::vector<std::string> roles = {};
};

ConfigSchema<Sample> SampleSchema() {
  ConfigSchema<Sample> schema;
  schema.Bool(&Sample::enabled, {.name = "feature.enabled", .default_value = "true"})
      .Int(&Sample::segment_bytes,
           {.name = "log.segment.bytes", .default_value = "1024", .min = 14, .max = 4096})
      .Double(&Sample::ratio, {.name = "clean.ratio", .default_value = "0.5", .min = 0, .max = 1})
      .String(&Sample::compression, {.name = "compression.type",
                                     .default_value = "producer",
                                     .allowed = {"producer", "zstd"}})
      .List(&Sample::roles, {.name = "process.roles",
                             .default_value = "controller,broker",
                             .allowed = {"controller", "broker"}});
  return schema;
}

TEST(ConfigTest, DeclaredDefaultsFillEveryField) {
  ASSERT_OK_AND_ASSIGN(Sample sample, SampleSchema().Parse({}));
  EXPECT_TRUE(sample.enabled);
  EXPECT_EQ(sample.segment_bytes, 1024);
  EXPECT_EQ(sample.ratio, 0.5);
  EXPECT_EQ(sample.compression, "producer");
  EXPECT_THAT(sample.roles, ElementsAre("controller", "broker"));
}

TEST(ConfigTest, ValuesOverrideDefaults) {
  ASSERT_OK_AND_ASSIGN(Sample sample, SampleSchema().Parse({{"feature.enabled", "false"},
                                                            {"log.segment.bytes", "14"},
                                                            {"clean.ratio", "1"},
                                                            {"compression.type", "zstd"},
                                                            {"process.roles", " broker "}}));
  EXPECT_FALSE(sample.enabled);
  EXPECT_EQ(sample.segment_bytes, 14);
  EXPECT_EQ(sample.ratio, 1);
  EXPECT_EQ(sample.compression, "zstd");
  EXPECT_THAT(sample.roles, ElementsAre("broker"));
}

TEST(ConfigTest, ApplyKeepsWhatIsNotNamed) {
  Sample sample{.segment_bytes = 77};
  ASSERT_OK(SampleSchema().Apply({{"compression.type", "zstd"}}, &sample));
  EXPECT_EQ(sample.segment_bytes, 77);
  EXPECT_EQ(sample.compression, "zstd");
}

TEST(ConfigTest, RangeIsInclusiveAndTheErrorNamesKeyValueAndRange) {
  const auto schema = SampleSchema();
  EXPECT_OK(schema.Parse({{"log.segment.bytes", "4096"}}));
  for (const char* bad : {"13", "4097", "-1", "", "1e3", "12abc", "99999999999999999999"}) {
    const absl::Status status = schema.Parse({{"log.segment.bytes", bad}}).status();
    EXPECT_THAT(status, IsError(ErrorCode::kInvalidConfig,
                                std::string("config key 'log.segment.bytes': '") + bad +
                                    "' is not allowed; expected an integer from 14 to 4096"));
    EXPECT_EQ(DetailOf(status).name, "log.segment.bytes");
    EXPECT_EQ(DetailOf(status).value, bad);
  }
}

TEST(ConfigTest, BadValuesOfEachTypeAreRefused) {
  const auto schema = SampleSchema();
  EXPECT_THAT(schema.Parse({{"feature.enabled", "yes"}}),
              IsError(ErrorCode::kInvalidConfig, "true or false"));
  EXPECT_THAT(schema.Parse({{"clean.ratio", "1.5"}}),
              IsError(ErrorCode::kInvalidConfig, "a number from 0 to 1"));
  EXPECT_THAT(schema.Parse({{"clean.ratio", "nan"}}), HasCode(ErrorCode::kInvalidConfig));
  EXPECT_THAT(schema.Parse({{"clean.ratio", "inf"}}), HasCode(ErrorCode::kInvalidConfig));
  EXPECT_THAT(schema.Parse({{"compression.type", "rar"}}),
              IsError(ErrorCode::kInvalidConfig, "one of: producer, zstd"));
  EXPECT_THAT(schema.Parse({{"process.roles", "broker,witch"}}),
              IsError(ErrorCode::kInvalidConfig, "elements out of: controller, broker"));
  EXPECT_THAT(schema.Parse({{"process.roles", "broker,,controller"}}),
              IsError(ErrorCode::kInvalidConfig, "empty elements"));
}

TEST(ConfigTest, OpenRangesAreSaidAsSuch) {
  const ConfigKey from{.name = "k", .min = 1};
  EXPECT_THAT(ParseConfigInt(from, "0"), IsError(ErrorCode::kInvalidConfig, "an integer from 1"));
  const ConfigKey to{.name = "k", .max = 9};
  EXPECT_THAT(ParseConfigInt(to, "10"), IsError(ErrorCode::kInvalidConfig, "an integer up to 9"));
  EXPECT_EQ(*ParseConfigInt({.name = "k"}, "-9223372036854775808"),
            std::numeric_limits<int64_t>::min());
}

TEST(ConfigTest, EmptyListIsAllowed) {
  EXPECT_THAT(*ParseConfigList({.name = "k"}, " "), IsEmpty());
}

TEST(ConfigTest, CheckUsesTheTypeOfTheKey) {
  const auto schema = SampleSchema();
  EXPECT_OK(CheckConfigValue(*schema.Find("log.segment.bytes"), "20"));
  EXPECT_FALSE(CheckConfigValue(*schema.Find("log.segment.bytes"), "x").ok());
  EXPECT_FALSE(CheckConfigValue(*schema.Find("feature.enabled"), "1").ok());
  EXPECT_FALSE(CheckConfigValue(*schema.Find("clean.ratio"), "2").ok());
  EXPECT_FALSE(CheckConfigValue(*schema.Find("process.roles"), "x").ok());
  EXPECT_OK(CheckConfigValue(*schema.Find("compression.type"), "zstd"));
  EXPECT_EQ(schema.Find("absent"), nullptr);
}

TEST(ConfigTest, UnknownKeyNamesTheNearestKnownOne) {
  EXPECT_THAT(SampleSchema().Parse({{"log.segment.byte", "20"}}),
              IsError(ErrorCode::kInvalidConfig,
                      "unknown config key 'log.segment.byte'; did you mean 'log.segment.bytes'?"));
  EXPECT_EQ(NearestConfigName(SampleSchema().keys(), "segment.bytes"), "log.segment.bytes");
}

TEST(ConfigTest, FarNameGetsNoSuggestion) {
  const absl::Status status = SampleSchema().Parse({{"xyzzy", "20"}}).status();
  EXPECT_EQ(status.message(), "unknown config key 'xyzzy'");
  EXPECT_EQ(DetailOf(status).name, "xyzzy");
}

// What comes over the network may be of any length.
TEST(ConfigTest, AVeryLongNameIsNotCompared) {
  const std::string name(size_t{32} << 20, 'x');
  EXPECT_EQ(NearestConfigName(SampleSchema().keys(), name), "");
}

TEST(ConfigDeathTest, DeclaringAKeyTwiceIsABug) {
  ConfigSchema<Sample> schema = SampleSchema();
  EXPECT_DEATH(schema.Bool(&Sample::enabled, {.name = "feature.enabled"}), "declared twice");
}

TEST(ConfigDeathTest, DefaultOutsideItsRangeIsABug) {
  ConfigSchema<Sample> schema;
  schema.Int(&Sample::segment_bytes, {.name = "k", .default_value = "1", .min = 2});
  EXPECT_DEATH(schema.Parse({}).status().IgnoreError(), "default of k");
}

}  // namespace
}  // namespace millrace

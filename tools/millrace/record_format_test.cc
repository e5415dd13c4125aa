#include "tools/millrace/record_format.h"

#include <string>

#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::tools {
namespace {

client::ConsumedRecord Example() {
  return {.topic = "t",
          .partition = PartitionIndex(2),
          .offset = Offset(7),
          .record = {.key = "k", .value = "v", .timestamp_ms = 9, .headers = {{"h", "1"}}}};
}

std::string Print(const std::string& format, const client::ConsumedRecord& record) {
  std::string out;
  RecordFormat::Parse(format).value().Append(record, &out);
  return out;
}

TEST(RecordFormat, FillsInEveryField) {
  EXPECT_EQ(
      Print("{topic}/{partition}@{offset} {timestamp} {key}={value} [{headers}] {{x}", Example()),
      "t/2@7 9 k=v [h=1] {x}");
}

TEST(RecordFormat, HasReadyMadeTemplates) {
  EXPECT_EQ(Print("value", Example()), "v");
  EXPECT_EQ(Print("key-value", Example()), "k\tv");
}

TEST(RecordFormat, JsonTellsNullFromEmptyAndKeepsBytesThatAreNoText) {
  client::ConsumedRecord record = Example();
  record.record.key.reset();
  record.record.value = "\xff\xfe";
  EXPECT_EQ(Print("json", record),
            R"({"topic":"t","partition":2,"offset":7,"timestamp_ms":9,"key":null,)"
            R"("value_base64":"//4=","headers":[{"key":"h","value":"1"}]})");
}

TEST(RecordFormat, PrintsNullAsItIsTold) {
  client::ConsumedRecord record = Example();
  record.record.key.reset();
  record.record.value.reset();
  record.record.headers[0].value.reset();
  EXPECT_EQ(Print("{key},{value},{headers}", record), ",,h=");
  std::string out;
  RecordFormat::Parse("{key},{value},{headers}", "NULL").value().Append(record, &out);
  EXPECT_EQ(out, "NULL,NULL,h=NULL");
}

TEST(RecordFormat, RefusesAnUnknownFieldByName) {
  const absl::Status status = RecordFormat::Parse("{offest}").status();
  EXPECT_EQ(CodeOf(status), ErrorCode::kInvalidRequest);
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("{offest}"));
  EXPECT_FALSE(RecordFormat::Parse("{offset").ok());
}

TEST(RecordFormat, RefusesATemplateWithoutAField) {
  for (const char* const text : {"", "vlaue", "{{value}"}) {
    EXPECT_EQ(CodeOf(RecordFormat::Parse(text).status()), ErrorCode::kInvalidRequest) << text;
  }
  EXPECT_THAT(std::string(RecordFormat::Parse("vlaue").status().message()),
              ::testing::HasSubstr("did you mean 'value'?"));
}

}  // namespace
}  // namespace millrace::tools

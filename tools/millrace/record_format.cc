#include "tools/millrace/record_format.h"

#include <map>
#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "nlohmann/json.hpp"
#include "tools/millrace/output.h"

namespace millrace::tools {
namespace {

// Puts `bytes` under `name` as text, or under `name`_base64 where they are no UTF-8.
void PutBytes(const std::string& name, const std::optional<std::string>& bytes, Json* object) {
  if (!bytes.has_value()) {
    (*object)[name] = nullptr;
    return;
  }
  Json text = *bytes;
  // The library's only test for UTF-8 without an exception: what it must leave out is not text.
  const std::string printed = text.dump(-1, ' ', false, Json::error_handler_t::ignore);
  if (Json::parse(printed, nullptr, false) == text) {
    (*object)[name] = std::move(text);
  } else {
    (*object)[name + "_base64"] = absl::Base64Escape(*bytes);
  }
}

std::string ToJson(const client::ConsumedRecord& consumed) {
  Json object;
  object["topic"] = consumed.topic;
  object["partition"] = consumed.partition.value();
  object["offset"] = consumed.offset.value();
  object["timestamp_ms"] = consumed.record.timestamp_ms;
  PutBytes("key", consumed.record.key, &object);
  PutBytes("value", consumed.record.value, &object);
  Json headers = Json::array();
  for (const client::RecordHeader& header : consumed.record.headers) {
    Json entry;
    PutBytes("key", header.key, &entry);
    PutBytes("value", header.value, &entry);
    headers.push_back(std::move(entry));
  }
  object["headers"] = std::move(headers);
  return object.dump();
}

void AppendHeaders(const std::vector<client::RecordHeader>& headers, const std::string& null_text,
                   std::string* out) {
  const char* separator = "";
  for (const client::RecordHeader& header : headers) {
    absl::StrAppend(out, separator, header.key, "=", header.value.value_or(null_text));
    separator = ",";
  }
}

}  // namespace

absl::StatusOr<RecordFormat::Field> RecordFormat::FieldNamed(absl::string_view name) {
  if (name == "topic") return Field::kTopic;
  if (name == "partition") return Field::kPartition;
  if (name == "offset") return Field::kOffset;
  if (name == "timestamp") return Field::kTimestamp;
  if (name == "key") return Field::kKey;
  if (name == "value") return Field::kValue;
  if (name == "headers") return Field::kHeaders;
  return MakeError(
      ErrorCode::kInvalidRequest,
      absl::StrCat("--format: unknown field {", name,
                   "}; known are {topic} {partition} {offset} {timestamp} {key} {value} "
                   "{headers}"),
      {.name = "--format", .value = std::string(name)});
}

absl::StatusOr<RecordFormat> RecordFormat::Parse(absl::string_view text, std::string null_text) {
  RecordFormat format;
  format.null_text_ = std::move(null_text);
  if (text == "json") {
    format.parts_.push_back({.field = Field::kJson});
    return format;
  }
  const absl::string_view given = text;
  if (text == "value" || text == "raw") text = "{value}";
  if (text == "key-value") text = "{key}\t{value}";
  std::string literal;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '{' || text.substr(i, 2) == "{{") {
      literal.push_back(text[i]);
      if (text[i] == '{') ++i;
      continue;
    }
    const size_t end = text.find('}', i);
    if (end == absl::string_view::npos) {
      return MakeError(
          ErrorCode::kInvalidRequest,
          absl::StrCat("--format: '{' at position ", i, " is never closed; write '{{' for a brace"),
          {.name = "--format", .value = std::string(text)});
    }
    ASSIGN_OR_RETURN(const Field field, FieldNamed(text.substr(i + 1, end - i - 1)));
    format.parts_.push_back({.literal = std::exchange(literal, std::string())});
    format.parts_.push_back({.field = field});
    i = end;
  }
  // It would print the same for each record, and is a mistyped word.
  if (format.parts_.empty()) {
    return MakeError(
        ErrorCode::kInvalidRequest,
        absl::StrCat("--format: '", given,
                     "' is none of value, key-value, json, raw, and has no field like {value}",
                     NearestHint(std::string(given), {"value", "key-value", "json", "raw"})),
        {.name = "--format", .value = std::string(given)});
  }
  format.parts_.push_back({.literal = std::move(literal)});
  return format;
}

void RecordFormat::Append(const client::ConsumedRecord& record, std::string* out) const {
  for (const Part& part : parts_) {
    switch (part.field) {
      case Field::kLiteral:
        out->append(part.literal);
        break;
      case Field::kTopic:
        out->append(record.topic);
        break;
      case Field::kPartition:
        absl::StrAppend(out, record.partition.value());
        break;
      case Field::kOffset:
        absl::StrAppend(out, record.offset.value());
        break;
      case Field::kTimestamp:
        absl::StrAppend(out, record.record.timestamp_ms);
        break;
      case Field::kKey:
        out->append(record.record.key.has_value() ? *record.record.key : null_text_);
        break;
      case Field::kValue:
        out->append(record.record.value.has_value() ? *record.record.value : null_text_);
        break;
      case Field::kHeaders:
        AppendHeaders(record.record.headers, null_text_, out);
        break;
      case Field::kJson:
        out->append(ToJson(record));
        break;
    }
  }
}

}  // namespace millrace::tools

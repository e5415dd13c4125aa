// RecordFormat: how `millrace consume` prints a record.
//
// A template is text with fields in braces: {topic} {partition} {offset} {timestamp} {key} {value}
// {headers}; "{{" is a brace. The words "value" (the default), "raw" (the same, with
// nothing between records), "key-value" and "json" are ready-made templates; "json" prints one
// object per record with text where it is UTF-8 and base64 where not.
//
// Thread: any once parsed.
#ifndef TOOLS_MILLRACE_RECORD_FORMAT_H_
#define TOOLS_MILLRACE_RECORD_FORMAT_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/record.h"

namespace millrace::tools {

class RecordFormat {
 public:
  // Errors: INVALID_REQUEST naming an unknown field and the known ones, or if there is no field.
  // `null_text` is what a null key, value or header's value prints as, except in JSON, which has a
  // word for it.
  static absl::StatusOr<RecordFormat> Parse(absl::string_view text, std::string null_text = "");

  // Appends the record, without a delimiter.
  void Append(const client::ConsumedRecord& record, std::string* out) const;

 private:
  enum class Field {
    kLiteral,
    kTopic,
    kPartition,
    kOffset,
    kTimestamp,
    kKey,
    kValue,
    kHeaders,
    kJson
  };
  struct Part {
    Field field = Field::kLiteral;
    std::string literal;
  };
  static absl::StatusOr<Field> FieldNamed(absl::string_view name);

  std::vector<Part> parts_;
  std::string null_text_;
};

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_RECORD_FORMAT_H_

#include "tools/millrace/key_rule.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace millrace::tools {

absl::StatusOr<KeyRule> KeyRule::Make(const std::string& separator, const std::string& regex) {
  KeyRule rule;
  if (!separator.empty() && !regex.empty()) {
    return MakeError(ErrorCode::kInvalidRequest,
                     "--key-separator and --key-regex exclude each other; give one of them");
  }
  rule.separator_ = separator;
  if (!regex.empty()) {
    rule.regex_ = std::make_shared<const re2::RE2>("(?m)" + regex, re2::RE2::Quiet);
    if (!rule.regex_->ok()) {
      return MakeError(ErrorCode::kInvalidRequest,
                       absl::StrCat("--key-regex: '", regex, "' is no regular expression: ",
                                    // Without the flags that we put before it.
                                    std::string(re2::RE2(regex, re2::RE2::Quiet).error())),
                       {.name = "--key-regex", .value = regex});
    }
  }
  return rule;
}

absl::StatusOr<KeyRule::Split> KeyRule::Apply(Slice record) const {
  if (!separator_.empty()) {
    const size_t at = record.find(separator_);
    if (at == Slice::npos) {
      return MakeError(ErrorCode::kInvalidRecord,
                       absl::StrCat("no key separator '", absl::CEscape(separator_),
                                    "' in record '", record.substr(0, 60), "'"),
                       {.name = "--key-separator", .value = separator_});
    }
    return Split{.key = std::string(record.substr(0, at)),
                 .value = record.substr(at + separator_.size())};
  }
  if (regex_ == nullptr) return Split{.value = record};
  re2::StringPiece groups[2];
  const int wanted = regex_->NumberOfCapturingGroups() > 0 ? 2 : 1;
  const re2::StringPiece text(record.data(), record.size());
  if (!regex_->Match(text, 0, text.size(), re2::RE2::UNANCHORED, groups, wanted)) {
    return Split{.value = record};
  }
  const re2::StringPiece& key = groups[wanted - 1];
  return Split{.key = std::string(key.data(), key.size()), .value = record};
}

}  // namespace millrace::tools

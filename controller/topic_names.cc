#include "controller/topic_names.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "controller/limits.h"

namespace millrace::controller {

namespace {

constexpr size_t kQuotedMax = 64;

absl::Status Refuse(absl::string_view name, absl::string_view why) {
  std::string quoted = absl::CHexEscape(name.substr(0, kQuotedMax));
  if (name.size() > kQuotedMax) quoted += "...";
  return MakeError(ErrorCode::kInvalidTopicName, absl::StrCat("topic name '", quoted, "' ", why),
                   {.name = "topic", .value = quoted});
}

bool IsLegal(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' || c == '-';
}

}  // namespace

absl::Status CheckTopicName(absl::string_view name) {
  if (name.empty()) return Refuse(name, "is empty; give the topic a name");
  if (name == "." || name == "..") return Refuse(name, "is a directory of every disk; use another");
  if (name.size() > static_cast<size_t>(kTopicNameCharactersMax)) {
    return Refuse(name, absl::StrCat("has ", name.size(), " characters; at most ",
                                     kTopicNameCharactersMax, " are allowed"));
  }
  const auto illegal = std::find_if_not(name.begin(), name.end(), IsLegal);
  if (illegal != name.end()) {
    return Refuse(
        name, absl::StrCat("has the character '", absl::CHexEscape(absl::string_view(&*illegal, 1)),
                           "'; allowed are letters, digits, '.', '_' and '-'"));
  }
  return absl::OkStatus();
}

std::string CollisionForm(absl::string_view name) {
  std::string form(name);
  std::replace(form.begin(), form.end(), '.', '_');
  return form;
}

bool HasCollisionCharacter(absl::string_view name) {
  return name.find_first_of("._") != absl::string_view::npos;
}

bool IsInternalTopic(absl::string_view name) {
  return name == "__consumer_offsets" || name == "__transaction_state" ||
         name == "__share_group_state";
}

}  // namespace millrace::controller

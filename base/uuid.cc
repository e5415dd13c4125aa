#include "base/uuid.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/random.h"
#include "base/status.h"

namespace millrace {
namespace {

constexpr size_t kTextSize = 22;

uint64_t ReadBigEndian(absl::string_view bytes) {
  uint64_t value = 0;
  for (char c : bytes) value = value << 8 | static_cast<uint8_t>(c);
  return value;
}

void AppendBigEndian(uint64_t value, std::string* out) {
  for (int shift = 56; shift >= 0; shift -= 8) out->push_back(static_cast<char>(value >> shift));
}

}  // namespace

Uuid Uuid::Draw(Random& random) {
  Uuid uuid;
  while (uuid.is_zero()) {
    // One after the other: the order of two draws among arguments is the compiler's choice, and a
    // seed must give the same ids everywhere.
    const uint64_t high = random.Next();
    uuid = Uuid(high, random.Next());
  }
  return uuid;
}

absl::StatusOr<Uuid> Uuid::FromBytes(absl::string_view bytes) {
  if (bytes.size() != kSize) {
    return MakeError(ErrorCode::kInvalidRequest,
                     absl::StrCat("an id has 16 bytes, not ", bytes.size()));
  }
  return Uuid(ReadBigEndian(bytes.substr(0, 8)), ReadBigEndian(bytes.substr(8)));
}

absl::StatusOr<Uuid> Uuid::FromString(absl::string_view text) {
  std::string bytes;
  if (text.size() != kTextSize || !absl::WebSafeBase64Unescape(text, &bytes) ||
      bytes.size() != kSize) {
    return MakeError(ErrorCode::kInvalidRequest,
                     absl::StrCat("'", text, "' is not an id: expected ", kTextSize,
                                  " characters of URL-safe base64"),
                     {.name = "id", .value = std::string(text)});
  }
  return FromBytes(bytes);
}

std::string Uuid::ToBytes() const {
  std::string bytes;
  bytes.reserve(kSize);
  AppendBigEndian(high_, &bytes);
  AppendBigEndian(low_, &bytes);
  return bytes;
}

std::string Uuid::ToString() const { return absl::WebSafeBase64Escape(ToBytes()); }

}  // namespace millrace

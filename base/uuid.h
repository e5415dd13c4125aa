// Uuid: 128 random bits that name a topic, a log directory, a process or a cluster.
//
// Its text form is what Kafka prints: the 16 bytes in URL-safe base64 without padding (22
// characters). The zero value means "none". Drawn only by shells, through Random: a core is
// given its fresh ids in the request.
//
// Thread: any (a value).
#ifndef BASE_UUID_H_
#define BASE_UUID_H_

#include <compare>
#include <cstdint>
#include <ostream>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace millrace {

class Random;

class Uuid {
 public:
  static constexpr int kSize = 16;

  constexpr Uuid() = default;
  constexpr Uuid(uint64_t high, uint64_t low) : high_(high), low_(low) {}

  // Never the zero value.
  static Uuid Draw(Random& random);
  // `bytes` is the 16-byte big-endian form. Errors: INVALID_REQUEST on another length.
  static absl::StatusOr<Uuid> FromBytes(absl::string_view bytes);
  // Errors: INVALID_REQUEST if `text` is not 22 characters of URL-safe base64.
  static absl::StatusOr<Uuid> FromString(absl::string_view text);

  constexpr bool is_zero() const { return high_ == 0 && low_ == 0; }
  constexpr uint64_t high() const { return high_; }
  constexpr uint64_t low() const { return low_; }
  std::string ToBytes() const;
  std::string ToString() const;

  friend constexpr auto operator<=>(const Uuid&, const Uuid&) = default;
  template <class H>
  friend H AbslHashValue(H h, const Uuid& id) {
    return H::combine(std::move(h), id.high_, id.low_);
  }
  friend std::ostream& operator<<(std::ostream& out, const Uuid& id) {
    return out << id.ToString();
  }

 private:
  uint64_t high_ = 0;
  uint64_t low_ = 0;
};

// A Uuid of one purpose, as StrongId is an integer of one purpose.
template <class Tag>
class StrongUuid {
 public:
  constexpr StrongUuid() = default;
  constexpr explicit StrongUuid(Uuid uuid) : uuid_(uuid) {}

  static StrongUuid Draw(Random& random) { return StrongUuid(Uuid::Draw(random)); }
  static absl::StatusOr<StrongUuid> FromBytes(absl::string_view bytes) {
    absl::StatusOr<Uuid> uuid = Uuid::FromBytes(bytes);
    if (!uuid.ok()) return uuid.status();
    return StrongUuid(*uuid);
  }
  static absl::StatusOr<StrongUuid> FromString(absl::string_view text) {
    absl::StatusOr<Uuid> uuid = Uuid::FromString(text);
    if (!uuid.ok()) return uuid.status();
    return StrongUuid(*uuid);
  }

  constexpr Uuid uuid() const { return uuid_; }
  constexpr bool is_zero() const { return uuid_.is_zero(); }
  std::string ToBytes() const { return uuid_.ToBytes(); }
  std::string ToString() const { return uuid_.ToString(); }

  friend constexpr auto operator<=>(const StrongUuid&, const StrongUuid&) = default;
  template <class H>
  friend H AbslHashValue(H h, const StrongUuid& id) {
    return H::combine(std::move(h), id.uuid_);
  }
  friend std::ostream& operator<<(std::ostream& out, const StrongUuid& id) {
    return out << id.uuid_;
  }

 private:
  Uuid uuid_;
};

}  // namespace millrace

#endif  // BASE_UUID_H_

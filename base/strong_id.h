// StrongId: an integer that cannot be mistaken for another kind of integer.
//
// A topic's partition index, an offset and an epoch are all numbers, and passing one
// for another compiles with plain integers. Each use of the template with its own tag is
// a type of its own: comparable and hashable, and convertible only by value().
//
// Thread: any (a value).
#ifndef BASE_STRONG_ID_H_
#define BASE_STRONG_ID_H_

#include <compare>
#include <cstdint>
#include <ostream>
#include <utility>

namespace millrace {

template <class Tag, class Rep>
class StrongId {
 public:
  using Representation = Rep;

  constexpr StrongId() = default;
  constexpr explicit StrongId(Rep value) : value_(value) {}

  constexpr Rep value() const { return value_; }

  friend constexpr auto operator<=>(const StrongId&, const StrongId&) = default;

  // Positions and epochs advance; ids never do, but one template for both keeps it simple.
  constexpr StrongId& operator++() {
    ++value_;
    return *this;
  }
  friend constexpr StrongId operator+(StrongId a, Rep delta) {
    return StrongId(static_cast<Rep>(a.value_ + delta));
  }
  friend constexpr StrongId operator-(StrongId a, Rep delta) {
    return StrongId(static_cast<Rep>(a.value_ - delta));
  }
  // The distance between two positions.
  friend constexpr Rep operator-(StrongId a, StrongId b) {
    return static_cast<Rep>(a.value_ - b.value_);
  }

  template <class H>
  friend H AbslHashValue(H h, const StrongId& id) {
    return H::combine(std::move(h), id.value_);
  }
  friend std::ostream& operator<<(std::ostream& out, const StrongId& id) {
    return out << +id.value_;
  }

 private:
  Rep value_ = Rep{};
};

}  // namespace millrace

#endif  // BASE_STRONG_ID_H_

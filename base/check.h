// CHECK: ends the process, with a message, when an invariant of ours is broken.
//
// Stays on in release builds. Never for input, disk contents or peers: those are Statuses.
#ifndef BASE_CHECK_H_
#define BASE_CHECK_H_

#include <sstream>
#include <string>

namespace millrace::internal {

[[noreturn]] void CheckFailed(const char* file, int line, const std::string& message);

// Collects what is streamed after a failed CHECK; its destructor does not return.
class CheckFailure {
 public:
  CheckFailure(const char* file, int line, const char* condition) : file_(file), line_(line) {
    stream_ << "CHECK failed: " << condition << " ";
  }
  [[noreturn]] ~CheckFailure() { CheckFailed(file_, line_, stream_.str()); }
  std::ostream& stream() { return stream_; }

 private:
  const char* file_;
  int line_;
  std::ostringstream stream_;
};

// Lower precedence than << and higher than ?:, so that CHECK(x) << "..." is one expression.
struct Voidify {
  void operator&(std::ostream&) {}
};

}  // namespace millrace::internal

#define CHECK(condition)                  \
  __builtin_expect(!!(condition), 1)      \
      ? (void)0                           \
      : ::millrace::internal::Voidify() & \
            ::millrace::internal::CheckFailure(__FILE__, __LINE__, #condition).stream()

#define CHECK_OP_(a, op, b) CHECK((a)op(b)) << "(" << (a) << " vs. " << (b) << ") "
#define CHECK_EQ(a, b) CHECK_OP_(a, ==, b)
#define CHECK_NE(a, b) CHECK_OP_(a, !=, b)
#define CHECK_LE(a, b) CHECK_OP_(a, <=, b)
#define CHECK_LT(a, b) CHECK_OP_(a, <, b)
#define CHECK_GE(a, b) CHECK_OP_(a, >=, b)
#define CHECK_GT(a, b) CHECK_OP_(a, >, b)
#define CHECK_OK(status_expression)                                                     \
  do {                                                                                  \
    const auto& check_ok_status_ = (status_expression);                                 \
    CHECK(check_ok_status_.ok()) << ::millrace::internal::StatusText(check_ok_status_); \
  } while (false)

namespace millrace::internal {
template <class S>
std::string StatusText(const S& status) {
  if constexpr (requires { status.status(); }) {
    return std::string(status.status().ToString());
  } else {
    return std::string(status.ToString());
  }
}
}  // namespace millrace::internal

#endif  // BASE_CHECK_H_

// Matchers and macros for tests of code that returns absl::Status (Debian's Abseil has none yet).
//
//   EXPECT_OK(file->Sync());
//   ASSERT_OK_AND_ASSIGN(auto file, files.Open("a", OpenMode::kRead));
//   EXPECT_THAT(files.Open("b", OpenMode::kRead), HasCode(ErrorCode::kDirectoryUnavailable));
//
// Only tests may depend on this.
//
// Thread: any.
#ifndef BASE_STATUS_MATCHERS_H_
#define BASE_STATUS_MATCHERS_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace {

// The status of either a Status or a StatusOr.
inline const absl::Status& StatusOf(const absl::Status& status) { return status; }
template <class T>
const absl::Status& StatusOf(const absl::StatusOr<T>& status_or) {
  return status_or.status();
}

// Matches a Status or StatusOr that is OK.
MATCHER(IsOk, negation ? "is an error" : "is OK") {
  *result_listener << StatusOf(arg);
  return arg.ok();
}

// Matches an error with this ErrorCode.
MATCHER_P(HasCode, code, "") {
  *result_listener << CodeOf(StatusOf(arg)) << ": " << StatusOf(arg);
  return CodeOf(StatusOf(arg)) == code;
}

// Matches an error with this ErrorCode whose message contains `text`.
MATCHER_P2(IsError, code, text, "") {
  *result_listener << CodeOf(StatusOf(arg)) << ": " << StatusOf(arg);
  return CodeOf(StatusOf(arg)) == code &&
         std::string(StatusOf(arg).message()).find(text) != std::string::npos;
}

}  // namespace millrace

#define EXPECT_OK(expression) EXPECT_THAT(expression, ::millrace::IsOk())
#define ASSERT_OK(expression) ASSERT_THAT(expression, ::millrace::IsOk())

// Declares or assigns the value of a StatusOr, or fails the test.
#define ASSERT_OK_AND_ASSIGN(declaration, expression) \
  ASSERT_OK_AND_ASSIGN_(MILLRACE_CONCAT_(test_status_or_, __LINE__), declaration, expression)
#define ASSERT_OK_AND_ASSIGN_(status_or, declaration, expression) \
  auto status_or = (expression);                                  \
  ASSERT_THAT(status_or, ::millrace::IsOk());                     \
  declaration = *std::move(status_or)

#endif  // BASE_STATUS_MATCHERS_H_

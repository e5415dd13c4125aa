#include "base/shared_value.h"

#include <memory>
#include <string>
#include <thread>

#include "gmock/gmock.h"

namespace millrace {
namespace {

TEST(SharedValue, WhoeverGotAValueKeepsIt) {
  SharedValue<std::string> value;
  EXPECT_EQ(value.Get(), nullptr);
  value.Set(std::make_shared<const std::string>("one"));
  const std::shared_ptr<const std::string> one = value.Get();
  value.Set(std::make_shared<const std::string>("two"));
  EXPECT_EQ(*one, "one");
  EXPECT_EQ(*value.Get(), "two");
}

// What it is for shows under the thread sanitizer.
TEST(SharedValue, AReaderSeesWholeValues) {
  constexpr int kLast = 10000;
  SharedValue<std::string> value(std::make_shared<const std::string>("0"));
  std::thread writer([&] {
    for (int i = 1; i <= kLast; ++i)
      value.Set(std::make_shared<const std::string>(std::to_string(i)));
  });
  int seen = 0;
  while (seen < kLast) {
    const int now = std::stoi(*value.Get());
    ASSERT_GE(now, seen);
    seen = now;
  }
  writer.join();
}

TEST(SharedValue, AValueMayLookAtItsSuccessorWhenItGoes) {
  struct Looks {
    explicit Looks(SharedValue<Looks>* of) : at(of) {}
    ~Looks() { at->Get(); }
    SharedValue<Looks>* const at;
  };
  SharedValue<Looks> value;
  value.Set(std::make_shared<const Looks>(&value));
  value.Set(nullptr);
  EXPECT_EQ(value.Get(), nullptr);
}

}  // namespace
}  // namespace millrace

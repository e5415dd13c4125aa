#include "controller/topic_names.h"

#include <string>

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::controller {
namespace {

TEST(TopicNamesTest, LegalNamesAreAccepted) {
  for (const std::string& name :
       {std::string("a"), std::string("A-b_c.9"), std::string("..."), std::string(249, 'x')}) {
    EXPECT_OK(CheckTopicName(name));
  }
}

TEST(TopicNamesTest, IllegalNamesAreRefusedWithTheReason) {
  const ErrorCode code = ErrorCode::kInvalidTopicName;
  EXPECT_THAT(CheckTopicName(""), IsError(code, "empty"));
  EXPECT_THAT(CheckTopicName("."), IsError(code, "directory"));
  EXPECT_THAT(CheckTopicName(".."), IsError(code, "directory"));
  EXPECT_THAT(CheckTopicName("a/b"), IsError(code, "'/'"));
  EXPECT_THAT(CheckTopicName("../etc"), IsError(code, "'/'"));
  EXPECT_THAT(CheckTopicName("a b"), IsError(code, "' '"));
  EXPECT_THAT(CheckTopicName(std::string("a\0b", 3)), IsError(code, "x00"));
  EXPECT_THAT(CheckTopicName("stra\xc3\x9f"
                             "e"),
              IsError(code, "xc3"));
  EXPECT_THAT(CheckTopicName(std::string(250, 'x')), IsError(code, "250 characters"));
}

TEST(TopicNamesTest, DotAndUnderscoreCollide) {
  EXPECT_EQ(CollisionForm("a.b_c"), CollisionForm("a_b.c"));
  EXPECT_NE(CollisionForm("a-b"), CollisionForm("a_b"));
  EXPECT_TRUE(HasCollisionCharacter("a.b"));
  EXPECT_FALSE(HasCollisionCharacter("a-b"));
}

TEST(TopicNamesTest, OnlyTheSystemsOwnTopicsAreInternal) {
  EXPECT_TRUE(IsInternalTopic("__consumer_offsets"));
  EXPECT_FALSE(IsInternalTopic("__mine"));
}

}  // namespace
}  // namespace millrace::controller

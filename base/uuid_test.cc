#include "base/uuid.h"

#include "base/ids.h"
#include "base/random.h"
#include "base/status_matchers.h"

namespace millrace {
namespace {

// Gives the numbers it was told to give.
class ScriptedRandom : public Random {
 public:
  explicit ScriptedRandom(std::vector<uint64_t> numbers) : numbers_(std::move(numbers)) {}
  uint64_t Next() override { return numbers_.at(next_++); }

 private:
  std::vector<uint64_t> numbers_;
  size_t next_ = 0;
};

TEST(UuidTest, TextFormIsKafkas) {
  // The id of Kafka's own metadata topic (Uuid.METADATA_TOPIC_ID) is the number 1.
  EXPECT_EQ(Uuid(0, 1).ToString(), "AAAAAAAAAAAAAAAAAAAAAQ");
  EXPECT_EQ(Uuid().ToString(), "AAAAAAAAAAAAAAAAAAAAAA");
  EXPECT_EQ(Uuid(~0ull, ~0ull).ToString(), "_____________________w");
}

TEST(UuidTest, BytesAreBigEndian) {
  const std::string bytes = Uuid(0x0102030405060708, 0x090a0b0c0d0e0f10).ToBytes();
  ASSERT_EQ(bytes.size(), 16u);
  for (int i = 0; i < 16; ++i) EXPECT_EQ(bytes[i], i + 1);
}

TEST(UuidTest, SurvivesBothForms) {
  const Uuid uuid(0xfedcba9876543210, 0x8000000000000001);
  EXPECT_EQ(*Uuid::FromString(uuid.ToString()), uuid);
  EXPECT_EQ(*Uuid::FromBytes(uuid.ToBytes()), uuid);
  const TopicId topic(uuid);
  EXPECT_EQ(*TopicId::FromString(topic.ToString()), topic);
  EXPECT_EQ(*TopicId::FromBytes(topic.ToBytes()), topic);
}

TEST(UuidTest, OtherTextIsRefusedWithItsValue) {
  for (const char* bad :
       {"", "abc", "AAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAA+A",
        "AAAAAAAAAAAAAAAAAAAA==", "AAAAAAAAAAAAAAAAAAAA A"}) {
    EXPECT_THAT(Uuid::FromString(bad), IsError(ErrorCode::kInvalidRequest, bad)) << bad;
  }
  EXPECT_THAT(Uuid::FromBytes("short"), HasCode(ErrorCode::kInvalidRequest));
  EXPECT_THAT(TopicId::FromString("x"), HasCode(ErrorCode::kInvalidRequest));
}

TEST(UuidTest, DrawNeverGivesTheZeroValue) {
  ScriptedRandom random({0, 0, 0, 5});
  EXPECT_EQ(Uuid::Draw(random), Uuid(0, 5));
}

}  // namespace
}  // namespace millrace

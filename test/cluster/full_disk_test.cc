// A disk that fills up: produce is refused by name, reading goes on, nothing acknowledged is lost,
// and when there is room again produce works without a restart.
#include <sys/mount.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/cluster/api_client.h"
#include "test/cluster/server_process.h"
#include "test/cluster/wait_until.h"

namespace millrace::test {
namespace {

constexpr char kTopic[] = "full";
const std::string& Value() {
  static const auto* const value = new std::string(256 << 10, 'f');
  return *value;
}

// A file system of its own in memory; needs root.
class SmallDisk {
 public:
  explicit SmallDisk(int64_t bytes) {
    mounted_ = ::mount("none", directory_.path().c_str(), "tmpfs", 0,
                       absl::StrCat("size=", bytes).c_str()) == 0;
  }
  ~SmallDisk() {
    if (mounted_) ::umount2(directory_.path().c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }
  const std::string& path() const { return directory_.path(); }

 private:
  const TemporaryDirectory directory_;
  bool mounted_ = false;
};

// Produces until it is refused. Returns the refusal.
absl::Status FillUp(ApiClient* client, std::vector<std::string>* acknowledged) {
  for (int i = 0; i < 10'000; ++i) {
    const std::string value = absl::StrCat(i, " ", Value());
    const auto produced = client->ProduceValues(kTopic, 0, {value});
    if (!produced.ok()) return produced.status();
    acknowledged->push_back(value);
  }
  return absl::OkStatus();
}

TEST(FullDiskTest, ProduceIsRefusedReadingGoesOnAndRoomHealsIt) {
  const SmallDisk disk(96 << 20);
  if (!disk.mounted()) GTEST_SKIP() << "mounting a file system needs root";
  ServerProcess server({"log.dir.reserve.bytes=33554432"}, disk.path() + "/data");
  ASSERT_OK(server.Start());
  ApiClient client(server.address());
  // Whatever lies on the disk besides, as other programs' files do.
  const std::string ballast = disk.path() + "/ballast";
  std::ofstream(ballast) << std::string(24 << 20, 'b');
  ASSERT_OK(client.CreateTopic(kTopic));
  std::vector<std::string> acknowledged;
  EXPECT_THAT(FillUp(&client, &acknowledged), HasCode(ErrorCode::kStorageFull));
  ASSERT_FALSE(acknowledged.empty());

  const auto values = client.ReadValues(kTopic, 0);
  ASSERT_OK(values);
  EXPECT_EQ(*values, acknowledged);
  // The reserve is for what must go on.
  EXPECT_OK(client.CreateTopic("metadata-goes-on"));
  EXPECT_OK(client.SetTopicConfig(kTopic, "retention.ms", "1000000"));

  std::filesystem::remove(ballast);
  EXPECT_TRUE(
      WaitUntil([&] { return client.ProduceValues(kTopic, 0, {"room"}).ok(); }, absl::Seconds(30)));
  acknowledged.push_back("room");
  EXPECT_EQ(server.Stop().code, 0);
  ASSERT_OK(server.Start());
  const auto after = ApiClient(server.address()).ReadValues(kTopic, 0);
  ASSERT_OK(after);
  EXPECT_EQ(*after, acknowledged);
}

TEST(FullDiskTest, AServerStartsAndServesReadersOnAFullDisk) {
  const SmallDisk disk(96 << 20);
  if (!disk.mounted()) GTEST_SKIP() << "mounting a file system needs root";
  ServerProcess server({"log.dir.reserve.bytes=33554432"}, disk.path() + "/data");
  ASSERT_OK(server.Start());
  ASSERT_OK(ApiClient(server.address()).CreateTopic(kTopic));
  std::vector<std::string> acknowledged;
  {
    ApiClient client(server.address());
    EXPECT_THAT(FillUp(&client, &acknowledged), HasCode(ErrorCode::kStorageFull));
  }
  server.Kill();
  ASSERT_OK(server.Start());
  ApiClient client(server.address());
  const auto values = client.ReadValues(kTopic, 0);
  ASSERT_OK(values);
  EXPECT_EQ(*values, acknowledged);
  // Recovery gave back what was preallocated; that is soon used up.
  EXPECT_THAT(FillUp(&client, &acknowledged), HasCode(ErrorCode::kStorageFull));
}

TEST(FullDiskTest, AReserveAboveTheFreeSpaceRefusesEveryProduce) {
  ServerProcess server;
  ASSERT_OK(server.Start());
  {
    ApiClient client(server.address());
    ASSERT_OK(client.CreateTopic(kTopic));
    ASSERT_OK(client.ProduceValues(kTopic, 0, {"before"}));
  }
  ASSERT_EQ(server.Stop().code, 0);
  // More than any disk has.
  server.set_settings({"log.dir.reserve.bytes=4611686018427387904"});
  ASSERT_OK(server.Start());
  {
    ApiClient client(server.address());
    EXPECT_THAT(client.ProduceValues(kTopic, 0, {"no"}), HasCode(ErrorCode::kStorageFull));
    const auto values = client.ReadValues(kTopic, 0);
    ASSERT_OK(values);
    EXPECT_EQ(*values, std::vector<std::string>{"before"});
  }
  ASSERT_EQ(server.Stop().code, 0);
  server.set_settings({});
  ASSERT_OK(server.Start());
  EXPECT_OK(ApiClient(server.address()).ProduceValues(kTopic, 0, {"after"}));
}

}  // namespace
}  // namespace millrace::test

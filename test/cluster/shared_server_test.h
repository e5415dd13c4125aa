// SharedServerTest: the fixture of tests of bad input: one server for all of them, and after each
// of them another client, connected all the while, is served as before.
//
// Thread: the test's.
#ifndef TEST_CLUSTER_SHARED_SERVER_TEST_H_
#define TEST_CLUSTER_SHARED_SERVER_TEST_H_

#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/status_matchers.h"
#include "gtest/gtest.h"
#include "test/cluster/api_client.h"
#include "test/cluster/server_process.h"

namespace millrace::test {

// The topic that the other client uses; one partition.
inline constexpr char kOthersTopic[] = "others";

class SharedServerTest : public testing::Test {
 protected:
  // Suites that need settings hide this with their own.
  static void SetUpTestSuite() { StartServer({}); }
  static void TearDownTestSuite() {
    other_.reset();
    server_.reset();
  }

  static void StartServer(std::vector<std::string> settings) {
    server_ = std::make_unique<ServerProcess>(std::move(settings));
    // Without it no test of the suite means anything.
    const absl::Status started = server_->Start();
    CHECK(started.ok()) << std::string(started.message());
    other_ = std::make_unique<ApiClient>(server_->address());
    ASSERT_OK(other_->CreateTopic(kOthersTopic));
  }

  void SetUp() override { ASSERT_TRUE(server_ != nullptr && server_->running()); }

  void TearDown() override {
    const auto produced = other_->ProduceValues(kOthersTopic, 0, {"still served"});
    ASSERT_OK(produced) << "another client was hurt";
    const auto values = other_->ReadValues(kOthersTopic, 0, produced->base_offset());
    ASSERT_OK(values) << "another client was hurt";
    EXPECT_EQ(*values, std::vector<std::string>{"still served"});
  }

  static inline std::unique_ptr<ServerProcess> server_;
  static inline std::unique_ptr<ApiClient> other_;
};

}  // namespace millrace::test

#endif  // TEST_CLUSTER_SHARED_SERVER_TEST_H_

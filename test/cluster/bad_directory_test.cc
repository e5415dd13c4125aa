// Data directories that cannot be served from: the server ends with exit code 1 and an error that
// names the directory and what is wrong with it, and has changed nothing in it.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/crc32c.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/cluster/api_client.h"
#include "test/cluster/server_process.h"
#include "test/cluster/tcp_connection.h"

namespace millrace::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

void WriteFile(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

// Replaces part of a checked text file (docs/formats) and makes its checksum fit again.
void EditCheckedText(const std::string& path, const std::string& from, const std::string& to) {
  std::string text = absl::StrReplaceAll(ReadFile(path), {{from, to}});
  const size_t checksum = text.rfind("# crc32c ");
  ASSERT_NE(checksum, std::string::npos) << path << ": " << text;
  text.resize(checksum);
  char line[32];
  std::snprintf(line, sizeof(line), "# crc32c %08x\n", Crc32c(text));
  WriteFile(path, text + line);
}

// Every regular file below a directory, with its contents.
std::map<std::string, std::string> Snapshot(const std::string& directory) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    if (entry.is_regular_file()) files[entry.path()] = ReadFile(entry.path());
  }
  return files;
}

// A directory that a server has founded, used and left cleanly.
class BadDirectoryTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(server_.Start());
    ApiClient client(server_.address());
    ASSERT_OK(client.CreateTopic("kept"));
    ASSERT_OK(client.ProduceValues("kept", 0, {"a record"}));
    ASSERT_EQ(server_.Stop().code, 0);
  }

  void ExpectRefused(const std::string& code, const std::string& text) {
    const ProcessResult result = server_.StartAndFail();
    EXPECT_EQ(result.exit_code, 1) << result.err;
    EXPECT_THAT(result.err, AllOf(HasSubstr(code), HasSubstr(text)));
  }
  void ExpectServesAgain() {
    ASSERT_OK(server_.Start());
    const auto values = ApiClient(server_.address()).ReadValues("kept", 0);
    ASSERT_OK(values);
    EXPECT_EQ(*values, std::vector<std::string>{"a record"});
  }

  std::string logs() const { return server_.data_dir() + "/logs"; }

  ServerProcess server_;
};

TEST_F(BadDirectoryTest, ASecondProcessIsKeptOutAndTheFirstServesOn) {
  ExpectServesAgain();
  ServerProcess second({}, server_.data_dir());
  const ProcessResult result = second.StartAndFail();
  EXPECT_EQ(result.exit_code, 1) << result.err;
  EXPECT_THAT(result.err, AllOf(HasSubstr("DIRECTORY_LOCKED"), HasSubstr(server_.data_dir())));
  EXPECT_OK(ApiClient(server_.address()).ProduceValues("kept", 0, {"still served"}));
}

TEST_F(BadDirectoryTest, AnotherNodesDirectoryIsRefused) {
  server_.set_settings({"node.id=7"});
  const auto before = Snapshot(logs());
  ExpectRefused("INCONSISTENT_NODE_ID", "node 7");
  EXPECT_EQ(Snapshot(logs()), before);
  server_.set_settings({});
  ExpectServesAgain();
}

TEST_F(BadDirectoryTest, AnotherClustersLogDirectoryIsRefused) {
  ServerProcess other;
  ASSERT_OK(other.Start());
  ASSERT_EQ(other.Stop().code, 0);
  other.set_settings({absl::StrCat("log.dirs=", logs())});
  const auto before = Snapshot(logs());
  const ProcessResult result = other.StartAndFail();
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, AllOf(HasSubstr("INCONSISTENT_CLUSTER_ID"), HasSubstr(logs())));
  EXPECT_EQ(Snapshot(logs()), before);
  ExpectServesAgain();
}

// S-18: a new cluster would orphan the records and then reuse their topics' names.
TEST_F(BadDirectoryTest, LogDirectoriesWithoutTheirMetadataFoundNoCluster) {
  const std::string kept = server_.data_dir() + "/kept-metadata";
  std::filesystem::rename(server_.metadata_dir(), kept);
  const auto before = Snapshot(server_.data_dir());
  ExpectRefused("INCONSISTENT_CLUSTER_ID", logs());
  EXPECT_EQ(Snapshot(server_.data_dir()), before);
  EXPECT_FALSE(std::filesystem::exists(server_.metadata_dir()));
  std::filesystem::rename(kept, server_.metadata_dir());
  ExpectServesAgain();
}

TEST_F(BadDirectoryTest, SomebodyElsesFilesAreNotTouched) {
  const TemporaryDirectory home;
  WriteFile(home.path() + "/thesis.tex", "years of work");
  for (const char* key : {"log.dirs", "metadata.log.dir"}) {
    ServerProcess server({absl::StrCat(key, "=", home.path())});
    const ProcessResult result = server.StartAndFail();
    EXPECT_EQ(result.exit_code, 1) << key;
    EXPECT_THAT(result.err, AllOf(HasSubstr("INVALID_DIRECTORY"), HasSubstr(home.path()))) << key;
    EXPECT_EQ(ReadFile(home.path() + "/thesis.tex"), "years of work");
  }
}

TEST_F(BadDirectoryTest, ANewerFormatIsRefusedByName) {
  const std::string log_properties = logs() + "/meta.properties";
  const std::string text = ReadFile(log_properties);
  ASSERT_THAT(text, HasSubstr("log-directory 1\n"));
  EditCheckedText(log_properties, "log-directory 1\n", "log-directory 2\n");
  ExpectRefused("UNSUPPORTED_FORMAT_VERSION", log_properties);
  WriteFile(log_properties, text);
  ExpectServesAgain();
}

TEST_F(BadDirectoryTest, DamagedPropertiesAreNamed) {
  for (const std::string& path :
       {logs() + "/meta.properties", server_.metadata_dir() + "/meta.properties"}) {
    const std::string text = ReadFile(path);
    std::string damaged = text;
    damaged[damaged.size() / 2] = static_cast<char>(damaged[damaged.size() / 2] ^ 4);
    WriteFile(path, damaged);
    ExpectRefused("CORRUPT_LOG", path);
    WriteFile(path, text);
  }
  ExpectServesAgain();
}

TEST(UnusableDirectoryTest, AFileWhereADirectoryShouldBeIsNamed) {
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/file";
  WriteFile(path, "not a directory");
  ServerProcess server({}, path);
  const ProcessResult result = server.StartAndFail();
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, AllOf(HasSubstr("DIRECTORY_UNAVAILABLE"), HasSubstr(path)));
  EXPECT_EQ(ReadFile(path), "not a directory");
}

TEST(UnusableDirectoryTest, ADirectoryThatCannotBeWrittenIsNamed) {
  // Nobody can create files there, not even root.
  ServerProcess server({}, "/proc/millrace");
  const ProcessResult result = server.StartAndFail();
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, AllOf(HasSubstr("DIRECTORY_UNAVAILABLE"), HasSubstr("/proc/millrace")));
}

TEST(PortInUseTest, TheAddressIsNamed) {
  ServerProcess first;
  ASSERT_OK(first.Start());
  ServerProcess second({absl::StrCat("http.listener=127.0.0.1:", first.http_port())});
  ProcessResult result = second.StartAndFail();
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, AllOf(HasSubstr("ADDRESS_IN_USE"),
                                HasSubstr(absl::StrCat("127.0.0.1:", first.http_port()))));
  const TemporaryDirectory directory;
  result = RunMillrace({"server", "--data-dir", directory.path() + "/data", "--listen",
                        first.address(), "--set", "http.listener="});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, AllOf(HasSubstr("ADDRESS_IN_USE"), HasSubstr(first.address())));
  EXPECT_EQ(HttpGet(first.http_port(), "/readyz").status, 200);
}

}  // namespace
}  // namespace millrace::test

// The files of a partition that the real server writes are, byte for byte, those that Kafka's own
// DumpLogSegments has read (testdata/README.md has the command and its output).
//
// The test produces the batches of the fixture again and compares what lies on disk after a clean
// stop. With WRITE_TESTDATA=DIRECTORY in the environment it makes a new fixture instead.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "record/batch_builder.h"
#include "record/batch_view.h"
#include "test/cluster/api_client.h"
#include "test/cluster/server_process.h"

namespace millrace::test {
namespace {

constexpr char kTopic[] = "fixture";
constexpr const char* kFiles[] = {"00000000000000000000.log", "00000000000000000000.index",
                                  "00000000000000000000.timeindex"};
constexpr int64_t kBeginMs = 1'700'000'000'000;

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// Two batches of each codec, with headers, null keys and null values; then one of an idempotent
// producer.
std::vector<std::string> NewBatches() {
  std::vector<std::string> batches;
  int number = 0;
  const auto finish = [&](record::BatchBuilder* builder, int records) {
    for (int i = 0; i < records; ++i, ++number) {
      const std::string key = absl::StrCat("key-", number);
      const std::string value = absl::StrCat("value ", number, " of the fixture, fixture, fixture");
      const record::Header headers[] = {{"kind", Slice("sample")}, {"empty", absl::nullopt}};
      absl::optional<Slice> key_or_null = Slice(key);
      absl::optional<Slice> value_or_null = Slice(value);
      if (number % 5 == 3) key_or_null = absl::nullopt;
      if (number % 7 == 4) value_or_null = absl::nullopt;
      const size_t header_count = number % 4 == 0 ? 2 : 0;
      builder->Add(kBeginMs + number * 10, key_or_null, value_or_null,
                   absl::MakeConstSpan(headers, header_count));
    }
    const Bytes batch = builder->Build();
    batches.emplace_back(batch.data(), batch.size());
  };
  for (const record::Compression codec : record::kAllCompressions) {
    record::BatchBuilder builder({.compression = codec});
    finish(&builder, 12);
    finish(&builder, 3);
  }
  record::BatchBuilder idempotent(
      {.producer_id = ProducerId(1000), .producer_epoch = ProducerEpoch(0), .base_sequence = 0});
  finish(&idempotent, 2);
  return batches;
}

// The batches in a segment.
std::vector<std::string> BatchesOf(const std::string& segment) {
  std::vector<std::string> batches;
  for (size_t at = 0; at < segment.size();) {
    const Slice rest = Slice(segment).substr(at);
    const auto size = record::PeekBatchSize(rest, rest.size());
    EXPECT_OK(size);
    if (!size.ok()) break;
    batches.emplace_back(rest.substr(0, *size));
    at += *size;
  }
  return batches;
}

// Produces the batches, one call each, and returns the directory of the partition after a clean
// stop.
std::string ProduceAndStop(const std::vector<std::string>& batches, ServerProcess* server) {
  EXPECT_OK(server->Start());
  {
    ApiClient client(server->address());
    EXPECT_OK(client.CreateTopic(kTopic, 1, {{"index.interval.bytes", "256"}}));
    for (const std::string& batch : batches) EXPECT_OK(client.ProduceBatches(kTopic, 0, batch));
  }
  EXPECT_EQ(server->Stop().code, 0);
  return server->PartitionDir(kTopic, 0);
}

TEST(SegmentFixtureTest, TheServerStillWritesWhatKafkasToolHasRead) {
  ServerProcess server;
  if (const char* target = std::getenv("WRITE_TESTDATA"); target != nullptr) {
    const std::string directory = ProduceAndStop(NewBatches(), &server);
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
      std::filesystem::copy(entry.path(), target,
                            std::filesystem::copy_options::overwrite_existing);
    }
    return;
  }
  const std::string fixture = "test/cluster/testdata/";
  const std::vector<std::string> batches = BatchesOf(ReadFile(fixture + kFiles[0]));
  ASSERT_EQ(batches.size(), 11u);
  const std::string directory = ProduceAndStop(batches, &server) + "/";
  for (const char* file : kFiles) {
    EXPECT_EQ(ReadFile(directory + file), ReadFile(fixture + file)) << file;
  }
}

}  // namespace
}  // namespace millrace::test

// Says how many records came to each partition of a topic since a time, and prints the first of
// them.
//
//   since HOST:PORT TOPIC UNIX_MS
#include <cstdlib>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "base/status.h"
#include "client/consumer.h"

namespace millrace {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(30);

absl::Status Tell(const std::string& server, const std::string& topic, int64_t since_ms) {
  ASSIGN_OR_RETURN(const auto consumer, client::Consumer::Create({{"bootstrap.servers", server}}));
  ASSIGN_OR_RETURN(const auto indexes, consumer->Partitions(topic, kTimeout));
  std::map<client::NamedPartition, int64_t> times_ms;
  std::vector<client::NamedPartition> partitions;
  for (PartitionIndex index : indexes) {
    partitions.push_back({topic, index});
    times_ms[{topic, index}] = since_ms;
  }
  // Partitions without a record so late are left out of the answer.
  ASSIGN_OR_RETURN(const auto found, consumer->OffsetsForTimes(times_ms, kTimeout));
  ASSIGN_OR_RETURN(const auto ends, consumer->EndOffsets(partitions, kTimeout));
  std::map<client::NamedPartition, client::Position> begin;
  for (const auto& [name, at] : found) {
    std::cout << TextOf(name) << ": " << ends.at(name).value() - at.offset.value() << " records\n";
    begin[name] = {.kind = client::Position::Kind::kOffset, .offset = at.offset};
  }
  if (begin.empty()) return absl::OkStatus();

  RETURN_IF_ERROR(consumer->Assign(std::move(begin)));
  ASSIGN_OR_RETURN(const auto records, consumer->Poll(kTimeout));
  if (!records.empty()) {
    std::cout << "first: " << records[0].record.value.value_or("(null)") << "\n";
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: since HOST:PORT TOPIC UNIX_MS\n";
    return 2;
  }
  const absl::Status status = millrace::Tell(argv[1], argv[2], std::atoll(argv[3]));
  if (status.ok()) return 0;
  std::cerr << status.message() << "\n";
  return 1;
}

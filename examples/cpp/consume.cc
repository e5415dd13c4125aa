// Prints the first records of a topic, from its beginning.
//
//   consume HOST:PORT TOPIC COUNT
#include <cstdlib>
#include <iostream>
#include <map>

#include "client/consumer.h"

namespace millrace {
namespace {

absl::Status Print(const std::string& server, const std::string& topic, int count) {
  ASSIGN_OR_RETURN(auto consumer, client::Consumer::Create({{"bootstrap.servers", server}}));
  ASSIGN_OR_RETURN(const auto partitions, consumer->Partitions(topic, absl::Seconds(30)));
  std::map<client::NamedPartition, client::Position> from;
  for (PartitionIndex partition : partitions) {
    from[{topic, partition}] = {.kind = client::Position::Kind::kEarliest};
  }
  RETURN_IF_ERROR(consumer->Assign(std::move(from)));
  while (count > 0) {
    ASSIGN_OR_RETURN(const auto records, consumer->Poll(absl::Seconds(1)));
    for (const client::ConsumedRecord& record : records) {
      if (count-- == 0) break;
      std::cout << record.partition << "@" << record.offset << " "
                << record.record.key.value_or("(null)") << ": "
                << record.record.value.value_or("(null)") << "\n";
    }
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: consume HOST:PORT TOPIC COUNT\n";
    return 2;
  }
  const absl::Status status = millrace::Print(argv[1], argv[2], std::atoi(argv[3]));
  if (status.ok()) return 0;
  std::cerr << status.message() << "\n";
  return 1;
}

// Sends records with a rule of its own for their partition: keys are "REGION/CUSTOMER", and all
// records of a region go to one partition.
//
//   by_region HOST:PORT TOPIC KEY...
#include <iostream>
#include <string>
#include <vector>

#include "base/status.h"
#include "client/producer.h"

namespace millrace {
namespace {

// Called on the thread that calls Send, for each record that no partition was asked for.
PartitionIndex PartitionOfRegion(const std::string& /*topic*/, const client::BorrowedRecord& record,
                                 int32_t partitions) {
  const Slice key = record.key.value_or("");
  return client::PartitionOfKey(key.substr(0, key.find('/')), partitions);
}

absl::Status SendKeys(const std::string& server, const std::string& topic,
                      const std::vector<std::string>& keys) {
  ASSIGN_OR_RETURN(const auto producer,
                   client::Producer::Create({{"bootstrap.servers", server}}, PartitionOfRegion));
  for (const std::string& key : keys) {
    RETURN_IF_ERROR(producer->Send(topic, {.key = key, .value = "order"}, std::nullopt,
                                   [key](const client::DeliveryReport& report) {
                                     std::cout << key << " -> " << report.partition << "\n";
                                   }));
  }
  return producer->Close(absl::Seconds(30));
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::cerr << "usage: by_region HOST:PORT TOPIC KEY...\n";
    return 2;
  }
  const absl::Status status = millrace::SendKeys(argv[1], argv[2], {argv + 3, argv + argc});
  if (status.ok()) return 0;
  std::cerr << status.message() << "\n";
  return 1;
}

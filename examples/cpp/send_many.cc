// Sends each line of standard input as a record without a key, as fast as the cluster takes them,
// and counts what was acknowledged.
//
//   send_many HOST:PORT TOPIC < FILE
#include <iostream>
#include <string>

#include "base/status.h"
#include "client/producer.h"

namespace millrace {
namespace {

absl::Status SendLines(const std::string& server, const std::string& topic) {
  // Both are the producer's thread's until Close has returned; and they are there for longer than
  // the producer is.
  int64_t acknowledged = 0;
  absl::Status first_failure;
  ASSIGN_OR_RETURN(const auto producer, client::Producer::Create({{"bootstrap.servers", server},
                                                                  {"compression.type", "lz4"},
                                                                  {"linger.ms", "5"}}));
  std::string line;
  while (std::getline(std::cin, line)) {
    // The line is copied into its batch before the call returns. It waits while 32 MiB
    // (buffer.memory) are on their way: a fast sender is slowed down, not the machine filled up.
    RETURN_IF_ERROR(producer->SendBorrowed(topic, {.value = Slice(line)},
                                           /*partition=*/std::nullopt,
                                           [&](const client::DeliveryReport& report) {
                                             if (report.status.ok()) {
                                               ++acknowledged;
                                             } else if (first_failure.ok()) {
                                               first_failure = report.status;
                                             }
                                           }));
  }
  RETURN_IF_ERROR(producer->Close(absl::Seconds(60)));
  RETURN_IF_ERROR(first_failure);
  std::cout << acknowledged << " records\n";
  return absl::OkStatus();
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: send_many HOST:PORT TOPIC\n";
    return 2;
  }
  const absl::Status status = millrace::SendLines(argv[1], argv[2]);
  if (status.ok()) return 0;
  std::cerr << status.message() << "\n";
  return 1;
}

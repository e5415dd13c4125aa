// Sends one record, waits until it is acknowledged, and says where it went.
//
//   produce HOST:PORT TOPIC KEY VALUE
#include <iostream>

#include "client/producer.h"

namespace millrace {
namespace {

int Run(const std::string& server, const std::string& topic, client::Record record) {
  auto producer = client::Producer::Create({{"bootstrap.servers", server}, {"acks", "all"}});
  if (!producer.ok()) {
    std::cerr << producer.status().message() << "\n";
    return 1;
  }
  // Written on the producer's own thread, and read after Close has waited for it.
  client::DeliveryReport delivery;
  const absl::Status sent =
      (*producer)->Send(topic, std::move(record), /*partition=*/std::nullopt,
                        [&](const client::DeliveryReport& report) { delivery = report; });
  const absl::Status closed = (*producer)->Close(absl::Seconds(30));
  for (const absl::Status& status : {sent, closed, delivery.status}) {
    if (status.ok()) continue;
    std::cerr << status.message() << "\n";
    return 1;
  }
  std::cout << "partition " << delivery.partition << " offset " << delivery.offset << "\n";
  return 0;
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::cerr << "usage: produce HOST:PORT TOPIC KEY VALUE\n";
    return 2;
  }
  return millrace::Run(argv[1], argv[2], {.key = argv[3], .value = argv[4]});
}

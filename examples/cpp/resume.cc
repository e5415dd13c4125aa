// Prints what is new in a topic since the last time, and keeps the positions in a file: a crash
// between two calls repeats records, and never skips one.
//
//   resume HOST:PORT TOPIC FILE
#include <cstdio>
#include <fstream>
#include <iostream>
#include <map>
#include <string>

#include "base/status.h"
#include "client/consumer.h"

namespace millrace {
namespace {

using Positions = std::map<client::NamedPartition, client::Position>;

// Lines of "partition offset epoch". A partition that the file does not name begins at its first
// record.
Positions ReadPositions(const std::string& path, const std::string& topic,
                        const std::vector<PartitionIndex>& partitions) {
  Positions positions;
  for (PartitionIndex partition : partitions) {
    positions[{topic, partition}] = {.kind = client::Position::Kind::kEarliest};
  }
  std::ifstream file(path);
  int32_t partition = 0;
  int64_t offset = 0;
  int32_t epoch = 0;
  while (file >> partition >> offset >> epoch) {
    positions[{topic, PartitionIndex(partition)}] = {.kind = client::Position::Kind::kOffset,
                                                     .offset = Offset(offset),
                                                     .leader_epoch = LeaderEpoch(epoch)};
  }
  return positions;
}

absl::Status KeepPositions(client::Consumer* consumer, const std::string& path,
                           const Positions& assigned) {
  std::ofstream file(path + ".new");
  for (const auto& [name, begun_at] : assigned) {
    ASSIGN_OR_RETURN(const client::Position next, consumer->ResumePositionOf(name));
    // Not looked up yet: nothing was read there.
    if (next.kind != client::Position::Kind::kOffset) continue;
    file << name.partition << " " << next.offset << " " << next.leader_epoch << "\n";
  }
  file.close();
  // The file is there as a whole, old or new.
  if (!file || std::rename((path + ".new").c_str(), path.c_str()) != 0) {
    return MakeError(ErrorCode::kStorageError, "cannot write the positions", {.value = path});
  }
  return absl::OkStatus();
}

absl::Status PrintNew(const std::string& server, const std::string& topic,
                      const std::string& path) {
  ASSIGN_OR_RETURN(const auto consumer, client::Consumer::Create({{"bootstrap.servers", server},
                                                                  {"auto.offset.reset", "none"}}));
  ASSIGN_OR_RETURN(const auto partitions, consumer->Partitions(topic, absl::Seconds(30)));
  const Positions positions = ReadPositions(path, topic, partitions);
  RETURN_IF_ERROR(consumer->Assign(positions));
  while (true) {
    ASSIGN_OR_RETURN(const auto records, consumer->Poll(absl::Seconds(1)));
    if (records.empty()) return absl::OkStatus();
    for (const client::ConsumedRecord& record : records) {
      std::cout << record.record.value.value_or("(null)") << "\n";
    }
    std::cout.flush();
    // After the records were dealt with, not before.
    RETURN_IF_ERROR(KeepPositions(consumer.get(), path, positions));
  }
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: resume HOST:PORT TOPIC FILE\n";
    return 2;
  }
  const absl::Status status = millrace::PrintNew(argv[1], argv[2], argv[3]);
  if (status.ok()) return 0;
  std::cerr << status.message() << "\n";
  return 1;
}

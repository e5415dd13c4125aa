// Deletes the records of a topic that are older than a time, and says where its partitions begin
// then.
//
//   trim HOST:PORT TOPIC UNIX_MS
#include <cstdlib>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "base/status.h"
#include "client/admin.h"
#include "client/consumer.h"

namespace millrace {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(30);

absl::Status Trim(const std::string& server, const std::string& topic, int64_t before_ms) {
  ASSIGN_OR_RETURN(const auto consumer, client::Consumer::Create({{"bootstrap.servers", server}}));
  ASSIGN_OR_RETURN(const auto indexes, consumer->Partitions(topic, kTimeout));
  std::map<client::NamedPartition, int64_t> times_ms;
  std::vector<client::NamedPartition> partitions;
  for (PartitionIndex index : indexes) {
    partitions.push_back({topic, index});
    times_ms[{topic, index}] = before_ms;
  }
  // The ends first: what is written from now on may be young enough, and lies behind them.
  ASSIGN_OR_RETURN(const auto ends, consumer->EndOffsets(partitions, kTimeout));
  ASSIGN_OR_RETURN(const auto kept, consumer->OffsetsForTimes(times_ms, kTimeout));

  ASSIGN_OR_RETURN(const auto admin, client::Admin::Create({server}, kTimeout));
  v1::DeleteRecordsRequest request;
  for (const auto& [name, time_ms] : times_ms) {
    v1::DeleteRecordsPartition* partition = request.add_partitions();
    partition->set_topic(name.topic);
    partition->set_partition(name.partition.value());
    // Where no record was to be kept, all go that were there then.
    const auto first_kept = kept.find(name);
    const Offset before = first_kept == kept.end() ? ends.at(name) : first_kept->second.offset;
    partition->set_before_offset(before.value());
  }
  ASSIGN_OR_RETURN(const auto response, admin->DeleteRecords(request));
  for (const v1::DeleteRecordsPartitionResult& result : response.partitions()) {
    if (result.code() != v1::ERROR_CODE_UNSPECIFIED) {
      return MakeError(static_cast<ErrorCode>(result.code()), result.message());
    }
    std::cout << topic << "-" << result.partition() << " begins at " << result.log_start_offset()
              << "\n";
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: trim HOST:PORT TOPIC UNIX_MS\n";
    return 2;
  }
  const absl::Status status = millrace::Trim(argv[1], argv[2], std::atoll(argv[3]));
  if (status.ok()) return 0;
  std::cerr << status.message() << "\n";
  return 1;
}

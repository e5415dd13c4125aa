#include "tools/millrace/snapshot_dump.h"

#include <memory>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status.h"
#include "metadata/image.h"
#include "metadata/image_records.h"
#include "metadata/image_snapshot.h"
#include "metadata/record_types.h"
#include "raft/host/snapshot_format.h"
#include "raft/host/snapshot_reader.h"
#include "tools/millrace/output.h"

namespace millrace::tools {
namespace {

class Printer {
 public:
  explicit Printer(const DumpOptions& options) : options_(options) {}

  void PrintHead(const std::string& path, uint64_t size, const raft::SnapshotParser& parser) const {
    Json line = {{"snapshot", path}, {"bytes", size}};
    if (parser.has_head()) {
      const raft::SnapshotHead& head = parser.head();
      line["last_term"] = head.last.term.value();
      line["last_index"] = head.last.index.value();
      line["body_bytes"] = head.body_bytes;
      line["voters_term"] = head.voters.id.term.value();
      line["voters_index"] = head.voters.id.index.value();
    }
    if (parser.complete()) {
      line["checksum"] = absl::StrFormat("%08x", parser.checksum());
    } else {
      line["verified_bytes"] = parser.verified_bytes();
      if (parser.has_head()) line["complete_bytes"] = parser.head().FileBytes();
    }
    Print("", line);
    if (!parser.has_head()) return;
    for (const raft::Voter& voter : parser.head().voters.voters) {
      Print("  ", {{"voter", voter.id.node.value()},
                   {"directory", voter.id.directory.ToString()},
                   {"address", voter.address},
                   {"learner", voter.learner}});
    }
  }

  void PrintBody(Slice body) const {
    const absl::StatusOr<metadata::Image> image = metadata::DecodeImageSnapshot(body);
    if (!image.ok()) {
      Print("  ", {{"undecodable", std::string(image.status().message())}});
      return;
    }
    Print("  ", {{"image_index", image->index().value()},
                 {"cluster_id", image->cluster_id().ToString()},
                 {"feature_level", image->feature_level()},
                 {"next_producer_id", image->next_producer_id().value()},
                 {"brokers", image->broker_count()},
                 {"topics", image->topic_count()},
                 {"partitions", PartitionCount(*image)}});
    if (options_.records) PrintFacts(*image);
  }

  void PrintUnfinished(const std::string& path, uint64_t size) const {
    Print("", {{"unfinished", path}, {"bytes", size}});
  }

 private:
  static size_t PartitionCount(const metadata::Image& image) {
    size_t count = 0;
    image.ForEachTopic(
        [&](const metadata::TopicImage& topic) { count += topic.partitions.size(); });
    return count;
  }

  // What the image holds, as the records that would make it.
  void PrintFacts(const metadata::Image& image) const {
    image.ForEachBroker([&](const metadata::BrokerImage& broker) {
      metadata::records::BrokerChangeRecord state;
      state.set_broker_id(broker.id.value());
      state.set_broker_epoch(broker.epoch.value());
      state.set_state(metadata::StateToRecord(broker.state));
      PrintFact(metadata::kBrokerRegistration, metadata::RegistrationRecordOf(broker));
      PrintFact(metadata::kBrokerChange, state);
      if (!broker.cordoned) return;
      metadata::records::BrokerCordonRecord cordon;
      cordon.set_broker_id(broker.id.value());
      cordon.set_cordoned(true);
      PrintFact(metadata::kBrokerCordon, cordon);
    });
    image.ForEachTopic([&](const metadata::TopicImage& topic) {
      metadata::records::TopicRecord record;
      record.set_topic_id(topic.id.ToBytes());
      record.set_name(topic.name);
      PrintFact(metadata::kTopic, record);
      topic.ForEachPartition([&](PartitionIndex index, const metadata::PartitionImage& partition) {
        PrintFact(metadata::kPartition, metadata::PartitionRecordOf({topic.id, index}, partition));
      });
    });
    image.ForEachConfig([&](const metadata::ConfigOwner& owner, const ConfigValues& values) {
      for (const auto& [key, value] : values) {
        PrintFact(metadata::kConfig, metadata::ConfigRecordOf(owner, key, &value));
      }
    });
    image.completed_requests().ForEachClient(
        [&](metadata::RequestClientId client, const metadata::RequestClient& known) {
          known.requests.ForEach([&](int64_t sequence, const metadata::CompletedRequest& request) {
            PrintFact(metadata::kCompletedRequest,
                      metadata::CompletedRequestRecordOf({client, sequence}, request));
          });
        });
  }

  template <class Message>
  void PrintFact(rsm::RecordType type, const Message& message) const {
    Print("    ", {{"fact", std::string(metadata::RecordTypeName(type))},
                   {"value", message.ShortDebugString()}});
  }

  void Print(absl::string_view indent, const Json& line) const {
    if (options_.json) {
      PrintOut(line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
      return;
    }
    std::string text;
    for (const auto& [name, value] : line.items()) {
      absl::StrAppend(&text, text.empty() ? "" : "  ", name, ": ",
                      value.is_string() ? value.get<std::string>() : value.dump());
    }
    PrintOut(absl::StrCat(indent, text, "\n"));
  }

  const DumpOptions& options_;
};

}  // namespace

absl::Status DumpSnapshotFile(FileSystem& files, const std::string& path,
                              const DumpOptions& options) {
  ASSIGN_OR_RETURN(const std::unique_ptr<File> file, files.Open(path, OpenMode::kRead));
  ASSIGN_OR_RETURN(const uint64_t size, file->Size());
  std::string body;
  raft::SnapshotParser parser(&body);
  absl::Status status = raft::ParseSnapshotFile(*file, &parser);
  const bool is_received = absl::EndsWith(path, raft::kReceivedSnapshotSuffix);
  if (status.ok() && !is_received) status = parser.CheckComplete();
  const Printer printer(options);
  printer.PrintHead(path, size, parser);
  if (parser.complete() && status.ok()) printer.PrintBody(body);
  return raft::NameSnapshotFile(status, path);
}

absl::Status DumpSnapshots(FileSystem& files, const std::string& directory,
                           const DumpOptions& options) {
  ASSIGN_OR_RETURN(const std::vector<DirectoryEntry> entries, files.ListDirectory(directory));
  absl::Status first_error;
  for (const DirectoryEntry& entry : entries) {
    const std::string path = JoinPath(directory, entry.name);
    if (raft::IsSnapshotPath(entry.name)) {
      first_error.Update(DumpSnapshotFile(files, path, options));
    } else if (entry.name == raft::kUnfinishedSnapshotName) {
      Printer(options).PrintUnfinished(path, entry.size_bytes);
    }
  }
  return first_error;
}

}  // namespace millrace::tools

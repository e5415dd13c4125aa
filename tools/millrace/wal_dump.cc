#include "tools/millrace/wal_dump.h"

#include <variant>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "metadata/record_types.h"
#include "raft/host/wal_reader.h"
#include "raft/types.h"
#include "rsm/entry_codec.h"
#include "tools/millrace/output.h"

namespace millrace::tools {
namespace {

class Printer final : public raft::WalVisitor {
 public:
  explicit Printer(const DumpOptions& options) : options_(options) {}

  void OnSegment(const std::string& path, uint64_t generation, uint64_t size_bytes) override {
    path_ = path;
    Print("", {{"segment", path}, {"generation", generation}, {"bytes", size_bytes}});
  }

  void OnGroup(const raft::WalGroup& group, bool behind_damage) override {
    Json line = {{"group", group.header.number},
                 {"offset", group.offset},
                 {"durable_through", group.header.durable_through},
                 {"records", group.records.size()}};
    if (behind_damage) line["behind_damage"] = true;
    Print("  ", line);
  }

  void OnRecord(const raft::WalRecord& record, uint64_t offset) override {
    Print("    ", {{"record", std::string(raft::WalRecordTypeName(record.type))},
                   {"offset", offset},
                   {"term", record.term.value()},
                   {"index", record.index.value()},
                   {"payload_bytes", record.payload.size()}});
    if (record.type == raft::WalRecordType::kEntry &&
        record.entry_type == static_cast<uint8_t>(raft::EntryType::kPayload)) {
      PrintFacts(record.payload);
    }
  }

  void OnTail(const raft::WalScan& scan) override {
    Json line = {{"tail", std::string(raft::WalTailName(scan.tail))}, {"offset", scan.tail_offset}};
    if (!scan.reason.empty()) line["reason"] = scan.reason;
    Print("  ", line);
    if (scan.tail == raft::WalTail::kDamaged) {
      damage_.Update(MakeError(
          ErrorCode::kCorruptLog,
          absl::StrCat(path_, ": damaged at position ", scan.tail_offset, ": ", scan.reason),
          {.name = path_}));
    }
  }

  absl::Status damage() const { return damage_; }

 private:
  // The metadata records of an entry, each in the text form of its message.
  void PrintFacts(Slice payload) {
    const absl::StatusOr<std::vector<rsm::Record>> records = rsm::DecodeEntry(Bytes::Copy(payload));
    if (!records.ok()) {
      Print("      ", {{"undecodable", std::string(records.status().message())}});
      return;
    }
    for (const rsm::Record& record : *records) {
      const absl::StatusOr<metadata::AnyRecord> fact = metadata::Decode(record);
      Json line = {{"fact", std::string(metadata::RecordTypeName(record.type))},
                   {"version", record.version}};
      if (fact.ok()) {
        std::visit([&](const auto& message) { line["value"] = message.ShortDebugString(); }, *fact);
      } else {
        line["undecodable"] = std::string(fact.status().message());
      }
      Print("      ", line);
    }
  }

  void Print(absl::string_view indent, const Json& line) {
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
  std::string path_;
  absl::Status damage_;
};

}  // namespace

absl::Status DumpWal(FileSystem& files, const std::string& directory, const DumpOptions& options) {
  Printer printer(options);
  RETURN_IF_ERROR(raft::VisitWal(files, directory, &printer));
  return printer.damage();
}

}  // namespace millrace::tools

// History: what clients were told about the records they sent, and whether what they read
// afterwards can be true.
//
// Every record is unique: its value names it, and with it its length and key. For each partition it
// keeps the fate of every record and which offsets are taken: an offset that was acknowledged, or
// read by anybody, holds that record for ever. A read is checked record by record; the final read
// of a whole partition also shows what is missing, out of order or there twice.
//
// Thread: the simulation's one (or a test's).
#ifndef TEST_SIM_HISTORY_H_
#define TEST_SIM_HISTORY_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "base/ids.h"

namespace millrace::sim {

// One record as it was read.
struct ReadRecord {
  Offset offset;
  std::string value;
  std::optional<std::string> key;
  LeaderEpoch leader_epoch = kNoLeaderEpoch;
};

class History {
 public:
  // Records of one lane are in the log in the order they were sent, without holes (S-23): one
  // stream's for one partition between two restarts. Lane 0: none of that is promised.
  using Lane = int64_t;

  // A record is on its way; returns its number. Its value and key follow from that.
  int64_t OnSent(const TopicPartition& partition, Lane lane, size_t filling,
                 int64_t timestamp_ms = 0);
  std::string ValueOf(int64_t number) const;
  std::optional<std::string> KeyOf(int64_t number) const;

  // It was acknowledged. Errors (a violation): the offset holds another record, or this one is at
  // another offset.
  absl::Status OnAcknowledged(int64_t number, Offset offset);
  // It was refused for sure: it must never be seen.
  void OnRefused(int64_t number);
  // Records below `start` may be gone; with `done` they must be, also after a restart.
  void OnDeletedBefore(const TopicPartition& partition, Offset start, bool done);
  // Whoever leads now may not have heard of what was deleted.
  void OnDeletionsMayBeUndone(const TopicPartition& partition) {
    partitions_[partition].start_min = Offset(0);
  }
  // Records from here on are there; those before may be gone.
  Offset deleted_before(const TopicPartition& partition) {
    return partitions_[partition].start_max;
  }
  // Retention may take records from the front.
  void OnMayBeTrimmed(const TopicPartition& partition);
  // A topic that promises the page cache only lost power.
  void OnMayHaveLost(const TopicPartition& partition);
  // Bits of it were flipped on disk: it may refuse, lose and stop, but not lie about a record.
  void OnDamaged(const TopicPartition& partition);
  bool damaged(const TopicPartition& partition) { return partitions_[partition].damaged; }

  // Who was elected in `epoch` may lack what was acknowledged (S-32): of what was written in
  // earlier epochs only `kept` is promised any more, the records that the leader has on its disk;
  // what later ones write is promised as ever.
  void OnElectedWithoutProof(const TopicPartition& partition, LeaderEpoch epoch,
                             const std::vector<ReadRecord>& kept);
  // In which epoch a record at an offset was written, if it is on any disk; kNoLeaderEpoch else.
  // Asked when one is acknowledged after such an election: it may be a deposed leader that says so.
  using WrittenIn = std::function<LeaderEpoch(const TopicPartition&, Offset, int64_t number)>;
  void SetWrittenIn(WrittenIn written_in) { written_in_ = std::move(written_in); }
  // An idempotent producer may find that what it follows on is gone.
  bool may_have_lost(const TopicPartition& partition) {
    const Partition& known = partitions_[partition];
    return known.damaged || known.elected_in != kNoLeaderEpoch;
  }
  // Acknowledged or read, and given up by an election, before or after.
  size_t given_up(const TopicPartition& partition) {
    return partitions_[partition].given_up.size();
  }

  // The high watermark that a client must see, at least, in an answer to a call made now.
  Offset high_watermark_floor(const TopicPartition& partition) {
    return partitions_[partition].high_watermark;
  }
  // An answer says `high_watermark`, which must be seen from then on; `floor` is what the function
  // above said when it was asked.
  absl::Status OnHighWatermark(const TopicPartition& partition, Offset floor,
                               Offset high_watermark);

  // The first record from this time on of those that are known to be there, below what clients were
  // told to be the high watermark; kNoOffset: none is.
  Offset FirstSince(const TopicPartition& partition, int64_t timestamp_ms);

  // One record that was read. Errors: it was never sent there, was refused, is not as it was sent,
  // or the offset is taken by another record.
  absl::Status CheckRead(const TopicPartition& partition, const ReadRecord& record);
  // All records of a partition from `start`, in order. Errors: as CheckRead; a record that is
  // missing, that is there twice, or out of its lane's order; a gap in offsets; falling epochs.
  absl::Status CheckWhole(const TopicPartition& partition, Offset start,
                          const std::vector<ReadRecord>& records);

  int64_t acknowledged() const { return acknowledged_; }

 private:
  enum class Fate : uint8_t { kUnknown, kTaken, kRefused };
  struct Sent {
    TopicPartition partition;
    Lane lane = 0;
    uint32_t filling = 0;
    int64_t timestamp_ms = 0;
    Fate fate = Fate::kUnknown;
    Offset offset = kNoOffset;
  };
  struct Partition {
    // Offsets whose record is known.
    std::map<Offset, int64_t> taken;
    std::map<Lane, std::vector<int64_t>> lanes;
    // Nothing below the first must be there, nothing below the second may be.
    Offset start_max;
    Offset start_min;
    Offset high_watermark;
    bool trimmed = false;
    bool damaged = false;
    // Of the last election without proof; kNoLeaderEpoch: there was none.
    LeaderEpoch elected_in = kNoLeaderEpoch;
    std::map<Offset, int64_t> kept;
    // What was acknowledged, or read, and is not promised any more.
    std::set<int64_t> given_up;
  };

  // Whether no election has given it up.
  static bool IsPromised(const Partition& known, int64_t number, Offset offset,
                         LeaderEpoch written);
  absl::Status Take(int64_t number, Offset offset);
  absl::Status CheckStart(const TopicPartition& partition, const Partition& known,
                          Offset start) const;
  absl::Status CheckLanes(const TopicPartition& partition, const Partition& known, Offset start,
                          const std::vector<bool>& present) const;

  std::map<TopicPartition, Partition> partitions_;
  std::vector<Sent> sent_;
  WrittenIn written_in_;
  int64_t acknowledged_ = 0;
};

}  // namespace millrace::sim

#endif  // TEST_SIM_HISTORY_H_

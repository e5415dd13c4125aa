// Log: the entries since the last snapshot, in memory, and which of them are durable.
//
// The core never reads a disk: all that a leader may have to send is here, or in a snapshot. The
// log is contiguous from start() (the entry before the first one held) to last(). It does no I/O:
// what must be written leaves by TakeUnpersisted, and the host says when it is durable.
//
// What is on its way to the disk is remembered by Ready, and a truncation cuts that memory too: an
// entry that was overwritten while its write was under way never becomes durable by the word that
// was meant for its predecessor (S-10).
//
// Thread: owner's executor.
// Source: Raft paper 5.3 (log matching), 7 (compaction); S-10.
#ifndef RAFT_LOG_H_
#define RAFT_LOG_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "base/ids.h"
#include "raft/types.h"

namespace millrace::raft {

// Numbers the core's outputs, from 1, without a gap.
using ReadySeq = StrongId<struct ReadySeqTag, uint64_t>;

class Log {
 public:
  // `entries` follow `start` without a gap and are durable.
  Log(EntryId start, std::vector<Entry> entries);

  EntryId start() const { return start_; }
  EntryId last() const;
  // Everything through here is durable, in the form that it has now.
  LogIndex stable() const { return stable_; }

  // Empty below start() and above last().
  std::optional<Term> TermAt(LogIndex index) const;
  bool Has(const EntryId& id) const { return TermAt(id.index) == id.term; }
  // The last entry with an index <= `index` and a term <= `term`, or start(): where two logs may
  // meet, whatever happened above (paper 5.3, the last paragraphs).
  EntryId LastAtOrBelow(LogIndex index, Term term) const;

  // REQUIRES: start() < index <= last().
  const Entry& At(LogIndex index) const;
  // From `from` on, until `bytes_max` are reached, at least one if there is one.
  std::vector<Entry> Slice(LogIndex from, uint64_t bytes_max) const;

  // REQUIRES: entry.index is last() + 1, its term not below last()'s.
  void Append(Entry entry);
  // Drops `from` and all after it. REQUIRES: start() < from.
  void TruncateFrom(LogIndex from);
  // Forgets the entries through `to`, which a snapshot holds. REQUIRES: `to` is here and durable.
  void CompactTo(LogIndex to);
  // Everything is replaced by a snapshot that ends with `start`; it becomes durable as the entries
  // do, with the Ready that carries it.
  void Restart(EntryId start);

  // The entries that no Ready has carried yet. The first may overwrite.
  std::vector<Entry> TakeUnpersisted(ReadySeq seq);
  bool has_unpersisted() const { return next_to_persist_ <= last().index; }
  // Everything that Readys up to `seq` carried is on the disk.
  void Persisted(ReadySeq seq);

  // Of the entries in memory, with an allowance for what each costs beside its payload.
  uint64_t bytes() const { return BytesAfter(start_.index); }
  // Of the entries above `index`; start() or higher.
  uint64_t BytesAfter(LogIndex index) const;
  static uint64_t CostOf(const Entry& entry) { return entry.payload.size() + kEntryOverhead; }

 private:
  static constexpr uint64_t kEntryOverhead = 64;

  struct Slot {
    Entry entry;
    // Cost of all entries from the beginning of counting through this one.
    uint64_t end_bytes = 0;
  };
  struct OnItsWay {
    ReadySeq seq;
    // The Ready makes everything through here durable.
    LogIndex through;
  };

  size_t Position(LogIndex index) const;

  EntryId start_;
  uint64_t start_bytes_ = 0;
  std::deque<Slot> slots_;
  LogIndex stable_;
  LogIndex next_to_persist_;
  std::deque<OnItsWay> on_its_way_;
};

}  // namespace millrace::raft

#endif  // RAFT_LOG_H_

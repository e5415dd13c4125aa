#include "raft/log.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/mutant.h"

namespace millrace::raft {

Log::Log(EntryId start, std::vector<Entry> entries)
    : start_(start), stable_(start.index), next_to_persist_(start.index + 1) {
  for (Entry& entry : entries) Append(std::move(entry));
  stable_ = last().index;
  next_to_persist_ = stable_ + 1;
}

EntryId Log::last() const { return slots_.empty() ? start_ : slots_.back().entry.id(); }

size_t Log::Position(LogIndex index) const {
  CHECK_GT(index, start_.index);
  CHECK_LE(index, last().index);
  return static_cast<size_t>(index - start_.index - 1);
}

std::optional<Term> Log::TermAt(LogIndex index) const {
  if (index == start_.index) return start_.term;
  if (index < start_.index || index > last().index) return std::nullopt;
  return At(index).term;
}

const Entry& Log::At(LogIndex index) const { return slots_[Position(index)].entry; }

EntryId Log::LastAtOrBelow(LogIndex index, Term term) const {
  if (index <= start_.index || slots_.empty()) return start_;
  const size_t count = Position(std::min(index, last().index)) + 1;
  // Terms never fall along a log, so those that are low enough are a prefix of it.
  const auto end = slots_.begin() + static_cast<std::ptrdiff_t>(count);
  const auto above = std::upper_bound(slots_.begin(), end, term,
                                      [](Term t, const Slot& slot) { return t < slot.entry.term; });
  return above == slots_.begin() ? start_ : std::prev(above)->entry.id();
}

std::vector<Entry> Log::Slice(LogIndex from, uint64_t bytes_max) const {
  std::vector<Entry> out;
  if (from > last().index) return out;
  uint64_t bytes = 0;
  for (size_t i = Position(from); i < slots_.size(); ++i) {
    bytes += CostOf(slots_[i].entry);
    if (!out.empty() && bytes > bytes_max) break;
    out.push_back(slots_[i].entry);
  }
  return out;
}

void Log::Append(Entry entry) {
  CHECK_EQ(entry.index, last().index + 1);
  CHECK_GE(entry.term, last().term);
  const uint64_t before = slots_.empty() ? start_bytes_ : slots_.back().end_bytes;
  const uint64_t end_bytes = before + CostOf(entry);
  slots_.push_back(Slot{std::move(entry), end_bytes});
}

void Log::TruncateFrom(LogIndex from) {
  slots_.resize(Position(from));
  next_to_persist_ = std::min(next_to_persist_, from);
  if (MUTANT("raft.persisted-ignores-truncation")) return;
  stable_ = std::min(stable_, from - 1);
  for (OnItsWay& write : on_its_way_) write.through = std::min(write.through, from - 1);
}

void Log::CompactTo(LogIndex to) {
  if (to <= start_.index) return;
  CHECK_LE(to, stable_);
  const size_t count = Position(to) + 1;
  start_ = slots_[count - 1].entry.id();
  start_bytes_ = slots_[count - 1].end_bytes;
  slots_.erase(slots_.begin(), slots_.begin() + static_cast<std::ptrdiff_t>(count));
}

void Log::Restart(EntryId start) {
  start_ = start;
  slots_.clear();
  next_to_persist_ = start.index + 1;
  // Nothing of the new log is durable, and what is on its way was the old one's.
  stable_ = LogIndex();
  for (OnItsWay& write : on_its_way_) write.through = LogIndex();
}

std::vector<Entry> Log::TakeUnpersisted(ReadySeq seq) {
  std::vector<Entry> out;
  for (LogIndex i = next_to_persist_; i <= last().index; ++i) out.push_back(At(i));
  next_to_persist_ = last().index + 1;
  on_its_way_.push_back(OnItsWay{seq, last().index});
  return out;
}

void Log::Persisted(ReadySeq seq) {
  while (!on_its_way_.empty() && on_its_way_.front().seq <= seq) {
    stable_ = std::max(stable_, std::min(on_its_way_.front().through, last().index));
    on_its_way_.pop_front();
  }
}

uint64_t Log::BytesAfter(LogIndex index) const {
  if (slots_.empty() || index >= last().index) return 0;
  const uint64_t before = index <= start_.index ? start_bytes_ : slots_[Position(index)].end_bytes;
  return slots_.back().end_bytes - before;
}

}  // namespace millrace::raft

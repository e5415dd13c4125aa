#include "broker/fetch_memory.h"

#include <algorithm>
#include <utility>

namespace millrace::broker {

FetchMemory::Share::Share(Reservation reservation, std::shared_ptr<FetchReader> reader,
                          std::shared_ptr<FetchMemory> beyond)
    : reservation_(std::move(reservation)), reader_(std::move(reader)), beyond_(std::move(beyond)) {
  reader_->shares_.fetch_add(1, std::memory_order_relaxed);
}

// The bytes last: who is woken by them may need the rest.
FetchMemory::Share::~Share() {
  reader_->shares_.fetch_sub(1, std::memory_order_relaxed);
  if (beyond_ != nullptr) beyond_->beyond_out_.store(false, std::memory_order_release);
}

void FetchMemory::Share::ShrinkTo(int64_t bytes) {
  if (bytes < reservation_.bytes()) reservation_.Split(reservation_.bytes() - bytes).Release();
}

void FetchMemory::Share::GiveTo(std::shared_ptr<FetchReader> reader) {
  reader->shares_.fetch_add(1, std::memory_order_relaxed);
  reader_->shares_.fetch_sub(1, std::memory_order_relaxed);
  reader_ = std::move(reader);
  if (beyond_ == nullptr) return;
  const std::shared_ptr<FetchMemory> memory = std::exchange(beyond_, nullptr);
  memory->beyond_out_.store(false, std::memory_order_release);
  memory->OnRelease();
}

void FetchMemory::Strand::Want() {
  wanted_.store(true, std::memory_order_relaxed);
  // Pairs with the fence in OnRelease: either that sees the wish, or the next look sees the room.
  std::atomic_thread_fence(std::memory_order_seq_cst);
}

std::shared_ptr<FetchMemory> FetchMemory::Create(MemoryBudget* budget) {
  std::shared_ptr<FetchMemory> memory(new FetchMemory(budget));
  budget->SetOnRelease([memory] { memory->OnRelease(); });
  return memory;
}

std::shared_ptr<FetchMemory::Strand> FetchMemory::AddStrand(Executor* executor,
                                                            std::function<void()> wake) {
  strands_.push_back(std::make_shared<Strand>(executor, std::move(wake)));
  return strands_.back();
}

int64_t FetchMemory::DiskReadBytesMax(int reads) const {
  const auto strands = std::max<int64_t>(1, static_cast<int64_t>(strands_.size()));
  return std::max<int64_t>(1, budget_->limit_bytes() / 4 / strands / reads);
}

std::unique_ptr<FetchMemory::Share> FetchMemory::TryTake(int64_t bytes,
                                                         std::shared_ptr<FetchReader> reader) {
  Reservation reservation;
  if (!budget_->TryReserve(bytes, &reservation, budget_->limit_bytes() / 4)) return nullptr;
  return std::make_unique<Share>(std::move(reservation), std::move(reader), nullptr);
}

std::unique_ptr<FetchMemory::Share> FetchMemory::TryTakeFirst(int64_t bytes,
                                                              std::shared_ptr<FetchReader> reader) {
  if (!reader->is_owed_nothing()) return nullptr;
  Reservation reservation;
  if (budget_->TryReserve(bytes, &reservation)) {
    return std::make_unique<Share>(std::move(reservation), std::move(reader), nullptr);
  }
  if (beyond_out_.exchange(true, std::memory_order_acquire)) return nullptr;
  return std::make_unique<Share>(budget_->ReserveAlways(bytes), std::move(reader),
                                 shared_from_this());
}

void FetchMemory::OnRelease() {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  for (const std::shared_ptr<Strand>& strand : strands_) {
    // A look before the exchange: nearly always nobody waits.
    if (!strand->wanted_.load(std::memory_order_relaxed)) continue;
    if (!strand->wanted_.exchange(false, std::memory_order_acq_rel)) continue;
    strand->executor_->Post([strand] { strand->wake_(); });
  }
}

Bytes WithShare(Bytes bytes, std::unique_ptr<FetchMemory::Share> share) {
  struct Held {
    // Destroyed last: the memory is free when others hear of its bytes.
    std::unique_ptr<FetchMemory::Share> share;
    Bytes bytes;
  };
  auto held = std::make_shared<const Held>(Held{std::move(share), std::move(bytes)});
  const Slice view = held->bytes;
  return Bytes::Share(view, std::move(held));
}

}  // namespace millrace::broker

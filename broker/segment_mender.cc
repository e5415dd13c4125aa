#include "broker/segment_mender.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "metadata/image.h"
#include "storage/segment_repair.h"

namespace millrace::broker {
namespace {

using storage::SegmentRepair;

// Copied at a time: the pool has other readers.
constexpr uint64_t kCopyBytes = 8 << 20;
constexpr size_t kAskBytes = 1 << 20;
constexpr absl::Duration kAnswerMax = absl::Seconds(10);

struct Source {
  NodeId broker = kNoNode;
  std::string address;
};

// Who may have what is missing, in the order in which they are asked. Sets *all if that are all who
// hold the partition but `self`.
std::vector<Source> SourcesOf(const metadata::Image& image,
                              const metadata::PartitionImage& partition, const MenderDeps& deps,
                              bool* all) {
  std::vector<NodeId> order = {partition.leader};
  const auto add = [&](NodeId broker) {
    if (std::count(order.begin(), order.end(), broker) == 0) order.push_back(broker);
  };
  for (const NodeId broker : partition.isr) add(broker);
  for (const metadata::ReplicaImage& replica : partition.replicas) add(replica.broker);
  *all = true;
  std::vector<Source> sources;
  for (const NodeId id : order) {
    if (id == deps.self || id == kNoNode) continue;
    const metadata::BrokerImage* const broker = image.FindBroker(id);
    const metadata::Listener* const listener =
        broker == nullptr ? nullptr : broker->ListenerFor(deps.listener);
    if (listener == nullptr || broker->state == metadata::BrokerState::kFenced ||
        deps.channel == nullptr) {
      *all = false;
      continue;
    }
    sources.push_back({id, listener->address()});
  }
  return sources;
}

// Whether the same question would have the same answer later.
bool IsFinal(const absl::Status& status) {
  switch (CodeOf(status)) {
    case ErrorCode::kCorruptLog:
    case ErrorCode::kCorruptMessage:
    case ErrorCode::kOffsetOutOfRange:
      return true;
    default:
      return false;
  }
}

class Run : public std::enable_shared_from_this<Run> {
 public:
  Run(const std::shared_ptr<Shard>& shard, const MenderDeps& deps,
      const TopicPartition& topic_partition, absl::AnyInvocable<void(const MendOutcome&) &&> done)
      : shard_(shard),
        executor_(shard->executor()),
        deps_(deps),
        topic_partition_(topic_partition),
        done_(std::move(done)) {}

  void Start(Offset at) {
    const std::shared_ptr<Shard> shard = shard_.lock();
    absl::StatusOr<Replica*> replica = shard->Find(topic_partition_);
    if (!replica.ok()) return EndSoon(MendOutcome::Kind::kVoid, replica.status());
    cold_reads_ = (*replica)->log().cold_reads();
    absl::StatusOr<std::shared_ptr<SegmentRepair>> repair =
        (*replica)->log().BeginRepair(at, shard->clock().WallNow());
    if (!repair.ok()) {
      const bool later = CodeOf(repair.status()) == ErrorCode::kOffsetNotAvailable;
      return EndSoon(later ? MendOutcome::Kind::kLater : MendOutcome::Kind::kVoid, repair.status());
    }
    repair_ = *std::move(repair);
    Copy();
  }

 private:
  // Never from inside of MendSegment.
  void EndSoon(MendOutcome::Kind kind, const absl::Status& why) {
    executor_->Post([self = shared_from_this(), kind, why] { self->End(kind, why); });
  }
  void End(MendOutcome::Kind kind, const absl::Status& why) {
    if (shard_.expired()) return;
    outcome_.kind = kind;
    outcome_.why = why;
    std::move(done_)(outcome_);
  }
  // The same, and the copy goes.
  void GiveUp(MendOutcome::Kind kind, const absl::Status& why) {
    cold_reads_->Post([self = shared_from_this(), kind, why] {
      self->repair_->Abandon();
      self->EndSoon(kind, why);
    });
  }

  void Copy() {
    OnPool([](SegmentRepair& repair) { return repair.Continue(kCopyBytes); });
  }

  template <class Step>
  void OnPool(Step step) {
    cold_reads_->Post([self = shared_from_this(), step = std::move(step)] {
      absl::StatusOr<SegmentRepair::Step> result = step(*self->repair_);
      self->executor_->Post(
          [self, result = std::move(result)]() mutable { self->OnStep(std::move(result)); });
    });
  }

  void OnStep(const absl::StatusOr<SegmentRepair::Step>& step) {
    if (!step.ok()) {
      switch (CodeOf(step.status())) {
        case ErrorCode::kCorruptMessage:
          return NextSource(step.status());
        case ErrorCode::kOffsetNotAvailable:
          return GiveUp(MendOutcome::Kind::kVoid, step.status());
        default:
          return GiveUp(MendOutcome::Kind::kLater, step.status());
      }
    }
    switch (*step) {
      case SegmentRepair::Step::kMore:
        asked_of_.clear();
        return Copy();
      case SegmentRepair::Step::kHole:
        return Ask();
      case SegmentRepair::Step::kWhole:
        return PutInPlace();
    }
  }

  // --- What is missing ---

  void Ask() {
    const std::shared_ptr<Shard> shard = shard_.lock();
    if (shard == nullptr) return;
    const std::shared_ptr<const metadata::Image>& image = shard->image();
    const metadata::PartitionImage* const partition =
        image == nullptr ? nullptr : image->FindPartition(topic_partition_);
    if (partition == nullptr) return GiveUp(MendOutcome::Kind::kVoid, repair_->damage());
    if (MayCut(*shard)) return Cut();
    bool all = false;
    const std::vector<Source> sources = SourcesOf(*image, *partition, deps_, &all);
    for (const Source& source : sources) {
      if (std::count(asked_of_.begin(), asked_of_.end(), source.broker) == 0) return AskOf(source);
    }
    const bool nobody = all && !may_answer_later_;
    GiveUp(nobody ? MendOutcome::Kind::kNobodyHasIt : MendOutcome::Kind::kLater,
           refusal_.ok() ? repair_->damage() : refusal_);
  }

  void AskOf(const Source& source) {
    RangeQuery query;
    query.cluster_id = deps_.cluster_id;
    query.broker = deps_.self;
    query.topic_partition = topic_partition_;
    query.from = repair_->wanted_from();
    query.to = repair_->hole_to();
    query.bytes_max = kAskBytes;
    source_ = source.broker;
    deps_.channel->ReadRange(source.address, query, kAnswerMax, executor_,
                             [self = shared_from_this()](absl::StatusOr<Bytes> batches) {
                               if (!batches.ok()) return self->NextSource(batches.status());
                               if (batches->empty()) {
                                 return self->NextSource(MakeError(ErrorCode::kOffsetNotAvailable,
                                                                   "the answer has no batch"));
                               }
                               self->outcome_.source = self->source_;
                               self->OnPool([batches = *std::move(batches)](SegmentRepair& repair) {
                                 return repair.Fill(batches);
                               });
                             });
  }

  // The one asked last has not got it.
  void NextSource(const absl::Status& why) {
    asked_of_.push_back(source_);
    may_answer_later_ |= !IsFinal(why);
    refusal_ =
        MakeError(CodeOf(why), absl::StrCat("broker ", source_.value(), ": ", why.message()));
    Ask();
  }

  // --- What is not committed ---

  bool MayCut(Shard& shard) const {
    // A cut reads the segment up to there: damage before it that only the copy has mended comes
    // first, in an attempt of its own.
    if (repair_->filled_ranges() > 0) return false;
    const absl::StatusOr<Replica*> replica = shard.Find(topic_partition_);
    return replica.ok() && (*replica)->MayCutDamaged(repair_->hole_began());
  }

  void Cut() {
    cold_reads_->Post([self = shared_from_this()] {
      self->repair_->Abandon();
      self->executor_->Post([self] { self->CutNow(); });
    });
  }

  void CutNow() {
    const std::shared_ptr<Shard> shard = shard_.lock();
    if (shard == nullptr) return;
    const Offset at = repair_->hole_began();
    if (!shard->CutDamaged(topic_partition_, at)) {
      return End(MendOutcome::Kind::kLater, repair_->damage());
    }
    End(MendOutcome::Kind::kVoid,
        MakeError(ErrorCode::kCorruptLog,
                  absl::StrCat("the log was cut at offset ", at.value(),
                               ", beyond what is committed, to be had from the leader again: ",
                               repair_->damage().message())));
  }

  // --- The end ---

  void PutInPlace() {
    outcome_.ranges = repair_->filled_ranges();
    outcome_.bytes = repair_->filled_bytes();
    if (outcome_.ranges == 0) return GiveUp(MendOutcome::Kind::kWhole, absl::OkStatus());
    const std::shared_ptr<Shard> shard = shard_.lock();
    if (shard == nullptr) return;
    absl::StatusOr<Replica*> replica = shard->Find(topic_partition_);
    if (!replica.ok()) return GiveUp(MendOutcome::Kind::kVoid, replica.status());
    (*replica)->log().FinishRepair(repair_,
                                   [self = shared_from_this()](const absl::Status& status) {
                                     if (!status.ok())
                                       return self->GiveUp(MendOutcome::Kind::kVoid, status);
                                     self->EndSoon(MendOutcome::Kind::kWhole, absl::OkStatus());
                                   });
  }

  const std::weak_ptr<Shard> shard_;
  Executor* const executor_;
  const MenderDeps deps_;
  const TopicPartition topic_partition_;
  absl::AnyInvocable<void(const MendOutcome&) &&> done_;
  // Of the log's directory.
  Executor* cold_reads_ = nullptr;
  // On that, or else here: one at a time.
  std::shared_ptr<SegmentRepair> repair_;
  // Those who have not got the present hole, and who was asked last.
  std::vector<NodeId> asked_of_;
  NodeId source_ = kNoNode;
  absl::Status refusal_;
  bool may_answer_later_ = false;
  MendOutcome outcome_;
};

}  // namespace

void MendSegment(const std::shared_ptr<Shard>& shard, const MenderDeps& deps,
                 const TopicPartition& topic_partition, Offset at,
                 absl::AnyInvocable<void(const MendOutcome&) &&> done) {
  std::make_shared<Run>(shard, deps, topic_partition, std::move(done))->Start(at);
}

}  // namespace millrace::broker

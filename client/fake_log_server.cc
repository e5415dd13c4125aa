#include "client/fake_log_server.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/codec/delete_records_codec.h"
#include "api/codec/fetch_codec.h"
#include "api/codec/list_offsets_codec.h"
#include "api/codec/offset_for_leader_epoch_codec.h"
#include "api/codec/produce_codec.h"
#include "api/codec/watch_topics_codec.h"
#include "api/topic_checksum.h"
#include "base/check.h"
#include "base/coding.h"
#include "base/status.h"
#include "record/record_reader.h"
#include "rpc/message.h"
#include "rpc/wakeup.h"

namespace millrace::client {
namespace {

constexpr NodeId kBroker{1};

}  // namespace

class FakeLogServer::ProduceHandler final : public rpc::StreamHandler {
 public:
  ProduceHandler(FakeLogServer* fake, std::shared_ptr<rpc::ServerStream> stream)
      : fake_(fake), stream_(std::move(stream)) {
    fake_->produces_.push_back(this);
  }

  void OnMessage(Bytes message) override {
    held_.push_back(*api::DecodeProduceStreamRequest(message));
    if (!std::exchange(begun_, true) && held_.back().forward) ++fake_->forwarding_streams_;
    Answer();
  }
  void OnHalfClose() override { stream_->Finish(absl::OkStatus()); }
  void OnDone(bool) override {
    auto& all = fake_->produces_;
    all.erase(std::find(all.begin(), all.end(), this));
  }

  void Answer() {
    while (!fake_->hold_ && !held_.empty()) {
      const api::ProduceStreamRequest request = std::move(held_.front());
      held_.pop_front();
      if (fake_->drops_ > 0) {
        --fake_->drops_;
        held_.clear();
        return stream_->Finish(MakeError(ErrorCode::kBrokerNotAvailable, "dropped by the test"));
      }
      api::ProduceStreamResponse response{.request_number = request.request_number};
      for (const api::ProducePartition& partition : request.request.partitions) {
        response.partitions.push_back(ProduceInOrder(partition));
      }
      stream_->Write(api::EncodeProduceStreamResponse(response));
    }
  }

 private:
  // S-23: after a failure nothing is appended until the partition is restarted.
  api::ProducePartitionResult ProduceInOrder(const api::ProducePartition& request) {
    Order& order = orders_[request.name];
    if (order.broken && request.restart <= order.restart) {
      return {.name = request.name, .outcome = {.code = ErrorCode::kStreamOrderBroken}};
    }
    order.restart = request.restart;
    api::ProducePartitionResult result = fake_->Produce(request);
    order.broken = !result.outcome.ok();
    return result;
  }

  struct Order {
    bool broken = false;
    uint32_t restart = 0;
  };
  FakeLogServer* const fake_;
  const std::shared_ptr<rpc::ServerStream> stream_;
  bool begun_ = false;
  std::deque<api::ProduceStreamRequest> held_;
  std::map<api::PartitionName, Order> orders_;
};

class FakeLogServer::FetchHandler final : public rpc::StreamHandler {
 public:
  FetchHandler(FakeLogServer* fake, std::shared_ptr<rpc::ServerStream> stream)
      : fake_(fake), stream_(std::move(stream)) {
    fake_->fetches_.push_back(this);
  }

  void OnMessage(Bytes message) override {
    const api::FetchStreamRequest request = *api::DecodeFetchStreamRequest(message);
    number_ = std::max(number_, request.assignment_number);
    credit_ += request.credit_bytes;
    for (const api::FetchPartition& partition : request.unassign) assigned_.erase(partition.name);
    for (const api::FetchPartition& partition : request.assign) {
      assigned_[partition.name] = {partition.offset, partition.leader_epoch};
    }
    Push();
  }
  void OnHalfClose() override { stream_->Finish(absl::OkStatus()); }
  void OnDone(bool) override {
    auto& all = fake_->fetches_;
    all.erase(std::find(all.begin(), all.end(), this));
  }

  size_t partitions() const { return assigned_.size(); }

  void Break() {
    assigned_.clear();
    stream_->Finish(MakeError(ErrorCode::kBrokerNotAvailable, "broken by the test"));
  }

  void Push() {
    if (fake_->hold_) return;
    for (auto next = assigned_.begin(); next != assigned_.end();) {
      next = PushPartition(next->first, &next->second) ? std::next(next) : assigned_.erase(next);
    }
  }

 private:
  struct Assigned {
    Offset offset;
    std::optional<LeaderEpoch> epoch;
  };

  // False if the partition cannot be read any further.
  bool PushPartition(const api::PartitionName& name, Assigned* assigned) {
    Offset* const offset = &assigned->offset;
    api::FetchPartitionResult result{.name = name};
    const Partition* partition = fake_->Find(name);
    if (partition == nullptr) {
      result.outcome.code = ErrorCode::kUnknownTopicOrPartition;
    } else if (assigned->epoch && *assigned->epoch < partition->epoch) {
      result.outcome.code = ErrorCode::kFencedLeaderEpoch;
    } else if (*offset < partition->start || *offset > partition->end) {
      result.outcome.code = ErrorCode::kOffsetOutOfRange;
    }
    if (!result.outcome.ok()) {
      stream_->Write(api::EncodeFetchStreamResponse(
          {.assignment_number = number_, .partitions = {std::move(result)}}));
      return false;
    }
    for (const Batch& batch : partition->batches) {
      if (batch.next <= *offset) continue;
      if (credit_ <= 0) return true;
      credit_ -= static_cast<int64_t>(batch.bytes.size());
      fake_->bytes_pushed_ += static_cast<int64_t>(batch.bytes.size());
      result.high_watermark = result.last_stable_offset = partition->end;
      result.log_start_offset = partition->start;
      result.batches = {batch.bytes};
      stream_->Write(
          api::EncodeFetchStreamResponse({.assignment_number = number_, .partitions = {result}}));
      *offset = batch.next;
    }
    return true;
  }

  FakeLogServer* const fake_;
  const std::shared_ptr<rpc::ServerStream> stream_;
  std::map<api::PartitionName, Assigned> assigned_;
  int64_t credit_ = 0;
  uint64_t number_ = 0;
};

class FakeLogServer::WatchHandler final : public rpc::StreamHandler {
 public:
  WatchHandler(FakeLogServer* fake, std::shared_ptr<rpc::ServerStream> stream)
      : fake_(fake), stream_(std::move(stream)) {
    fake_->watches_.push_back(this);
  }

  void OnMessage(Bytes message) override {
    if (fake_->watch_refusal_ != ErrorCode::kNone) {
      return stream_->Finish(MakeError(fake_->watch_refusal_, "refused by the test"));
    }
    request_ = api::FromProto(*rpc::ParseMessage<v1::WatchTopicsRequest>(message));
    Push();
  }
  void OnHalfClose() override {}
  void OnDone(bool) override {
    auto& all = fake_->watches_;
    all.erase(std::find(all.begin(), all.end(), this));
  }

  void Push() {
    api::WatchTopicsResponse push;
    push.metadata_index = LogIndex(fake_->metadata_index_);
    push.cluster_id = "fake";
    push.brokers = {{.broker_id = kBroker, .address = fake_->address(), .rack = ""}};
    for (const std::string& name : request_.topics) {
      api::TopicLeaders topic{.topic = name};
      const auto found = fake_->topics_.find(name);
      if (found == fake_->topics_.end()) {
        topic.code = ErrorCode::kUnknownTopicOrPartition;
      } else {
        topic.topic_id = found->second.id;
        for (size_t i = 0; i < found->second.partitions.size(); ++i) {
          topic.partitions.push_back({.partition = PartitionIndex(static_cast<int32_t>(i)),
                                      .leader_id = kBroker,
                                      .leader_epoch = found->second.partitions[i].epoch});
        }
      }
      push.topics.push_back(std::move(topic));
    }
    stream_->Write(rpc::SerializeMessage(api::ToProto(push)));
  }

 private:
  FakeLogServer* const fake_;
  const std::shared_ptr<rpc::ServerStream> stream_;
  api::WatchTopicsRequest request_;
};

FakeLogServer::FakeLogServer(int port)
    : server_({.listeners = {{.name = "FAKE", .host = "127.0.0.1", .port = port}}}, &clock_,
              nullptr, &metrics_) {
  server_.AddService(&service_, v1::LogService::service_full_name());
  rpc::CompletionQueueExecutor* queue = server_.queue(0);
  rpc::RegisterStream(&server_, queue, &service_, &Service::RequestProduceStream,
                      [this](std::shared_ptr<rpc::ServerStream> stream) {
                        return std::make_unique<ProduceHandler>(this, std::move(stream));
                      });
  rpc::RegisterStream(&server_, queue, &service_, &Service::RequestFetchStream,
                      [this](std::shared_ptr<rpc::ServerStream> stream) {
                        return std::make_unique<FetchHandler>(this, std::move(stream));
                      });
  rpc::RegisterServerStream(&server_, queue, &service_, &Service::RequestWatchTopics,
                            [this](std::shared_ptr<rpc::ServerStream> stream) {
                              return std::make_unique<WatchHandler>(this, std::move(stream));
                            });
  rpc::RegisterUnary(
      &server_, queue, &service_, &Service::RequestListOffsets,
      [this](const rpc::CallContext&, v1::ListOffsetsRequest request,
             rpc::Reply<v1::ListOffsetsResponse> reply) { reply(ListOffsets(request)); });
  rpc::RegisterUnary(
      &server_, queue, &service_, &Service::RequestOffsetForLeaderEpoch,
      [this](const rpc::CallContext&, const v1::OffsetForLeaderEpochRequest& request,
             rpc::Reply<v1::OffsetForLeaderEpochResponse> reply) { reply(EpochEnds(request)); });
  rpc::RegisterUnary(
      &server_, queue, &service_, &Service::RequestDeleteRecords,
      [this](const rpc::CallContext&, v1::DeleteRecordsRequest request,
             rpc::Reply<v1::DeleteRecordsResponse> reply) { reply(DeleteRecords(request)); });
  RegisterUnary(&server_, queue, &service_, &Service::RequestInitProducerId,
                [this](const rpc::CallContext&, const v1::InitProducerIdRequest&,
                       rpc::Reply<v1::InitProducerIdResponse> reply) {
                  v1::InitProducerIdResponse response;
                  response.set_producer_id(next_producer_++);
                  reply(std::move(response));
                });
  CHECK_OK(server_.Start());
  server_.SetServing(true);
}

FakeLogServer::~FakeLogServer() {
  server_.Shutdown(absl::ZeroDuration());
  server_.StopQueues();
}

std::string FakeLogServer::address() const { return absl::StrCat("127.0.0.1:", port()); }

void FakeLogServer::Run(std::function<void()> task) {
  rpc::Wakeup done;
  server_.queue(0)->Post([&] {
    task();
    done.Signal();
  });
  CHECK(done.WaitFor(absl::Seconds(20)));
}

FakeLogServer::Partition* FakeLogServer::Find(const api::PartitionName& name) {
  const auto found = topics_.find(name.topic);
  if (found == topics_.end()) return nullptr;
  if (!name.topic_id.is_zero() && name.topic_id != found->second.id) return nullptr;
  auto& partitions = found->second.partitions;
  const auto at = static_cast<size_t>(name.partition.value());
  return at < partitions.size() ? &partitions[at] : nullptr;
}

void FakeLogServer::CreateTopic(const std::string& topic, int partitions, uint64_t number) {
  Run([&] {
    if (number == 0) number = next_topic_++;
    topics_[topic] = {.id = TopicId(Uuid(1, number)),
                      .partitions = std::vector<Partition>(static_cast<size_t>(partitions))};
    PushTopics();
  });
}

void FakeLogServer::DeleteTopic(const std::string& topic) {
  Run([&] {
    topics_.erase(topic);
    PushTopics();
    PushRecords();
  });
}

void FakeLogServer::PushTopics() {
  ++metadata_index_;
  for (WatchHandler* watch : watches_) watch->Push();
}

void FakeLogServer::PushRecords() {
  for (FetchHandler* fetch : fetches_) fetch->Push();
}

void FakeLogServer::RefuseProduce(int count, ErrorCode code) {
  Run([&] {
    refusals_ = count;
    refusal_ = code;
  });
}

void FakeLogServer::RefuseWatches(ErrorCode code) {
  Run([&] { watch_refusal_ = code; });
}

void FakeLogServer::DropProduce(int count) {
  Run([&] { drops_ = count; });
}

void FakeLogServer::Hold(bool hold) {
  Run([&] {
    hold_ = hold;
    for (ProduceHandler* produce : produces_) produce->Answer();
    PushRecords();
  });
}

void FakeLogServer::BreakFetchStreams() {
  Run([&] {
    for (FetchHandler* fetch : fetches_) fetch->Break();
  });
}

void FakeLogServer::DeleteRecordsBefore(const std::string& topic, int partition, int64_t offset) {
  Run([&] {
    Forget(&topics_.at(topic).partitions.at(static_cast<size_t>(partition)), Offset(offset));
  });
}

void FakeLogServer::Forget(Partition* partition, Offset before) {
  partition->start = before;
  while (!partition->batches.empty() && partition->batches.front().next <= before) {
    partition->batches.pop_front();
  }
}

void FakeLogServer::ElectUncleanly(const std::string& topic, int partition, int64_t end) {
  Run([&] {
    Partition& cut = topics_.at(topic).partitions.at(static_cast<size_t>(partition));
    while (!cut.batches.empty() && cut.batches.back().next > Offset(end)) cut.batches.pop_back();
    cut.end = cut.batches.empty() ? cut.start : cut.batches.back().next;
    ++cut.epoch;
    PushTopics();
  });
}

void FakeLogServer::DamageLastBatch(const std::string& topic, int partition) {
  Run([&] {
    Batch& batch = topics_.at(topic).partitions.at(static_cast<size_t>(partition)).batches.back();
    std::string bytes = batch.bytes.ToString();
    bytes.back() = static_cast<char>(bytes.back() ^ 1);
    batch.bytes = Bytes::FromString(std::move(bytes));
  });
}

void FakeLogServer::Append(const std::string& topic, int partition, Bytes batch) {
  Run([&] {
    AppendHere(&topics_.at(topic).partitions.at(static_cast<size_t>(partition)), batch);
    PushRecords();
  });
}

void FakeLogServer::AppendHere(Partition* partition, const Bytes& batch) {
  // Both are outside the checksum.
  std::string bytes = batch.ToString();
  StoreBig<int64_t>(bytes.data() + record::kBaseOffsetAt, partition->end.value());
  StoreBig<int32_t>(bytes.data() + record::kLeaderEpochAt, partition->epoch.value());
  const auto view = record::BatchView::Parse(bytes);
  CHECK_OK(view);
  const Offset base = partition->end;
  partition->end = view->next_offset();
  partition->batches.push_back(
      {Bytes::FromString(std::move(bytes)), base, partition->end, partition->epoch});
}

api::ProducePartitionResult FakeLogServer::Produce(const api::ProducePartition& request) {
  api::ProducePartitionResult result{.name = request.name};
  Partition* partition = Find(request.name);
  if (partition == nullptr) {
    result.outcome.code = ErrorCode::kUnknownTopicOrPartition;
  } else if (refusals_ > 0) {
    --refusals_;
    result.outcome.code = refusal_;
  } else if (request.topic_checksum !=
             *api::TopicChecksum({request.name.topic_id, request.name.partition},
                                 request.batches)) {
    result.outcome.code = ErrorCode::kWrongTopicChecksum;
  } else {
    result.base_offset = partition->end;
    AppendHere(partition, request.batches);
    PushRecords();
  }
  return result;
}

v1::ListOffsetsResponse FakeLogServer::ListOffsets(const v1::ListOffsetsRequest& proto) {
  api::ListOffsetsResponse response;
  const absl::StatusOr<api::ListOffsetsRequest> request = api::FromProto(proto);
  CHECK_OK(request);
  for (const api::ListOffsetsPartition& asked : request->partitions) {
    api::ListOffsetsPartitionResult result{.name = asked.name};
    const Partition* partition = Find(asked.name);
    if (partition == nullptr) {
      result.outcome.code = ErrorCode::kUnknownTopicOrPartition;
    } else if (asked.position == api::OffsetPosition::kEarliest) {
      result.offset = partition->start;
    } else if (asked.position == api::OffsetPosition::kLatest) {
      result.offset = partition->end;
    } else {
      for (const Batch& batch : partition->batches) {
        if (record::BatchView::ParseWithVerifiedCrc(batch.bytes)->max_timestamp_ms() <
            asked.timestamp_ms) {
          continue;
        }
        result.offset = batch.base;
        result.timestamp_ms =
            record::BatchView::ParseWithVerifiedCrc(batch.bytes)->base_timestamp_ms();
        break;
      }
    }
    response.partitions.push_back(std::move(result));
  }
  return api::ToProto(response);
}

v1::OffsetForLeaderEpochResponse FakeLogServer::EpochEnds(
    const v1::OffsetForLeaderEpochRequest& proto) {
  api::OffsetForLeaderEpochResponse response;
  const absl::StatusOr<api::OffsetForLeaderEpochRequest> request = api::FromProto(proto);
  CHECK_OK(request);
  for (const api::OffsetForLeaderEpochPartition& asked : request->partitions) {
    api::OffsetForLeaderEpochPartitionResult result{.name = asked.name};
    if (const Partition* partition = Find(asked.name); partition != nullptr) {
      result.end_offset = partition->start;
      for (const Batch& batch : partition->batches) {
        if (batch.epoch > asked.leader_epoch) break;
        result.leader_epoch = batch.epoch;
        result.end_offset = batch.next;
      }
    } else {
      result.outcome.code = ErrorCode::kUnknownTopicOrPartition;
    }
    response.partitions.push_back(std::move(result));
  }
  return api::ToProto(response);
}

v1::DeleteRecordsResponse FakeLogServer::DeleteRecords(const v1::DeleteRecordsRequest& proto) {
  const absl::StatusOr<api::DeleteRecordsRequest> request = api::FromProto(proto);
  CHECK_OK(request);
  api::DeleteRecordsResponse response;
  for (const api::DeleteRecordsPartition& asked : request->partitions) {
    api::DeleteRecordsPartitionResult result{.name = asked.name};
    if (Partition* partition = Find(asked.name); partition != nullptr) {
      Forget(partition, asked.before_offset == kNoOffset ? partition->end : asked.before_offset);
      result.log_start_offset = partition->start;
    } else {
      result.outcome.code = ErrorCode::kUnknownTopicOrPartition;
    }
    response.partitions.push_back(std::move(result));
  }
  return api::ToProto(response);
}

std::vector<std::string> FakeLogServer::Values(const std::string& topic, int partition) {
  std::vector<std::string> values;
  Run([&] {
    for (const Batch& batch :
         topics_.at(topic).partitions.at(static_cast<size_t>(partition)).batches) {
      const auto view = record::BatchView::Parse(batch.bytes);
      CHECK_OK(view);
      CHECK_OK(record::ForEachRecord(*view, {}, [&](const record::RecordView& record) {
        values.emplace_back(record.value.value_or(Slice("(null)")));
        return absl::OkStatus();
      }));
    }
  });
  return values;
}

int64_t FakeLogServer::bytes_pushed() {
  int64_t bytes = 0;
  Run([&] { bytes = bytes_pushed_; });
  return bytes;
}

int FakeLogServer::fetched_partitions() {
  size_t partitions = 0;
  Run([&] {
    for (const FetchHandler* fetch : fetches_) partitions += fetch->partitions();
  });
  return static_cast<int>(partitions);
}

int FakeLogServer::forwarding_streams() {
  int streams = 0;
  Run([&] { streams = forwarding_streams_; });
  return streams;
}

}  // namespace millrace::client

#include "broker/service/log_service.h"

#include <memory>
#include <utility>
#include <vector>

#include "api/codec/delete_records_codec.h"
#include "api/codec/fetch_codec.h"
#include "api/codec/list_offsets_codec.h"
#include "api/codec/offset_for_leader_epoch_codec.h"
#include "api/codec/produce_codec.h"
#include "api/codec/produce_intake.h"
#include "base/status.h"
#include "broker/ongoing_fetch.h"
#include "broker/service/log_streams.h"
#include "broker/service/plain_form.h"
#include "rpc/parsed_call.h"
#include "rpc/stream_call.h"
#include "rpc/unary_call.h"

namespace millrace::broker {
namespace {

using rpc::CallContext;
using rpc::Reply;

// How large each partition's plain records may get; empty if the answer shall be batches.
std::vector<size_t> PlainLimits(const api::FetchRequest& request) {
  std::vector<size_t> limits;
  if (!IsPlain(request.format)) return limits;
  for (const api::FetchPartition& partition : request.partitions) {
    limits.push_back(static_cast<size_t>(partition.bytes_max > 0 ? partition.bytes_max
                                                                 : api::kDefaultPartitionBytesMax));
  }
  return limits;
}

}  // namespace

void LogService::Register(rpc::Server* server) {
  server->AddService(&service_, V1::service_full_name());
  for (int i = 0; i < server->queue_count(); ++i) {
    RegisterHot(server, server->queue(i));
    RegisterCold(server, server->queue(i));
  }
}

// What brings batches waits for memory; the requests of readers and the rest do not, while a disk
// that hangs keeps all of it (S-37).
void LogService::RegisterHot(rpc::Server* server, rpc::CompletionQueueExecutor* queue) {
  RegisterUnary(server, queue, &service_, &Service::RequestProduce,
                [broker = broker_](const CallContext& context, rpc::ReceivedMessage message,
                                   Reply<rpc::BytesList> reply) {
                  absl::StatusOr<api::ProduceRequest> request =
                      api::TakeInProduceRequest(message.pieces(), message.reservation());
                  if (!request.ok()) return reply(request.status());
                  const absl::Status packed = PackPlain(&*request, broker->WallNow());
                  if (!packed.ok()) return reply(packed);
                  broker->Produce(
                      *std::move(request), CallerOf(context),
                      [reply = std::move(reply)](api::ProduceResponse response) mutable {
                        reply(api::EncodeProduceResponse(response));
                      });
                });
  RegisterUnary(
      server, queue, &service_, &Service::RequestFetch,
      [broker = broker_](const CallContext& context, Bytes message, Reply<rpc::BytesList> reply) {
        absl::StatusOr<api::FetchRequest> request = api::DecodeFetchRequest(message);
        if (!request.ok()) return reply(request.status());
        // The form of the answer; limits are those of the request, which the broker takes.
        const std::vector<size_t> plain_bytes_max = PlainLimits(*request);
        // The answer and the cancellation both need the reply: whichever comes first takes it.
        auto shared = std::make_shared<Reply<rpc::BytesList>>(std::move(reply));
        const std::weak_ptr<OngoingFetch> call =
            broker->Fetch(*std::move(request), CallerOf(context),
                          [shared, plain_bytes_max](api::FetchResponse response) {
                            for (size_t i = 0; i < plain_bytes_max.size(); ++i) {
                              Unpack(&response.partitions[i], plain_bytes_max[i]);
                            }
                            (*shared)(api::EncodeFetchResponse(response));
                          });
        // A long poll whose client has gone must not stay parked, here or at the leader.
        if (!call.expired()) {
          shared->SetOnCancel([call] {
            if (const std::shared_ptr<OngoingFetch> ongoing = call.lock()) ongoing->Cancel();
          });
        }
      },
      rpc::AtGate::kSmallPass);
  RegisterStream(server, queue, &service_, &Service::RequestProduceStream,
                 [broker = broker_](std::shared_ptr<rpc::ServerStream> stream) {
                   return ServeProduceStream(broker, std::move(stream));
                 });
  RegisterStream(
      server, queue, &service_, &Service::RequestFetchStream,
      [broker = broker_](std::shared_ptr<rpc::ServerStream> stream) {
        return ServeFetchStream(broker, std::move(stream));
      },
      rpc::AtGate::kSmallPass);
}

void LogService::RegisterCold(rpc::Server* server, rpc::CompletionQueueExecutor* queue) {
  RegisterServerStream(
      server, queue, &service_, &Service::RequestWatchTopics,
      [broker = broker_](std::shared_ptr<rpc::ServerStream> stream) {
        return ServeWatchTopics(broker, std::move(stream));
      },
      rpc::AtGate::kSmallPass);
  RegisterParsed<v1::ListOffsetsRequest, v1::ListOffsetsResponse>(
      server, queue, &service_, &Service::RequestListOffsets,
      [broker = broker_](const CallContext& context, const v1::ListOffsetsRequest& proto,
                         Reply<v1::ListOffsetsResponse> reply) {
        absl::StatusOr<api::ListOffsetsRequest> request = api::FromProto(proto);
        if (!request.ok()) return reply(request.status());
        broker->ListOffsets(
            *std::move(request), CallerOf(context),
            [reply = std::move(reply)](const api::ListOffsetsResponse& response) mutable {
              reply(api::ToProto(response));
            });
      });
  RegisterParsed<v1::DeleteRecordsRequest, v1::DeleteRecordsResponse>(
      server, queue, &service_, &Service::RequestDeleteRecords,
      [broker = broker_](const CallContext& context, const v1::DeleteRecordsRequest& proto,
                         Reply<v1::DeleteRecordsResponse> reply) {
        absl::StatusOr<api::DeleteRecordsRequest> request = api::FromProto(proto);
        if (!request.ok()) return reply(request.status());
        broker->DeleteRecords(
            *std::move(request), CallerOf(context),
            [reply = std::move(reply)](const api::DeleteRecordsResponse& response) mutable {
              reply(api::ToProto(response));
            });
      });
  RegisterParsed<v1::InitProducerIdRequest, v1::InitProducerIdResponse>(
      server, queue, &service_, &Service::RequestInitProducerId,
      [broker = broker_](const CallContext&, const v1::InitProducerIdRequest&,
                         Reply<v1::InitProducerIdResponse> reply) {
        broker->InitProducerId(
            [reply = std::move(reply)](absl::StatusOr<api::ProducerIdentity> identity) mutable {
              if (!identity.ok()) return reply(identity.status());
              v1::InitProducerIdResponse response;
              response.set_producer_id(identity->id.value());
              response.set_producer_epoch(identity->epoch.value());
              reply(std::move(response));
            });
      });
  RegisterParsed<v1::OffsetForLeaderEpochRequest, v1::OffsetForLeaderEpochResponse>(
      server, queue, &service_, &Service::RequestOffsetForLeaderEpoch,
      [broker = broker_](const CallContext& context, const v1::OffsetForLeaderEpochRequest& proto,
                         Reply<v1::OffsetForLeaderEpochResponse> reply) {
        absl::StatusOr<api::OffsetForLeaderEpochRequest> request = api::FromProto(proto);
        if (!request.ok()) return reply(request.status());
        broker->OffsetForLeaderEpoch(
            *std::move(request), CallerOf(context),
            [reply = std::move(reply)](const api::OffsetForLeaderEpochResponse& response) mutable {
              reply(api::ToProto(response));
            });
      });
}

}  // namespace millrace::broker

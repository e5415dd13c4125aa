#include "rpc/health_service.h"

#include <algorithm>
#include <utility>

namespace millrace::rpc {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

// One Watch stream.
class HealthService::Watcher final : public StreamHandler {
 public:
  Watcher(std::shared_ptr<HealthService> service, std::shared_ptr<ServerStream> stream)
      : service_(std::move(service)), stream_(std::move(stream)) {
    service_->watchers_.insert(this);
  }

  void OnMessage(Bytes message) override {
    absl::StatusOr<HealthCheckRequest> request = ParseMessage<HealthCheckRequest>(message);
    if (!request.ok()) return stream_->Finish(request.status());
    name_ = request->service();
    asked_ = true;
    Tell();
  }
  void OnHalfClose() override {}
  void OnDone(bool) override { service_->watchers_.erase(this); }

  // Sends the status if it is another than the last one sent.
  void Tell() {
    if (!asked_) return;
    const Status status = service_->StatusOf(name_);
    if (told_ && status == last_) return;
    told_ = true;
    last_ = status;
    HealthCheckResponse response;
    response.set_status(status);
    stream_->Write(SerializeMessage(response));
  }

 private:
  const std::shared_ptr<HealthService> service_;
  const std::shared_ptr<ServerStream> stream_;
  std::string name_;
  bool asked_ = false;
  bool told_ = false;
  Status last_ = HealthCheckResponse::UNKNOWN;
};

void HealthService::Register(Server* server, std::vector<std::string> service_names) {
  service_names_ = std::move(service_names);
  server->AddService(&service_, full_name());
  RegisterUnary(
      server, queue_, &service_, &decltype(service_)::RequestCheck,
      [this](const CallContext&, HealthCheckRequest request, Reply<HealthCheckResponse> reply) {
        HealthCheckResponse response;
        response.set_status(StatusOf(request.service()));
        if (response.status() == HealthCheckResponse::SERVICE_UNKNOWN) {
          return reply(
              absl::NotFoundError("service '" + request.service() + "' is not served here"));
        }
        reply(std::move(response));
      },
      AtGate::kSmallPass);
  RegisterServerStream(
      server, queue_, &service_, &decltype(service_)::RequestWatch,
      [this](std::shared_ptr<ServerStream> stream) {
        return std::make_unique<Watcher>(shared_from_this(), std::move(stream));
      },
      AtGate::kSmallPass);
}

void HealthService::SetServing(bool serving) {
  queue_->Post([self = shared_from_this(), serving] {
    self->serving_ = serving;
    for (Watcher* watcher : self->watchers_) watcher->Tell();
  });
}

HealthService::Status HealthService::StatusOf(const std::string& service) const {
  const bool known = service.empty() || std::find(service_names_.begin(), service_names_.end(),
                                                  service) != service_names_.end();
  if (!known) return HealthCheckResponse::SERVICE_UNKNOWN;
  return serving_ ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING;
}

}  // namespace millrace::rpc

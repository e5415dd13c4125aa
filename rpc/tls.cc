#include "rpc/tls.h"

#include <grpcpp/security/tls_certificate_verifier.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"
#include "base/status.h"
#include "base/system_clock.h"
#include "rpc/peer_identity.h"

namespace millrace::rpc {

class Tls::Shared {
 public:
  Shared() = default;
  ~Shared() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      stop_ = true;
    }
    stopped_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

  // REQUIRES: the files are open.
  void CheckEvery(absl::Duration interval) {
    thread_ = std::thread([this, wait = absl::ToChronoNanoseconds(interval)] {
      pthread_setname_np(pthread_self(), "certificates");
      std::unique_lock<std::mutex> lock(mutex_);
      while (!stopped_.wait_for(lock, wait, [this] { return stop_; })) {
        lock.unlock();
        files->Check();
        lock.lock();
      }
    });
  }

  const SystemClock clock{};
  std::unique_ptr<CertificateFiles> files;
  std::atomic<int64_t> handshakes_begun{0};
  std::atomic<int64_t> handshakes_completed{0};

 private:
  std::mutex mutex_;
  std::condition_variable stopped_;
  bool stop_ = false;
  std::thread thread_;
};

namespace {

namespace ge = grpc::experimental;

std::string Text(grpc::string_ref text) { return std::string(text.data(), text.size()); }

// Asked for each handshake of a server's that has come to its end; takes all of them.
class CompletedHandshakes final : public ge::ExternalCertificateVerifier {
 public:
  // `count` lives as long as `owner`, as do the files that gRPC reads for these handshakes.
  CompletedHandshakes(std::atomic<int64_t>* count, std::shared_ptr<void> owner)
      : count_(count), owner_(std::move(owner)) {}

  bool Verify(ge::TlsCustomVerificationCheckRequest*, std::function<void(grpc::Status)>,
              grpc::Status*) override {
    count_->fetch_add(1, std::memory_order_relaxed);
    return true;
  }
  void Cancel(ge::TlsCustomVerificationCheckRequest*) override {}

 private:
  std::atomic<int64_t>* const count_;
  const std::shared_ptr<void> owner_;
};

// Lets a handshake go on only with the node that is meant.
class NodeVerifier final : public ge::ExternalCertificateVerifier {
 public:
  // `files`: what gRPC reads for these handshakes; must be there as long as it does.
  NodeVerifier(ExpectedNode expected, std::shared_ptr<void> files)
      : expected_(std::move(expected)), files_(std::move(files)) {}

  bool Verify(ge::TlsCustomVerificationCheckRequest* request, std::function<void(grpc::Status)>,
              grpc::Status* result) override {
    std::vector<std::string> found;
    for (const grpc::string_ref& uri : request->uri_names()) {
      found.push_back(Text(uri));
      const std::optional<NodeIdentity> node = ParseNodeUri(found.back());
      const bool fits = node.has_value() && node->cluster == expected_.cluster &&
                        (expected_.node == kNoNode || node->node == expected_.node);
      if (fits) return true;
    }
    if (found.empty()) found.push_back(absl::StrCat("CN=", Text(request->common_name())));
    *result = grpc::Status(
        grpc::StatusCode::UNAUTHENTICATED,
        absl::StrCat(kWrongCertificate, ": expected ", Expected(), " at ",
                     Text(request->target_name()), ", found ", absl::StrJoin(found, ", ")));
    return true;
  }
  void Cancel(ge::TlsCustomVerificationCheckRequest*) override {}

 private:
  std::string Expected() const {
    if (expected_.node != kNoNode) return NodeUri({expected_.cluster, expected_.node});
    return absl::StrCat("a node of ", NodeUriPrefix(expected_.cluster));
  }

  const ExpectedNode expected_;
  const std::shared_ptr<void> files_;
};

}  // namespace

Tls::Tls(std::shared_ptr<Shared> shared, std::shared_ptr<ge::CertificateProviderInterface> provider)
    : shared_(std::move(shared)), provider_(std::move(provider)) {}

absl::StatusOr<std::shared_ptr<Tls::Shared>> Tls::Open(const TlsFiles& files,
                                                       const TlsRenewal& renewal) {
  auto shared = std::make_shared<Shared>();
  const Clock* const clock = renewal.clock == nullptr ? &shared->clock : renewal.clock;
  ASSIGN_OR_RETURN(shared->files, CertificateFiles::Open(files, renewal.own_uri, clock));
  return shared;
}

absl::StatusOr<std::shared_ptr<const Tls>> Tls::Create(const TlsFiles& files) {
  ASSIGN_OR_RETURN(std::shared_ptr<Shared> shared, Open(files, {}));
  const std::string& trusted = shared->files->truststore();
  std::vector<ge::IdentityKeyCertPair> shown;
  if (const std::string& pem = shared->files->keystore(); !pem.empty()) shown.push_back({pem, pem});
  std::shared_ptr<ge::CertificateProviderInterface> provider;
  if (!trusted.empty() || !shown.empty()) {
    provider = std::make_shared<ge::StaticDataCertificateProvider>(trusted, shown);
  }
  return std::shared_ptr<const Tls>(new Tls(std::move(shared), std::move(provider)));
}

// gRPC 1.51 has one provider whose certificates change, that which watches files. So it watches
// ours: what it reads there is good, and it forgets what it had for what it finds.
absl::StatusOr<std::shared_ptr<const Tls>> Tls::CreateRenewed(const TlsFiles& files,
                                                              const TlsRenewal& renewal) {
  CHECK(!files.keystore.empty());
  ASSIGN_OR_RETURN(std::shared_ptr<Shared> shared, Open(files, renewal));
  RETURN_IF_ERROR(shared->files->MakeCopies());
  const std::string keystore = shared->files->keystore_copy();
  const auto seconds = std::max<int64_t>(1, absl::ToInt64Seconds(renewal.handed_on_every));
  auto provider = std::make_shared<ge::FileWatcherCertificateProvider>(
      keystore, keystore, shared->files->truststore_copy(), static_cast<unsigned>(seconds));
  shared->CheckEvery(renewal.checked_every);
  return std::shared_ptr<const Tls>(new Tls(std::move(shared), std::move(provider)));
}

std::shared_ptr<grpc::ServerCredentials> Tls::ForServer() const {
  CHECK(shared_->files->has_keystore()) << "a server shows a certificate";
  ge::TlsServerCredentialsOptions options(provider_);
  options.watch_identity_key_cert_pairs();
  if (shared_->files->has_truststore()) {
    options.watch_root_certs();
    options.set_cert_request_type(GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY);
  }
  options.set_certificate_verifier(ge::ExternalCertificateVerifier::Create<CompletedHandshakes>(
      &shared_->handshakes_completed, shared_));
  options.set_check_call_host(false);
  return ge::TlsServerCredentials(options);
}

std::shared_ptr<grpc::ChannelCredentials> Tls::ForServersByName() const {
  CHECK(!shared_->files->has_copies()) << "gRPC would read them longer than they are there";
  ge::TlsChannelCredentialsOptions options;
  if (provider_ != nullptr) options.set_certificate_provider(provider_);
  if (shared_->files->has_truststore()) options.watch_root_certs();
  if (shared_->files->has_keystore()) options.watch_identity_key_cert_pairs();
  options.set_certificate_verifier(std::make_shared<ge::HostNameCertificateVerifier>());
  return ge::TlsCredentials(options);
}

std::shared_ptr<grpc::ChannelCredentials> Tls::ForNode(const ExpectedNode& expected) const {
  ge::TlsChannelCredentialsOptions options;
  if (provider_ != nullptr) options.set_certificate_provider(provider_);
  if (shared_->files->has_truststore()) options.watch_root_certs();
  if (shared_->files->has_keystore()) options.watch_identity_key_cert_pairs();
  options.set_certificate_verifier(
      ge::ExternalCertificateVerifier::Create<NodeVerifier>(expected, shared_));
  options.set_check_call_host(false);
  return ge::TlsCredentials(options);
}

void Tls::CountHandshake() const {
  shared_->handshakes_begun.fetch_add(1, std::memory_order_relaxed);
}

void Tls::AddMetrics(MetricRegistry* metrics) const {
  using Kind = MetricSample::Kind;
  metrics->AddCallback(
      "millrace_tls_certificate_expiry_timestamp_seconds",
      "When the certificate in use expires, in seconds since 1970.", Kind::kGauge,
      [shared = shared_] { return static_cast<double>(shared->files->expires().ms / 1000); });
  constexpr char kRefused[] = "millrace_tls_file_refused";
  constexpr char kRefusedHelp[] =
      "1 while a file of certificates is not taken as it is now, and an earlier one is in use.";
  metrics->AddCallback(kRefused, kRefusedHelp, Kind::kGauge,
                       [shared = shared_] { return shared->files->keystore_refused() ? 1.0 : 0.0; },
                       {{"file", "keystore"}});
  metrics->AddCallback(
      kRefused, kRefusedHelp, Kind::kGauge,
      [shared = shared_] { return shared->files->truststore_refused() ? 1.0 : 0.0; },
      {{"file", "truststore"}});
  metrics->AddCallback(
      "millrace_tls_handshakes_begun_total",
      "Connections to listeners with TLS that began with a handshake.", Kind::kCounter,
      [shared = shared_] {
        return static_cast<double>(shared->handshakes_begun.load(std::memory_order_relaxed));
      });
  metrics->AddCallback(
      "millrace_tls_handshakes_completed_total", "Handshakes of theirs that came to their end.",
      Kind::kCounter, [shared = shared_] {
        return static_cast<double>(shared->handshakes_completed.load(std::memory_order_relaxed));
      });
}

}  // namespace millrace::rpc

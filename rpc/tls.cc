#include "rpc/tls.h"

#include <grpcpp/security/tls_certificate_verifier.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <fstream>
#include <optional>
#include <sstream>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"
#include "base/status.h"
#include "rpc/peer_identity.h"

namespace millrace::rpc {
namespace {

namespace ge = grpc::experimental;

constexpr unsigned kRenewSeconds = 60;
constexpr char kKeystore[] = "ssl.keystore.location";
constexpr char kTruststore[] = "ssl.truststore.location";

absl::Status Invalid(const char* key, const std::string& path, absl::string_view why) {
  return MakeError(ErrorCode::kInvalidConfig, absl::StrCat(key, ": '", path, "' ", why),
                   {.name = key, .value = path});
}

absl::StatusOr<std::string> ReadPem(const char* key, const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file.good()) return Invalid(key, path, "cannot be read");
  if (!absl::StrContains(text.str(), "-----BEGIN CERTIFICATE-----")) {
    return Invalid(key, path, "holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)");
  }
  return text.str();
}

std::string Text(grpc::string_ref text) { return std::string(text.data(), text.size()); }

// Lets a handshake go on only with the node that is meant.
class NodeVerifier final : public ge::ExternalCertificateVerifier {
 public:
  explicit NodeVerifier(ExpectedNode expected) : expected_(std::move(expected)) {}

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
};

}  // namespace

absl::StatusOr<std::shared_ptr<const Tls>> Tls::Create(const TlsFiles& files, bool renews) {
  std::string trusted;
  std::vector<ge::IdentityKeyCertPair> shown;
  if (!files.truststore.empty()) {
    ASSIGN_OR_RETURN(trusted, ReadPem(kTruststore, files.truststore));
  }
  if (!files.keystore.empty()) {
    ASSIGN_OR_RETURN(const std::string pem, ReadPem(kKeystore, files.keystore));
    if (!absl::StrContains(pem, "PRIVATE KEY-----")) {
      return Invalid(kKeystore, files.keystore,
                     "holds no private key: it is a PEM file of a key (not encrypted), its "
                     "certificate and the chain of that");
    }
    shown.push_back({pem, pem});
  }
  std::shared_ptr<ge::CertificateProviderInterface> provider;
  if (renews && !files.keystore.empty()) {
    provider = std::make_shared<ge::FileWatcherCertificateProvider>(
        files.keystore, files.keystore, files.truststore, kRenewSeconds);
  } else if (!trusted.empty() || !shown.empty()) {
    provider = std::make_shared<ge::StaticDataCertificateProvider>(trusted, shown);
  }
  return std::shared_ptr<const Tls>(new Tls(files, std::move(provider)));
}

std::shared_ptr<grpc::ServerCredentials> Tls::ForServer() const {
  CHECK(!files_.keystore.empty()) << "a server shows a certificate";
  ge::TlsServerCredentialsOptions options(provider_);
  options.watch_identity_key_cert_pairs();
  if (!files_.truststore.empty()) {
    options.watch_root_certs();
    options.set_cert_request_type(GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY);
  }
  options.set_certificate_verifier(std::make_shared<ge::NoOpCertificateVerifier>());
  options.set_check_call_host(false);
  return ge::TlsServerCredentials(options);
}

std::shared_ptr<grpc::ChannelCredentials> Tls::ForServersByName() const {
  ge::TlsChannelCredentialsOptions options;
  if (provider_ != nullptr) options.set_certificate_provider(provider_);
  if (!files_.truststore.empty()) options.watch_root_certs();
  if (!files_.keystore.empty()) options.watch_identity_key_cert_pairs();
  options.set_certificate_verifier(std::make_shared<ge::HostNameCertificateVerifier>());
  return ge::TlsCredentials(options);
}

std::shared_ptr<grpc::ChannelCredentials> Tls::ForNode(const ExpectedNode& expected) const {
  ge::TlsChannelCredentialsOptions options;
  if (provider_ != nullptr) options.set_certificate_provider(provider_);
  if (!files_.truststore.empty()) options.watch_root_certs();
  if (!files_.keystore.empty()) options.watch_identity_key_cert_pairs();
  options.set_certificate_verifier(ge::ExternalCertificateVerifier::Create<NodeVerifier>(expected));
  options.set_check_call_host(false);
  return ge::TlsCredentials(options);
}

}  // namespace millrace::rpc

#include "rpc/pem_check.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pemerr.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "base/status.h"

namespace millrace::rpc {
namespace {

// Frees what the library has made with the function that it names for that.
template <auto Free>
struct FreeWith {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Bio = std::unique_ptr<BIO, FreeWith<BIO_free_all>>;
using Certificate = std::unique_ptr<X509, FreeWith<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, FreeWith<EVP_PKEY_free>>;
using Context = std::unique_ptr<SSL_CTX, FreeWith<SSL_CTX_free>>;
using Store = std::unique_ptr<X509_STORE, FreeWith<X509_STORE_free>>;
using Verification = std::unique_ptr<X509_STORE_CTX, FreeWith<X509_STORE_CTX_free>>;
using AlternativeNames = std::unique_ptr<GENERAL_NAMES, FreeWith<GENERAL_NAMES_free>>;

absl::Status Bad(absl::string_view why) {
  return MakeError(ErrorCode::kInvalidConfig, std::string(why));
}

// The library's own word for what failed last on this thread, which it then forgets.
std::string LastError() {
  const unsigned long error = ERR_peek_last_error();  // NOLINT: the library's type.
  ERR_clear_error();
  const char* reason = ERR_reason_error_string(error);
  return reason == nullptr ? absl::StrCat("error ", error) : reason;
}

// By default the library would ask for it on the terminal.
int NoPassword(char*, int, int, void*) { return -1; }

Bio Reader(const std::string& pem) {
  Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  CHECK(bio != nullptr);
  return bio;
}

// All certificates of a file, in order; what else is in it is passed over. Never none.
absl::StatusOr<std::vector<Certificate>> ReadCertificates(const std::string& pem) {
  const Bio bio = Reader(pem);
  std::vector<Certificate> all;
  ERR_clear_error();
  while (X509* next = PEM_read_bio_X509_AUX(bio.get(), nullptr, &NoPassword, nullptr)) {
    all.emplace_back(next);
  }
  const unsigned long error = ERR_peek_last_error();  // NOLINT: the library's type.
  const bool at_end =
      ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
  if (!at_end) {
    return Bad(absl::StrCat("cannot be read as PEM beyond its first ", all.size(),
                            " certificates (", LastError(), "): is it whole?"));
  }
  ERR_clear_error();
  if (all.empty()) {
    return Bad("holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)");
  }
  return all;
}

absl::StatusOr<Key> ReadKey(const std::string& pem) {
  if (!absl::StrContains(pem, "PRIVATE KEY-----")) {
    return Bad(
        "holds no private key: it is a PEM file of a key (not encrypted), its certificate and the "
        "chain of that");
  }
  const Bio bio = Reader(pem);
  ERR_clear_error();
  Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, &NoPassword, nullptr));
  if (key != nullptr) return key;
  const std::string error = LastError();
  if (absl::StrContains(pem, "ENCRYPTED")) {
    return Bad("holds a private key that is protected by a password, which nobody could enter");
  }
  return Bad(absl::StrCat("holds a private key that cannot be read (", error, "): is it whole?"));
}

WallTime ToWallTime(const ASN1_TIME* time) {
  tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return WallTime{INT64_MIN};
  return WallTime{static_cast<int64_t>(timegm(&parts)) * 1000};
}
WallTime EndOf(const Certificate& certificate) {
  return ToWallTime(X509_get0_notAfter(certificate.get()));
}
WallTime BeginOf(const Certificate& certificate) {
  return ToWallTime(X509_get0_notBefore(certificate.get()));
}

std::string SubjectOf(const Certificate& certificate) {
  const Bio text(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(text.get(), X509_get_subject_name(certificate.get()), 0, XN_FLAG_RFC2253);
  const char* data = nullptr;
  const auto size = BIO_get_mem_data(text.get(), &data);
  return std::string(data, static_cast<size_t>(size));
}

std::vector<std::string> UrisOf(const Certificate& certificate) {
  std::vector<std::string> uris;
  const AlternativeNames names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate.get(), NID_subject_alt_name, nullptr, nullptr)));
  if (names == nullptr) return uris;
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_URI) continue;
    const ASN1_IA5STRING* uri = name->d.uniformResourceIdentifier;
    uris.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(uri)),
                      static_cast<size_t>(ASN1_STRING_length(uri)));
  }
  return uris;
}

// As a handshake does it: what is too weak for the library is found here.
absl::Status CheckUsable(const Certificate& certificate, EVP_PKEY* key) {
  const Context context(SSL_CTX_new(TLS_method()));
  CHECK(context != nullptr);
  ERR_clear_error();
  if (SSL_CTX_use_certificate(context.get(), certificate.get()) == 1 &&
      SSL_CTX_use_PrivateKey(context.get(), key) == 1) {
    return absl::OkStatus();
  }
  return Bad(absl::StrCat("holds a certificate (", SubjectOf(certificate),
                          ") that TLS does not take: ", LastError()));
}

absl::Status CheckFits(const std::vector<Certificate>& chain, EVP_PKEY* key) {
  const auto fits = [key](const Certificate& certificate) {
    const bool yes = X509_check_private_key(certificate.get(), key) == 1;
    ERR_clear_error();
    return yes;
  };
  if (fits(chain.front())) return absl::OkStatus();
  for (const Certificate& other : chain) {
    if (!fits(other)) continue;
    return Bad(absl::StrCat("has the certificate of its private key (", SubjectOf(other),
                            ") behind another (", SubjectOf(chain.front()),
                            "): that of the key comes first, then its chain"));
  }
  return Bad(absl::StrCat("holds a private key and a certificate (", SubjectOf(chain.front()),
                          ") that do not belong together"));
}

struct Keystore {
  Key key;
  std::vector<Certificate> chain;
};

absl::StatusOr<Keystore> ReadKeystore(const std::string& pem) {
  Keystore read;
  ASSIGN_OR_RETURN(read.chain, ReadCertificates(pem));
  ASSIGN_OR_RETURN(read.key, ReadKey(pem));
  return read;
}

}  // namespace

absl::StatusOr<CertificateFacts> CheckKeystore(const std::string& pem, WallTime now) {
  ASSIGN_OR_RETURN(const Keystore keystore, ReadKeystore(pem));
  RETURN_IF_ERROR(CheckFits(keystore.chain, keystore.key.get()));
  const Certificate& certificate = keystore.chain.front();
  RETURN_IF_ERROR(CheckUsable(certificate, keystore.key.get()));
  CertificateFacts facts{.subject = SubjectOf(certificate),
                         .uris = UrisOf(certificate),
                         .expires = EndOf(certificate)};
  if (facts.expires <= now) {
    return Bad(absl::StrCat("holds a certificate (", facts.subject, ") that has expired, at ",
                            UtcTime(facts.expires)));
  }
  if (const WallTime begin = BeginOf(certificate); begin > now) {
    return Bad(absl::StrCat("holds a certificate (", facts.subject, ") that is valid only from ",
                            UtcTime(begin), " on"));
  }
  return facts;
}

absl::Status CheckTruststore(const std::string& pem, WallTime now) {
  ASSIGN_OR_RETURN(const std::vector<Certificate> authorities, ReadCertificates(pem));
  WallTime last{INT64_MIN};
  for (const Certificate& authority : authorities) {
    const WallTime end = EndOf(authority);
    if (end > now && BeginOf(authority) <= now) return absl::OkStatus();
    last = std::max(last, end);
  }
  return Bad(absl::StrCat("holds no certificate that is valid now; the last of them ends at ",
                          UtcTime(last)));
}

absl::Status CheckBelieved(const std::string& keystore, const std::string& truststore,
                           WallTime now) {
  ASSIGN_OR_RETURN(const Keystore shown, ReadKeystore(keystore));
  ASSIGN_OR_RETURN(const std::vector<Certificate> authorities, ReadCertificates(truststore));
  const Store store(X509_STORE_new());
  for (const Certificate& authority : authorities) {
    X509_STORE_add_cert(store.get(), authority.get());
  }
  const std::unique_ptr<STACK_OF(X509), void (*)(STACK_OF(X509)*)> chain(
      sk_X509_new_null(), [](STACK_OF(X509) * stack) { sk_X509_free(stack); });
  for (const Certificate& certificate : shown.chain) {
    sk_X509_push(chain.get(), certificate.get());
  }
  for (const auto& [purpose, role] : {std::pair(X509_PURPOSE_SSL_SERVER, "server"),
                                      std::pair(X509_PURPOSE_SSL_CLIENT, "client")}) {
    const Verification verification(X509_STORE_CTX_new());
    CHECK(verification != nullptr);
    CHECK_EQ(X509_STORE_CTX_init(verification.get(), store.get(), shown.chain.front().get(),
                                 chain.get()),
             1);
    X509_STORE_CTX_set_purpose(verification.get(), purpose);
    X509_STORE_CTX_set_time(verification.get(), 0, static_cast<time_t>(now.ms / 1000));
    const bool believed = X509_verify_cert(verification.get()) == 1;
    const int error = X509_STORE_CTX_get_error(verification.get());
    ERR_clear_error();
    if (believed) continue;
    return Bad(absl::StrCat("holds a certificate (", SubjectOf(shown.chain.front()),
                            ") that is not believed as a ", role, "'s by those who have the same ",
                            "trust store: ", X509_verify_cert_error_string(error)));
  }
  return absl::OkStatus();
}

std::string UtcTime(WallTime time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::FromUnixMillis(time.ms), absl::UTCTimeZone());
}

}  // namespace millrace::rpc

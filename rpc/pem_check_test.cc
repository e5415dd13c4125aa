#include "rpc/pem_check.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "absl/strings/str_replace.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "rpc/testing/tls_files.h"

namespace millrace::rpc {
namespace {

using testdata::CertificateOf;
using testdata::KeyOf;
using testdata::ReadTlsFile;
using ::testing::ElementsAre;

// The files beside this are valid from 2020 to 2120.
constexpr WallTime kNow{1'800'000'000'000};     // 2027
constexpr WallTime kBefore{1'500'000'000'000};  // 2017
constexpr WallTime kAfter{4'800'000'000'000};   // 2122

const char kEmptyBlock[] = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n";

absl::Status Keystore(const std::string& pem, WallTime now = kNow) {
  return CheckKeystore(pem, now).status();
}
auto IsBad(const std::string& why) { return IsError(ErrorCode::kInvalidConfig, why); }

// A key store with a new RSA key, under a password if there is one.
std::string MakeKeystore(unsigned bits, std::string password) {
  EVP_PKEY* key = EVP_RSA_gen(bits);
  X509* certificate = X509_new();
  X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  X509_set_pubkey(certificate, key);
  EXPECT_GT(X509_sign(certificate, key, EVP_sha256()), 0);
  BIO* text = BIO_new(BIO_s_mem());
  const EVP_CIPHER* cipher = password.empty() ? nullptr : EVP_aes_256_cbc();
  EXPECT_EQ(PEM_write_bio_PKCS8PrivateKey(text, key, cipher, password.data(),
                                          static_cast<int>(password.size()), nullptr, nullptr),
            1);
  EXPECT_EQ(PEM_write_bio_X509(text, certificate), 1);
  const char* data = nullptr;
  const auto size = BIO_get_mem_data(text, &data);
  const std::string pem(data, static_cast<size_t>(size));
  BIO_free_all(text);
  X509_free(certificate);
  EVP_PKEY_free(key);
  return pem;
}

TEST(PemCheckTest, AGoodKeystoreSaysWhoseItIs) {
  ASSERT_OK_AND_ASSIGN(const CertificateFacts facts, CheckKeystore(ReadTlsFile("node1.pem"), kNow));
  EXPECT_EQ(facts.subject, "CN=node1");
  EXPECT_THAT(facts.uris, ElementsAre("millrace://test/node/1"));
  EXPECT_EQ(UtcTime(facts.expires), "2120-01-01T00:00:00Z");
  // The order of key and certificate is free, and a chain may follow.
  const std::string node = ReadTlsFile("node1.pem");
  EXPECT_OK(Keystore(CertificateOf(node) + ReadTlsFile("authority.pem") + KeyOf(node)));
}

TEST(PemCheckTest, AKeyAndItsCertificateBelongTogether) {
  const std::string one = ReadTlsFile("node1.pem");
  const std::string two = ReadTlsFile("node2.pem");
  EXPECT_THAT(
      Keystore(KeyOf(one) + CertificateOf(two)),
      IsBad("holds a private key and a certificate (CN=node2) that do not belong together"));
  EXPECT_THAT(Keystore(ReadTlsFile("authority.pem") + one),
              IsBad("(CN=node1) behind another (CN=authority)"));
}

TEST(PemCheckTest, AKeystoreIsWhole) {
  const std::string node = ReadTlsFile("node1.pem");
  EXPECT_THAT(Keystore(""), IsBad("holds no certificate"));
  EXPECT_THAT(Keystore(CertificateOf(node)), IsBad("holds no private key"));
  EXPECT_THAT(Keystore(KeyOf(node)), IsBad("holds no certificate"));
  // Wherever it ends, half of a file is none.
  for (size_t size = 0; size + 1 < node.size(); ++size) {
    EXPECT_THAT(Keystore(node.substr(0, size)), IsBad("")) << size;
  }
  EXPECT_THAT(Keystore(node + kEmptyBlock), IsBad("beyond its first 1 certificates"));
  const std::string torn = absl::StrReplaceAll(
      node, {{"-----BEGIN PRIVATE KEY-----\n", "-----BEGIN PRIVATE KEY-----\nAAAA"}});
  EXPECT_THAT(Keystore(torn), IsBad("private key that cannot be read"));
}

TEST(PemCheckTest, AKeyHasNoPassword) {
  EXPECT_THAT(Keystore(MakeKeystore(2048, "secret")), IsBad("protected by a password"));
}

TEST(PemCheckTest, AKeyIsStrongEnoughForTls) {
  EXPECT_THAT(Keystore(MakeKeystore(1024, "")), IsBad("that TLS does not take: ee key too small"));
}

TEST(PemCheckTest, ACertificateIsValidNow) {
  EXPECT_THAT(Keystore(ReadTlsFile("node1.pem"), kAfter),
              IsBad("(CN=node1) that has expired, at 2120-01-01T00:00:00Z"));
  EXPECT_THAT(Keystore(ReadTlsFile("node1.pem"), kBefore),
              IsBad("(CN=node1) that is valid only from 2020-01-01T00:00:00Z on"));
}

TEST(PemCheckTest, ATruststoreIsOfCertificatesThatCanBeRead) {
  const std::string authority = ReadTlsFile("authority.pem");
  EXPECT_OK(CheckTruststore(authority, kNow));
  EXPECT_OK(CheckTruststore("A word.\n" + authority + ReadTlsFile("stranger.pem"), kNow));
  EXPECT_THAT(CheckTruststore("", kNow), IsBad("holds no certificate"));
  EXPECT_THAT(CheckTruststore(authority + kEmptyBlock, kNow),
              IsBad("beyond its first 1 certificates"));
  EXPECT_THAT(CheckTruststore(authority.substr(0, authority.size() / 2), kNow),
              IsBad("beyond its first 0 certificates"));
  EXPECT_THAT(CheckTruststore(authority, kAfter), IsBad("no certificate that is valid now"));
  EXPECT_THAT(CheckTruststore(authority, kBefore), IsBad("no certificate that is valid now"));
}

TEST(PemCheckTest, WhoBelievesACertificateIsKnownBeforehand) {
  const std::string node = ReadTlsFile("node1.pem");
  EXPECT_OK(CheckBelieved(node, ReadTlsFile("authority.pem"), kNow));
  EXPECT_OK(CheckBelieved(node, ReadTlsFile("stranger.pem") + ReadTlsFile("authority.pem"), kNow));
  EXPECT_THAT(CheckBelieved(node, ReadTlsFile("stranger.pem"), kNow),
              IsBad("(CN=node1) that is not believed"));
}

}  // namespace
}  // namespace millrace::rpc

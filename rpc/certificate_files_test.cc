#include "rpc/certificate_files.h"

#include <fstream>
#include <sstream>

#include "base/log.h"
#include "base/sim/sim_clock.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "rpc/testing/tls_files.h"

namespace millrace::rpc {
namespace {

using testdata::CertificateOf;
using testdata::KeyOf;
using testdata::ReadTlsFile;
using testdata::TlsFile;
using testdata::WrittenFile;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr absl::Duration kYear = absl::Hours(24 * 365);

std::string Read(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// Node 1 of the cluster "test", in the year 2026; the files are valid from 2020 to 2120.
class CertificateFilesTest : public ::testing::Test {
 protected:
  void Open(const std::string& own_uri = "") {
    absl::StatusOr<std::unique_ptr<CertificateFiles>> opened = TryOpen(own_uri);
    ASSERT_OK(opened);
    files_ = *std::move(opened);
    ASSERT_OK(files_->MakeCopies());
  }
  absl::StatusOr<std::unique_ptr<CertificateFiles>> TryOpen(const std::string& own_uri = "") {
    return CertificateFiles::Open({.keystore = keystore_.path(), .truststore = truststore_.path()},
                                  own_uri, &clock_);
  }
  std::string Keystore() const { return Read(files_->keystore_copy()); }
  std::string Truststore() const { return Read(files_->truststore_copy()); }

  const std::string node1_ = ReadTlsFile("node1.pem");
  const std::string node2_ = ReadTlsFile("node2.pem");
  const std::string mixed_ = KeyOf(node1_) + CertificateOf(node2_);
  const std::string authority_ = ReadTlsFile("authority.pem");
  sim::SimClock clock_;
  WrittenFile keystore_{node1_};
  WrittenFile truststore_{authority_};
  std::unique_ptr<CertificateFiles> files_;
};

TEST_F(CertificateFilesTest, WhatIsGoodIsTaken) {
  Open();
  EXPECT_EQ(Keystore(), node1_);
  EXPECT_EQ(Truststore(), authority_);
  EXPECT_EQ(UtcTime(files_->expires()), "2120-01-01T00:00:00Z");
  LogCapture log;
  files_->Check();
  EXPECT_THAT(log.lines(), IsEmpty());
  keystore_.Write(node2_);
  truststore_.Write(authority_ + ReadTlsFile("stranger.pem"));
  files_->Check();
  EXPECT_EQ(Keystore(), node2_);
  EXPECT_EQ(Truststore(), authority_ + ReadTlsFile("stranger.pem"));
  EXPECT_THAT(
      log.lines(),
      ElementsAre(AllOf(HasSubstr("took up new authorities"), HasSubstr(truststore_.path())),
                  AllOf(HasSubstr("took up a new certificate"), HasSubstr(keystore_.path()),
                        HasSubstr("CN=node2"), HasSubstr("2120-01-01"))));
}

TEST_F(CertificateFilesTest, WhatIsBadIsSaidOnceAndTheLastGoodOneStays) {
  Open();
  LogCapture log;
  keystore_.Write(mixed_);
  for (int i = 0; i < 3; ++i) files_->Check();
  EXPECT_EQ(Keystore(), node1_);
  EXPECT_TRUE(files_->keystore_refused());
  EXPECT_FALSE(files_->truststore_refused());
  ASSERT_THAT(log.lines(), SizeIs(1));
  EXPECT_THAT(log.lines()[0],
              AllOf(HasSubstr("WARN tls"), HasSubstr(keystore_.path()),
                    HasSubstr("ssl.keystore.location"), HasSubstr("do not belong together")));
  // Another content is other news.
  keystore_.Write(node2_.substr(0, node2_.size() - 100));
  for (int i = 0; i < 3; ++i) files_->Check();
  ASSERT_THAT(log.lines(), SizeIs(2));
  EXPECT_THAT(log.lines()[1], HasSubstr("is it whole?"));
  keystore_.Remove();
  for (int i = 0; i < 3; ++i) files_->Check();
  ASSERT_THAT(log.lines(), SizeIs(3));
  EXPECT_THAT(log.lines()[2], HasSubstr("cannot be read: No such file"));
  EXPECT_EQ(Keystore(), node1_);
  EXPECT_TRUE(files_->keystore_refused());

  keystore_.Write(node2_);
  files_->Check();
  EXPECT_EQ(Keystore(), node2_);
  EXPECT_FALSE(files_->keystore_refused());
  ASSERT_THAT(log.lines(), SizeIs(4));
  EXPECT_THAT(log.lines()[3], HasSubstr("took up a new certificate"));
}

TEST_F(CertificateFilesTest, ATruststoreIsHeldToTheSame) {
  Open();
  LogCapture log;
  truststore_.Write("");
  for (int i = 0; i < 2; ++i) files_->Check();
  EXPECT_EQ(Truststore(), authority_);
  EXPECT_TRUE(files_->truststore_refused());
  EXPECT_FALSE(files_->keystore_refused());
  EXPECT_THAT(log.lines(),
              ElementsAre(AllOf(HasSubstr(truststore_.path()), HasSubstr("holds no certificate"))));
  truststore_.Write(authority_);
  for (int i = 0; i < 2; ++i) files_->Check();
  EXPECT_FALSE(files_->truststore_refused());
  ASSERT_THAT(log.lines(), SizeIs(2));
  EXPECT_THAT(log.lines()[1], HasSubstr("again the one that is in use"));
}

TEST_F(CertificateFilesTest, ACertificateThatIsNotValidYetIsTakenWhenItIs) {
  Open();
  clock_.JumpWall(-7 * kYear);
  keystore_.Write(node2_);
  LogCapture log;
  for (int i = 0; i < 2; ++i) files_->Check();
  EXPECT_EQ(Keystore(), node1_);
  EXPECT_THAT(log.lines(), ElementsAre(HasSubstr("valid only from 2020-01-01")));
  clock_.JumpWall(7 * kYear);
  files_->Check();
  EXPECT_EQ(Keystore(), node2_);
}

TEST_F(CertificateFilesTest, ACertificateThatExpiresInUseIsSaidOnce) {
  Open();
  clock_.JumpWall(95 * kYear);
  LogCapture log(LogLevel::kError);
  for (int i = 0; i < 3; ++i) files_->Check();
  EXPECT_THAT(log.lines(), ElementsAre(AllOf(HasSubstr("the certificate in use has expired"),
                                             HasSubstr(keystore_.path()), HasSubstr("CN=node1"))));
  EXPECT_EQ(Keystore(), node1_);
  EXPECT_FALSE(files_->keystore_refused());
}

TEST_F(CertificateFilesTest, ABadFileIsNoStart) {
  keystore_.Write(mixed_);
  EXPECT_THAT(TryOpen(), IsError(ErrorCode::kInvalidConfig,
                                 "ssl.keystore.location: '" + keystore_.path() +
                                     "' holds a private key and a certificate (CN=node2) that do"));
  keystore_.Write(node1_);
  truststore_.Write("no certificate");
  EXPECT_THAT(TryOpen(), IsError(ErrorCode::kInvalidConfig,
                                 "ssl.truststore.location: '" + truststore_.path() + "' holds no"));
  truststore_.Remove();
  EXPECT_THAT(TryOpen(), IsError(ErrorCode::kInvalidConfig, "' cannot be read: No such file"));
  truststore_.Write(authority_);
  EXPECT_OK(TryOpen());
  clock_.JumpWall(95 * kYear);
  truststore_.Write(authority_);
  EXPECT_THAT(CertificateFiles::Open({.keystore = keystore_.path()}, "", &clock_),
              IsError(ErrorCode::kInvalidConfig, "' holds a certificate (CN=node1) that has exp"));
  EXPECT_THAT(CertificateFiles::Open({.keystore = "/dev/zero"}, "", &clock_),
              IsError(ErrorCode::kInvalidConfig, "it is no file of keys"));
}

// What the others answer to it is a connection that ends.
TEST_F(CertificateFilesTest, ANodeHearsBeforehandThatTheOthersWillRefuseIt) {
  LogCapture log;
  Open("millrace://test/node/1");
  EXPECT_THAT(log.lines(), IsEmpty());
  Open("millrace://test/node/3");
  EXPECT_THAT(log.lines(),
              ElementsAre(AllOf(HasSubstr("ERROR tls"), HasSubstr("the certificate is not this"),
                                HasSubstr("expected=millrace://test/node/3"),
                                HasSubstr("found=millrace://test/node/1"))));
  // Also of a certificate that comes later.
  Open("millrace://test/node/1");
  keystore_.Write(ReadTlsFile("stranger1.pem"));
  files_->Check();
  EXPECT_EQ(Keystore(), ReadTlsFile("stranger1.pem"));
  ASSERT_THAT(log.lines(), SizeIs(3));
  EXPECT_THAT(log.lines()[2], AllOf(HasSubstr("refuse this one's certificate"),
                                    HasSubstr("(CN=stranger1) that is not believed")));
  files_->Check();
  EXPECT_THAT(log.lines(), SizeIs(3));
}

}  // namespace
}  // namespace millrace::rpc

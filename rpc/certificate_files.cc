#include "rpc/certificate_files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/log.h"
#include "base/status.h"

namespace millrace::rpc {
namespace {

constexpr char kComponent[] = "tls";
// The authorities of a whole system are a quarter of one MiB.
constexpr size_t kFileBytesMax = 4 << 20;

// The reasons go on after the file's name.
absl::Status Bad(absl::string_view why) { return MakeError(ErrorCode::kInvalidConfig, why); }

absl::StatusOr<std::string> Read(const std::string& path) {
  const FileDescriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) return Bad(absl::StrCat("cannot be read: ", strerror(errno)));
  std::string text(kFileBytesMax + 1, '\0');
  size_t size = 0;
  while (size < text.size()) {
    const ssize_t count = read(fd.get(), text.data() + size, text.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return Bad(absl::StrCat("cannot be read: ", strerror(errno)));
    if (count == 0) break;
    size += static_cast<size_t>(count);
  }
  if (size > kFileBytesMax) {
    return Bad(absl::StrCat("has more than ", kFileBytesMax, " bytes: it is no file of keys"));
  }
  text.resize(size);
  text.shrink_to_fit();
  return text;
}

absl::Status Named(const char* key, const std::string& path, const absl::Status& why) {
  return MakeError(ErrorCode::kInvalidConfig,
                   absl::StrCat(key, ": '", path, "' ", std::string(why.message())),
                   {.name = key, .value = path});
}

}  // namespace

CertificateFiles::CertificateFiles(const TlsFiles& files, std::string own_uri, const Clock* clock)
    : own_uri_(std::move(own_uri)), clock_(clock) {
  keystore_.path = files.keystore;
  truststore_.path = files.truststore;
}

absl::StatusOr<std::unique_ptr<CertificateFiles>> CertificateFiles::Open(const TlsFiles& files,
                                                                         const std::string& own_uri,
                                                                         const Clock* clock) {
  std::unique_ptr<CertificateFiles> opened(new CertificateFiles(files, own_uri, clock));
  const auto open_one = [](File* file, const CheckText& check) -> absl::Status {
    if (file->path.empty()) return absl::OkStatus();
    absl::StatusOr<std::string> text = Read(file->path);
    const absl::Status status = text.ok() ? check(*text) : text.status();
    if (!status.ok()) return Named(file->key, file->path, status);
    file->good = *std::move(text);
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(open_one(&opened->truststore_, [clock](const std::string& text) {
    return CheckTruststore(text, clock->WallNow());
  }));
  RETURN_IF_ERROR(open_one(&opened->keystore_, [&](const std::string& text) -> absl::Status {
    ASSIGN_OR_RETURN(CertificateFacts facts, CheckKeystore(text, clock->WallNow()));
    opened->TakeFacts(std::move(facts));
    return absl::OkStatus();
  }));
  opened->SayIfOthersRefuseIt();
  return opened;
}

void CertificateFiles::TakeFacts(CertificateFacts facts) {
  facts_ = std::move(facts);
  expires_ms_.store(facts_.expires.ms, std::memory_order_relaxed);
  expiry_said_ = false;
}

absl::Status CertificateFiles::MakeCopies() {
  for (File* file : {&keystore_, &truststore_}) {
    if (file->path.empty()) continue;
    absl::StatusOr<MemoryFile> copy = MemoryFile::Create(file->good);
    if (!copy.ok()) return Named(file->key, file->path, copy.status());
    file->copy = *std::move(copy);
  }
  return absl::OkStatus();
}

void CertificateFiles::Check() {
  bool news = false;
  if (!truststore_.path.empty()) {
    CheckAgain(&truststore_, [&](const std::string& text) -> absl::Status {
      RETURN_IF_ERROR(CheckTruststore(text, clock_->WallNow()));
      if (truststore_.copy.has_value()) RETURN_IF_ERROR(truststore_.copy->Replace(text));
      LOG_INFO(kComponent, "took up new authorities", {{"file", truststore_.path}});
      news = true;
      return absl::OkStatus();
    });
  }
  if (!keystore_.path.empty()) {
    CheckAgain(&keystore_, [&](const std::string& text) -> absl::Status {
      ASSIGN_OR_RETURN(CertificateFacts facts, CheckKeystore(text, clock_->WallNow()));
      if (keystore_.copy.has_value()) RETURN_IF_ERROR(keystore_.copy->Replace(text));
      LOG_INFO(kComponent, "took up a new certificate",
               {{"file", keystore_.path},
                {"subject", facts.subject},
                {"expires", UtcTime(facts.expires)}});
      TakeFacts(std::move(facts));
      news = true;
      return absl::OkStatus();
    });
    SayIfExpired();
  }
  if (news) SayIfOthersRefuseIt();
}

void CertificateFiles::CheckAgain(File* file, const CheckText& take) {
  absl::StatusOr<std::string> text = Read(file->path);
  if (!text.ok()) return Refuse(file, "", text.status());
  const bool changed = *text != file->good;
  if (changed) {
    // Again each time, also if it is the same as before: a certificate may not be valid yet.
    if (const absl::Status status = take(*text); !status.ok()) return Refuse(file, *text, status);
    file->good = *std::move(text);
  }
  if (!file->refused.exchange(false, std::memory_order_relaxed)) return;
  file->refused_text.clear();
  file->refused_why.clear();
  if (changed) return;
  LOG_INFO(kComponent, "a file of certificates is again the one that is in use",
           {{"key", file->key}, {"file", file->path}});
}

void CertificateFiles::Refuse(File* file, const std::string& text, const absl::Status& why) {
  const std::string reason(why.message());
  const bool said = file->refused.exchange(true, std::memory_order_relaxed) &&
                    file->refused_text == text && file->refused_why == reason;
  if (said) return;
  file->refused_text = text;
  file->refused_why = reason;
  LOG_WARN(kComponent, "a file of certificates is not taken: what was read before stays in use",
           {{"key", file->key}, {"file", file->path}, {"reason", reason}});
}

// They do so each for itself, and what this process hears of it is little: a connection that ends.
void CertificateFiles::SayIfOthersRefuseIt() const {
  if (own_uri_.empty() || keystore_.path.empty()) return;
  if (std::count(facts_.uris.begin(), facts_.uris.end(), own_uri_) == 0) {
    LOG_ERROR(kComponent, "the certificate is not this node's: the other nodes refuse it",
              {{"file", keystore_.path},
               {"subject", facts_.subject},
               {"expected", own_uri_},
               {"found", facts_.uris.empty() ? "no URI" : absl::StrJoin(facts_.uris, ",")}});
  }
  if (truststore_.path.empty()) return;
  const absl::Status believed = CheckBelieved(keystore_.good, truststore_.good, clock_->WallNow());
  if (believed.ok()) return;
  LOG_WARN(kComponent, "nodes with the same trust store refuse this one's certificate",
           {{"file", keystore_.path},
            {"truststore", truststore_.path},
            {"reason", std::string(believed.message())}});
}

// The last moment to hear of it: nobody who checks certificates lets this process in any more.
void CertificateFiles::SayIfExpired() {
  if (expiry_said_ || facts_.expires > clock_->WallNow()) return;
  expiry_said_ = true;
  LOG_ERROR(kComponent, "the certificate in use has expired: others refuse it",
            {{"file", keystore_.path},
             {"subject", facts_.subject},
             {"expired", UtcTime(facts_.expires)}});
}

}  // namespace millrace::rpc

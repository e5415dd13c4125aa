// CertificateFiles: the key store and the trust store of a process as they last were good, for
// gRPC, which by itself would take whatever it finds on the disk.
//
// What is read again is checked (pem_check.h) before it takes the place of what is in use; what is
// not good, or cannot be read, is said once for each content, and everything stays as it was until
// the file is right. gRPC reads copies in memory, into which only good contents get.
//
// Thread: Check is the owner's, one call at a time; what is asked of the object: any.
#ifndef RPC_CERTIFICATE_FILES_H_
#define RPC_CERTIFICATE_FILES_H_

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "rpc/memory_file.h"
#include "rpc/pem_check.h"

namespace millrace::rpc {

struct TlsFiles {
  // A private key, its certificate and what stands between that and an authority. Empty: nothing is
  // shown, as most clients do; a server needs it.
  std::string keystore;
  // Certificates of the authorities that are believed. Empty: those of the system, for a client; a
  // server then asks its clients for no certificate.
  std::string truststore;
};

class CertificateFiles {
 public:
  // Reads and checks the files. `own_uri`: what the other nodes know this one by; a certificate
  // that they will refuse is said to be so, and taken: it may do for clients. Empty: there are no
  // others. `clock` outlives this.
  // Errors: INVALID_CONFIG naming the key, the file and what is wrong with it.
  static absl::StatusOr<std::unique_ptr<CertificateFiles>> Open(const TlsFiles& files,
                                                                const std::string& own_uri,
                                                                const Clock* clock);

  // Reads them again.
  void Check();

  // The texts in use. REQUIRES: not during Check.
  const std::string& keystore() const { return keystore_.good; }
  const std::string& truststore() const { return truststore_.good; }

  bool has_keystore() const { return !keystore_.path.empty(); }
  bool has_truststore() const { return !truststore_.path.empty(); }
  bool has_copies() const { return keystore_.copy.has_value() || truststore_.copy.has_value(); }

  // Makes the copies that Check renews, and which live as long as this; empty for a file that there
  // is not.
  // Errors: INVALID_CONFIG where the system cannot have them.
  absl::Status MakeCopies();
  std::string keystore_copy() const { return keystore_.CopyPath(); }
  std::string truststore_copy() const { return truststore_.CopyPath(); }

  // Of the certificate in use.
  WallTime expires() const { return {expires_ms_.load(std::memory_order_relaxed)}; }
  // Whether the file as it is now is not the one in use, because something is wrong with it.
  bool keystore_refused() const { return keystore_.refused.load(std::memory_order_relaxed); }
  bool truststore_refused() const { return truststore_.refused.load(std::memory_order_relaxed); }

 private:
  struct File {
    // The config's name for it.
    const char* key;
    std::string path;
    // In use.
    std::string good = {};
    std::optional<MemoryFile> copy = std::nullopt;
    std::atomic<bool> refused{false};
    // What was said last of what was refused, and of which content.
    std::string refused_text = {};
    std::string refused_why = {};

    std::string CopyPath() const { return copy.has_value() ? copy->path() : std::string(); }
  };

  CertificateFiles(const TlsFiles& files, std::string own_uri, const Clock* clock);

  // Takes what is on the disk if `check` finds it good, and it is another than that in use.
  using CheckText = std::function<absl::Status(const std::string& text)>;
  void CheckAgain(File* file, const CheckText& check);
  void Refuse(File* file, const std::string& text, const absl::Status& why);
  void TakeFacts(CertificateFacts facts);
  void SayIfOthersRefuseIt() const;
  void SayIfExpired();

  const std::string own_uri_;
  const Clock* const clock_;
  File keystore_{.key = "ssl.keystore.location", .path = {}};
  File truststore_{.key = "ssl.truststore.location", .path = {}};
  CertificateFacts facts_;
  std::atomic<int64_t> expires_ms_{0};
  bool expiry_said_ = false;
};

}  // namespace millrace::rpc

#endif  // RPC_CERTIFICATE_FILES_H_

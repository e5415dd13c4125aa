// The PEM files of testing/tls as tests read, mix and write them.
//
// Thread: any; a WrittenFile: one owner.
#ifndef RPC_TESTING_TLS_FILES_H_
#define RPC_TESTING_TLS_FILES_H_

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "gtest/gtest.h"

namespace millrace::rpc::testdata {

inline std::string TlsFile(const std::string& name) { return "rpc/testing/tls/" + name; }

inline std::string ReadTlsFile(const std::string& name) {
  std::ifstream file(TlsFile(name));
  std::ostringstream text;
  text << file.rdbuf();
  EXPECT_FALSE(text.str().empty()) << name;
  return text.str();
}

// The parts of a key store, whose key comes first.
inline std::string KeyOf(const std::string& keystore) {
  return keystore.substr(0, keystore.find("-----BEGIN CERTIFICATE-----"));
}
inline std::string CertificateOf(const std::string& keystore) {
  return keystore.substr(keystore.find("-----BEGIN CERTIFICATE-----"));
}

// A file that a test changes, as an administrator should: written beside it, and renamed.
class WrittenFile {
 public:
  explicit WrittenFile(const std::string& text) {
    std::string directory = ::testing::TempDir() + "tls_XXXXXX";
    EXPECT_NE(mkdtemp(directory.data()), nullptr);
    path_ = directory + "/file.pem";
    Write(text);
  }
  ~WrittenFile() {
    Remove();
    std::remove(path_.substr(0, path_.rfind('/')).c_str());
  }
  WrittenFile(const WrittenFile&) = delete;
  WrittenFile& operator=(const WrittenFile&) = delete;

  void Write(const std::string& text) {
    std::ofstream(path_ + ".new") << text;
    EXPECT_EQ(std::rename((path_ + ".new").c_str(), path_.c_str()), 0);
  }
  void Remove() { std::remove(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace millrace::rpc::testdata

#endif  // RPC_TESTING_TLS_FILES_H_

#include "base/spare_descriptors.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace millrace {

bool TooManyOpen(int error) { return error == EMFILE || error == ENFILE; }

int OpenDescriptor(const std::string& path, int flags) {
  int fd = -1;
  do {
    fd = open(path.c_str(), flags | O_CLOEXEC, 0644);
  } while (fd < 0 && errno == EINTR);
  return fd;
}

SpareDescriptors::SpareDescriptors() {
  for (std::atomic<int>& spare : spares_) spare = -1;
  Refill();
}

SpareDescriptors::~SpareDescriptors() {
  while (GiveUpOne()) {
  }
}

int SpareDescriptors::Open(const std::string& path, int flags) {
  while (true) {
    const int fd = OpenDescriptor(path, flags);
    if (fd >= 0 || !TooManyOpen(errno)) return fd;
    const int error = errno;
    if (!GiveUpOne()) {
      errno = error;
      return -1;
    }
  }
}

void SpareDescriptors::Refill() {
  for (std::atomic<int>& spare : spares_) {
    if (spare.load() >= 0) continue;
    // Only a place among the open files: nothing can be done with it.
    const int fd = OpenDescriptor("/", O_PATH);
    if (fd < 0) return;
    int missing = -1;
    if (!spare.compare_exchange_strong(missing, fd)) close(fd);
  }
}

bool SpareDescriptors::GiveUpOne() {
  for (std::atomic<int>& spare : spares_) {
    const int fd = spare.exchange(-1);
    if (fd < 0) continue;
    close(fd);
    return true;
  }
  return false;
}

}  // namespace millrace

// SpareDescriptors: a few file descriptors in reserve, for what must not fail for want of one.
//
// A name that was changed lasts only once its directory was synced, and that takes a descriptor. A
// process that has opened all it may open would find out in the middle: the change is made, and
// neither to be finished nor to be called undone.
//
// What is given up here another thread (or, where the whole system has too many files open, another
// process) may snatch before it is used; then the next of the reserve goes.
//
// Part of posix_file_system; not for others.
//
// Thread: any.
#ifndef BASE_SPARE_DESCRIPTORS_H_
#define BASE_SPARE_DESCRIPTORS_H_

#include <array>
#include <atomic>
#include <string>

namespace millrace {

// Whether errno says that too many files are open, in the process or in the system.
bool TooManyOpen(int error);
// Open, again if a signal came; -1 and errno if it fails.
int OpenDescriptor(const std::string& path, int flags);

class SpareDescriptors {
 public:
  SpareDescriptors();
  ~SpareDescriptors();
  SpareDescriptors(const SpareDescriptors&) = delete;
  SpareDescriptors& operator=(const SpareDescriptors&) = delete;

  // As OpenDescriptor; where too many files are open, some of the reserve make room. To be closed
  // soon, and Refill called.
  int Open(const std::string& path, int flags);
  // Takes back what is missing, as far as there is room.
  void Refill();

 private:
  // False: there is none left.
  bool GiveUpOne();

  // -1: given up. Taken and put back by exchange, so that no lock is needed.
  std::array<std::atomic<int>, 8> spares_;
};

}  // namespace millrace

#endif  // BASE_SPARE_DESCRIPTORS_H_

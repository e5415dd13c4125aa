// SharedValue: a value that is never changed, only replaced by another; whoever gets it keeps it.
//
// Not std::atomic<std::shared_ptr>: libstdc++'s load of one (12.2) ends with a relaxed unlock, so
// that it races with the next store.
//
// Thread: any.
#ifndef BASE_SHARED_VALUE_H_
#define BASE_SHARED_VALUE_H_

#include <memory>
#include <mutex>
#include <utility>

namespace millrace {

template <typename T>
class SharedValue {
 public:
  explicit SharedValue(std::shared_ptr<const T> value = nullptr) : value_(std::move(value)) {}

  std::shared_ptr<const T> Get() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return value_;
  }

  // The former value is destroyed behind the lock, if nobody else has it: parameters outlive
  // locals.
  void Set(std::shared_ptr<const T> value) {
    const std::lock_guard<std::mutex> lock(mutex_);
    value_.swap(value);
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const T> value_;
};

}  // namespace millrace

#endif  // BASE_SHARED_VALUE_H_

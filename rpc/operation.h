// Operation: one kind of gRPC operation of a call object, used as its completion tag. While the
// operation is under way it keeps its owner alive, so that a call cannot go before its events.
//
// Thread: the queue's.
#ifndef RPC_OPERATION_H_
#define RPC_OPERATION_H_

#include <memory>
#include <utility>

#include "base/check.h"
#include "rpc/completion_queue_executor.h"

namespace millrace::rpc {

template <class Owner>
class Operation final : public CompletionTag {
 public:
  // `completed` is called on the owner when the operation has come back.
  explicit Operation(void (Owner::*completed)(bool ok)) : completed_(completed) {}

  // The tag for gRPC. REQUIRES: !pending().
  void* Start(std::shared_ptr<Owner> owner) {
    CHECK(owner_ == nullptr) << "an operation of this kind is under way already";
    owner_ = std::move(owner);
    return static_cast<CompletionTag*>(this);
  }

  bool pending() const { return owner_ != nullptr; }

  // Lets the owner go: for an operation of which gRPC says that it will never complete.
  void Abandon() { owner_.reset(); }

  void Complete(bool ok) override {
    const std::shared_ptr<Owner> owner = std::move(owner_);
    owner_ = nullptr;
    ((*owner).*completed_)(ok);
  }

 private:
  void (Owner::*const completed_)(bool ok);
  std::shared_ptr<Owner> owner_;
};

}  // namespace millrace::rpc

#endif  // RPC_OPERATION_H_

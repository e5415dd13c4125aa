// AuthorizeOnCluster: whether a caller may do something with the cluster as a whole.
//
// Thread: any (the authorizer's own rules hold).
#ifndef NODE_SERVICE_AUTHORIZE_H_
#define NODE_SERVICE_AUTHORIZE_H_

#include "absl/status/status.h"
#include "metadata/authorizer.h"
#include "rpc/call_context.h"

namespace millrace::node {

// Who calls, as the authorizer knows them.
metadata::Principal PrincipalOf(const rpc::CallContext& context);

// Errors: AUTHORIZATION_FAILED, naming the principal.
absl::Status AuthorizeOnCluster(const metadata::Authorizer& authorizer,
                                const rpc::CallContext& context, metadata::Operation operation);

}  // namespace millrace::node

#endif  // NODE_SERVICE_AUTHORIZE_H_

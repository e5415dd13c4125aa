// The version of this program, as it registers with the cluster and prints it.
//
// Thread: any.
#ifndef BASE_VERSION_H_
#define BASE_VERSION_H_

namespace millrace {

// Semantic versioning; raised by the commit that makes a release.
inline constexpr char kVersion[] = "0.1.0";

}  // namespace millrace

#endif  // BASE_VERSION_H_

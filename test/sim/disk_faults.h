// What a simulated disk can be made to do to one log directory, and room for all.
//
// Thread: the simulation's one.
#ifndef TEST_SIM_DISK_FAULTS_H_
#define TEST_SIM_DISK_FAULTS_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/sim/sim_file_system.h"
#include "base/sim/sim_random.h"

namespace millrace::sim {

// More than any simulation fills.
inline constexpr uint64_t kPlentyOfRoom = uint64_t{1} << 40;

bool IsBelow(const std::string& path, const std::string& directory);

// From now on calls below `directory` fail: with kNoSpace those that need room, as where a quota is
// used up, which no free space tells; with kIoError all. In place of the disk's other plans.
void FailDirectory(SimFileSystem* disk, const std::string& directory, SimFault fault);
// One call fails, the one after `calls` others below `directory`.
void FailOneCall(SimFileSystem* disk, const std::string& directory, uint64_t calls);
// Nothing below `directory` can be read.
void FailReads(SimFileSystem* disk, const std::string& directory);

// Flips a bit of the batches of one segment in the directory of a partition's log. False: it has
// none.
enum class RotWhere { kAnySegment, kLastSegment, kLastBatch };
bool RotLog(SimFileSystem* disk, const std::string& directory, SimRandom* random,
            RotWhere where = RotWhere::kAnySegment);

}  // namespace millrace::sim

#endif  // TEST_SIM_DISK_FAULTS_H_

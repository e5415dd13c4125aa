// StopSignals: SIGINT and SIGTERM end a command's loop instead of its process, so that what it has
// under way is brought to its end. A second one of the same kind ends the process as ever.
//
// They are of the process, and so is what stands here: one command runs in one process.
//
// Thread: main; signals may arrive on any.
#ifndef TOOLS_MILLRACE_STOP_SIGNALS_H_
#define TOOLS_MILLRACE_STOP_SIGNALS_H_

namespace millrace::tools {

// From here on they are caught. Forgets those that came before.
void CatchStopSignals();

// Whether one has come.
bool StopRequested();

// Waits until `descriptor` can be read (its end and its errors can be, too), or one has come.
void AwaitReadable(int descriptor);

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_STOP_SIGNALS_H_

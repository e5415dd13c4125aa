// For LD_PRELOAD into a server: counts allocations and the bytes that memcpy and memmove carry in
// pieces of a KiB and more, which is how payload is copied. The counts lie in the file that
// COUNTING_MEMORY_FILE names, as three little-endian 64-bit numbers: allocations, bytes copied,
// copies; a reader may map or read it at any time.
//
// Only calls through the dynamic linker are seen, also those of the system's libraries, but not
// what a compiler expanded in place: those are small. Copies by the kernel are not counted.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

namespace {

constexpr size_t kPayloadMin = 1024;

struct Counts {
  std::atomic<int64_t> allocations;
  std::atomic<int64_t> bytes_copied;
  std::atomic<int64_t> copies;
};

// Where counts go until the file is there, and if there is none.
Counts spare;
Counts* counts = &spare;

void* (*real_memcpy)(void*, const void*, size_t) = nullptr;
void* (*real_memmove)(void*, const void*, size_t) = nullptr;

template <class Function>
Function Next(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

__attribute__((constructor)) void Open() {
  real_memcpy = Next<decltype(real_memcpy)>("memcpy");
  real_memmove = Next<decltype(real_memmove)>("memmove");
  const char* path = getenv("COUNTING_MEMORY_FILE");
  if (path == nullptr) return;
  const int file = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0644);
  if (file < 0 || ftruncate(file, sizeof(Counts)) != 0) return;
  void* map = mmap(nullptr, sizeof(Counts), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (map != MAP_FAILED) counts = static_cast<Counts*>(map);
  close(file);
}

void CountCopy(size_t size) {
  if (size < kPayloadMin) return;
  counts->bytes_copied.fetch_add(static_cast<int64_t>(size), std::memory_order_relaxed);
  counts->copies.fetch_add(1, std::memory_order_relaxed);
}

void CountAllocation() { counts->allocations.fetch_add(1, std::memory_order_relaxed); }

// Byte by byte, before the real one is known; volatile, lest it becomes a call of memcpy again.
void CopySlowly(void* to, const void* from, size_t size) {
  volatile char* out = static_cast<char*>(to);
  const char* in = static_cast<const char*>(from);
  if (out <= in) {
    for (size_t i = 0; i < size; ++i) out[i] = in[i];
  } else {
    for (size_t i = size; i > 0; --i) out[i - 1] = in[i - 1];
  }
}

}  // namespace

extern "C" {

// glibc's own entry points, which need no lookup: that would allocate.
void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* memory, size_t size);
void* __libc_memalign(size_t alignment, size_t size);

void* malloc(size_t size) {
  CountAllocation();
  return __libc_malloc(size);
}
void* calloc(size_t count, size_t size) {
  CountAllocation();
  return __libc_calloc(count, size);
}
void* realloc(void* memory, size_t size) {
  CountAllocation();
  return __libc_realloc(memory, size);
}
int posix_memalign(void** memory, size_t alignment, size_t size) {
  CountAllocation();
  *memory = __libc_memalign(alignment, size);
  return *memory == nullptr ? 12 : 0;
}
void* aligned_alloc(size_t alignment, size_t size) {
  CountAllocation();
  return __libc_memalign(alignment, size);
}

void* memcpy(void* __restrict to, const void* __restrict from, size_t size) {
  CountCopy(size);
  if (real_memcpy != nullptr) return real_memcpy(to, from, size);
  CopySlowly(to, from, size);
  return to;
}
void* memmove(void* to, const void* from, size_t size) {
  CountCopy(size);
  if (real_memmove != nullptr) return real_memmove(to, from, size);
  CopySlowly(to, from, size);
  return to;
}

}  // extern "C"

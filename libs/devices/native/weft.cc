// The C interface: what TypeScript calls (libs/devices/src/cpu/library.ts).
#include "ceilings.h"
#include "kept-blocks.h"
#include "pointwise.h"
#include "program.h"
#if defined(__GLIBC__)
#include <malloc.h>
#endif

using namespace weft;

namespace {
thread_local std::string lastError;

template <class Body>
int32_t guarded(const Body& body) {
  try {
    body();
    return 0;
  } catch (const std::bad_alloc&) {
    lastError = "out of memory";
  } catch (const std::exception& error) {
    lastError = error.what();
  }
  return 1;
}

#if defined(__GLIBC__)
/**
 * Memory of results that are collected serves the next ones: by itself the C library gives pieces of more than some hundred KB back to the
 * system, so that each result of that size begins with faults on all of its pages. What the environment says of it goes before.
 */
[[maybe_unused]] const bool keepsFreedMemory = [] {
  if (std::getenv("MALLOC_TRIM_THRESHOLD_") == nullptr) mallopt(M_TRIM_THRESHOLD, 128 << 20);
  if (std::getenv("MALLOC_MMAP_THRESHOLD_") == nullptr) mallopt(M_MMAP_THRESHOLD, 32 << 20);
  return true;
}();
#endif
}  // namespace

extern "C" {

/** What the last call on this thread that did not return 0 failed of. */
const char* weft_error() { return lastError.c_str(); }

/** Names of the kinds of steps, in the order of their numbers, a newline after each. */
const char* weft_operations() {
  static const std::string names = [] {
    std::string all;
    for (const auto& [name, factory] : operations()) all += name + "\n";
    return all;
  }();
  return names.c_str();
}

/** As weft_operations, of the instructions of pointwise steps. */
const char* weft_instructions() {
  static const std::string names = [] {
    std::string all;
    for (const auto& [name, run] : instructions()) all += name + "\n";
    return all;
  }();
  return names.c_str();
}

int64_t weft_vector_bytes() { return vectorBytes; }

/** Threads that share a job; 0 asks only. */
int32_t weft_threads(int32_t threads) {
  if (threads > 0) pool().resize(int(threads));
  return pool().size();
}

/** A program, or null. `bindings` stays the caller's and must outlive it. */
void* weft_create(const int64_t* words, int64_t count, const double* bindings, int64_t slots, int64_t dynamic) {
  Program* program = nullptr;
  guarded([&] { program = new Program(Reader(words, count), bindings, slots, dynamic); });
  return program;
}
void weft_destroy(void* program) { delete static_cast<Program*>(program); }
void weft_bind(void* program) { static_cast<Program*>(program)->bind(); }

int32_t weft_run(void* program, int32_t from, int32_t to) {
  return guarded([&] { static_cast<Program*>(program)->run(from, to); });
}
int32_t weft_run_all(void* program) {
  return guarded([&] {
    Program* whole = static_cast<Program*>(program);
    whole->run(0, whole->length());
  });
}

/** Asks for large pages, where the system has them, for memory that nothing has touched yet: their addresses are found faster. */
void weft_large_pages(char* memory, int64_t bytes) { useLargePages(memory, bytes); }

/** The bytes that steps of all threads keep, such as packed weights. */
double weft_kept() { return double(KeptBlocks::bytes()); }

/** A ceiling of the machine, in operations or bytes a second; 0 when it could not be measured. */
double weft_ceiling(int32_t kind, int64_t bytes) {
  double rate = 0;
  guarded([&] {
    rate = kind == 0 ? multiplyAddsPerSecond() : kind == 1 ? readsPerSecond(bytes) : triadPerSecond(bytes);
  });
  return rate;
}
}

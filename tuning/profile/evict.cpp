#include <cstdint>

// Each thread writes a part of the buffer, so that private caches are evicted too.
extern "C" void triptych_evict(char* buffer, int64_t bytes, int64_t threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < bytes; i += 64) ++((volatile char*)buffer)[i];
}

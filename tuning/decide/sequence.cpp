// Runs steps one after another without Python in between.
#include <cstdint>
#include <time.h>

struct Step {
    void (*run)(void* const*, const int64_t*, const int64_t*, void*);
    void* const* args;
    const int64_t* dims;
    const int64_t* blocks;
    void* scratch;
};

static int64_t now_ns() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

extern "C" int64_t triptych_sequence_ns(const Step* steps, int64_t count, int64_t calls) {
    int64_t start = now_ns();
    for (int64_t i = 0; i < calls; ++i)
        for (int64_t s = 0; s < count; ++s)
            steps[s].run(steps[s].args, steps[s].dims, steps[s].blocks, steps[s].scratch);
    return now_ns() - start;
}

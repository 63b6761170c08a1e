// The profiler's stopwatch: repeats a kernel without Python in between.
#include <cstdint>
#include <sys/resource.h>
#include <time.h>

typedef void (*Run)(void* const*, const int64_t*, const int64_t*, void*);

static int64_t now_ns() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

// How often the system has taken a core from a thread of this process that wanted to go on.
static int64_t preemptions() {
    rusage used;
    getrusage(RUSAGE_SELF, &used);
    return used.ru_nivcsw;
}

extern "C" int64_t triptych_time_ns(Run run, void* const* args, const int64_t* dims,
                                    const int64_t* blocks, void* scratch, int64_t calls,
                                    int64_t* preempted) {
    int64_t before = preemptions(), start = now_ns();
    for (int64_t i = 0; i < calls; ++i) run(args, dims, blocks, scratch);
    int64_t taken = now_ns() - start;
    *preempted = preemptions() - before;
    return taken;
}

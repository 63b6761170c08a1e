// The copy that padding costs: raced by the decision, and run by models that are built padded.
#include <cstdint>
#include <cstring>

typedef float Four __attribute__((vector_size(16)));

// Rows of `from` floats to rows of `to` floats. KEEP floats are copied; it and TO are constants
// where a call of memcpy would cost more than what it moves.
template <int KEEP, int TO>
static void copy_rows(const float* x, float* y, int64_t rows, int64_t from, int64_t to,
                      int64_t threads) {
    int64_t keep = KEEP ? KEEP : from < to ? from : to;
    int64_t wide = TO ? TO : to;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t r = 0; r < rows; ++r) {
        if (KEEP == 3 && TO == 4 && r + 1 < rows) {  // four are read: the fourth is the next row's
            Four row;
            memcpy(&row, x + r * 3, sizeof(row));
            row[3] = 0.0f;
            memcpy(y + r * 4, &row, sizeof(row));
            continue;
        }
        memcpy(y + r * wide, x + r * from, keep * sizeof(float));
        for (int64_t c = keep; c < wide; ++c) y[r * wide + c] = 0.0f;
    }
}

// args: from, to; dims: rows, width from, width to; blocks: threads.
extern "C" void triptych_copy(void* const* args, const int64_t* dims, const int64_t* blocks,
                              void*) {
    const float* x = (const float*)args[0];
    float* y = (float*)args[1];
    auto with = [&](auto copy) { copy(x, y, dims[0], dims[1], dims[2], blocks[0]); };
    if (dims[1] == 3 && dims[2] == 4) return with(copy_rows<3, 4>);  // a picture's channels
    with(copy_rows<0, 0>);
}

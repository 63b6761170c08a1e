// The register tile: R rows by NV vectors of accumulators that stay in registers over all of K.
//
// The rows of A are given as pointers, one per row and *run*: a run is a stretch of K that is
// contiguous in memory. A matrix has one run (its row), a convolution KH KW of them (the pixels
// under the kernel), so one tile serves both (cf. Dukhan, "The Indirect Convolution
// Algorithm", 2019). B is packed: panels of NR = NV * LANES columns, k-major.

struct Epi {  // operands of an epilogue: bias at the tile's first column, residual at the block
    const float* bias;
    const float* residual;
    bool past;  // results go past the caches
};

template <int R, int NV>
struct Acc { vf x[R][NV]; };

template <int R, int NV>
INLINE void zero(Acc<R, NV>& acc) {
#pragma GCC unroll 32
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 8
        for (int j = 0; j < NV; ++j) acc.x[i][j] = vf{};
}

template <int R, int NV, int NR>
INLINE void step(Acc<R, NV>& acc, const float* const* a, int64_t k, const float* b) {
    vf row[NV];
#pragma GCC unroll 8
    for (int j = 0; j < NV; ++j) row[j] = load(b + j * LANES);
#pragma GCC unroll 32
    for (int i = 0; i < R; ++i) {
        vf x = splat(a[i][k]);
#pragma GCC unroll 8
        for (int j = 0; j < NV; ++j) add_product(acc.x[i][j], x, row[j]);
    }
}

// One run of `length` values per row.
template <int R, int NV, int NR, int UNROLL, bool ALIGNED>
INLINE void run_rows(Acc<R, NV>& acc, const float* const* rows, int64_t start, int64_t length,
                     const float* b) {
    const float* a[R];
#pragma GCC unroll 32
    for (int i = 0; i < R; ++i) a[i] = rows[i] + start;
    int64_t k = 0;
    for (; k + UNROLL <= length; k += UNROLL) {
#pragma GCC unroll 16
        for (int u = 0; u < UNROLL; ++u) step<R, NV, NR>(acc, a, k + u, b + u * NR);
        b += UNROLL * NR;
    }
    if (!ALIGNED)
        for (; k < length; ++k, b += NR) step<R, NV, NR>(acc, a, k, b);
}

// A packed k-major in strips of MR rows: one pointer.
template <int R, int MR, int NV, int NR, int UNROLL, bool ALIGNED>
INLINE void run_strip(Acc<R, NV>& acc, const float* a, int64_t length, const float* b) {
    int64_t k = 0;
    auto one = [&](const float* at, const float* bt) {
        vf row[NV];
#pragma GCC unroll 8
        for (int j = 0; j < NV; ++j) row[j] = load(bt + j * LANES);
#pragma GCC unroll 32
        for (int i = 0; i < R; ++i) {
            vf x = splat(at[i]);
#pragma GCC unroll 8
            for (int j = 0; j < NV; ++j) add_product(acc.x[i][j], x, row[j]);
        }
    };
    for (; k + UNROLL <= length; k += UNROLL) {
#pragma GCC unroll 16
        for (int u = 0; u < UNROLL; ++u) one(a + u * MR, b + u * NR);
        a += UNROLL * MR;
        b += UNROLL * NR;
    }
    if (!ALIGNED)
        for (; k < length; ++k, a += MR, b += NR) one(a, b);
}

// Adds what earlier K blocks left in `c`, applies the epilogue if this is the last one, stores.
// Row i begins `at[i]` values behind `c`, and so in the residual.
template <int R, int NV, bool ALIGNED, class E, class Out>
INLINE void finish(Acc<R, NV>& acc, Out* c, const int64_t (&at)[R], int columns, bool first,
                   bool last, const Epi& epi) {
#pragma GCC unroll 8
    for (int j = 0; j < NV; ++j) {
        int here = columns - j * LANES;
        bool whole = ALIGNED || here >= LANES;
        vf bias{};
        if (E::BIAS && last)
            bias = whole ? load(epi.bias + j * LANES) : load_part(epi.bias + j * LANES, here);
#pragma GCC unroll 32
        for (int i = 0; i < R; ++i) {
            vf x = acc.x[i][j];
            Out* p = c + at[i] + j * LANES;
            if constexpr (std::is_same_v<Out, float>)
                if (!first) x += whole ? load(p) : load_part(p, here);
            if (last) {
                vf residual{};
                if (E::RESIDUAL) {
                    const float* q = epi.residual + at[i] + j * LANES;
                    residual = whole ? load(q) : load_part(q, here);
                }
                x = E::apply(x, bias, residual);
            }
            if (!whole) {
                put_part(p, x, here);
                continue;
            }
            if constexpr (std::is_same_v<Out, float>)
                if (epi.past && last) {
                    put_past(p, x);
                    continue;
                }
            put(p, x);
        }
    }
}

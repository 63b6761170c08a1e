// D = epilogue(A B) for A as a *source* of rows: a matrix, the pixels of an image, a buffer.
//
// A source has: runs(), length() (K = runs * length), point(table, row, rows, stride), which
// writes the pointer to run r of row i at table[r * stride + i], and copy(row, to), which writes
// K contiguous values.

enum Gather { DIRECT, ROWS, STRIPS };  // read A where it is; from a copied block; from packed strips

template <int MR_, int NV_, int UNROLL_, int GATHER_, bool ALIGNED_>
struct Tile {
    static constexpr int MR = MR_, NV = NV_, NR = NV_ * LANES, UNROLL = UNROLL_;
    static constexpr int GATHER = GATHER_;
    static constexpr bool ALIGNED = ALIGNED_;
};

struct Blocks { int64_t rows, columns, depth, threads; };  // MC, NC, KC, threads

INLINE int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
INLINE int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }
// Leading dimension of a copied row: not a multiple of 4 KiB, so that rows spread over cache sets.
INLINE int64_t spread(int64_t k) { return round_up(k, 16) + 16; }

template <class T>
int64_t packed_floats(int64_t n, int64_t k) { return ceil_div(n, T::NR) * T::NR * k; }

// B[k][n] with strides -> panels, zeros beyond n.
template <class T>
void pack_panels(const float* b, int64_t n, int64_t k, int64_t step_k, int64_t step_n, float* to) {
    for (int64_t j = 0; j < n; j += T::NR)
        for (int64_t kk = 0; kk < k; ++kk)
            for (int64_t jj = 0; jj < T::NR; ++jj)
                *to++ = j + jj < n ? b[kk * step_k + (j + jj) * step_n] : 0.0f;
}

// A block of rows as tiles reach it, in memory that the caller gives.
template <class T>
struct Block {
    const float** table;  // [tile][run][MR]
    float* copy;
    int64_t runs, length, k;

    static int64_t table_entries(int64_t rows, int64_t runs) {
        return T::GATHER == STRIPS ? 0
                                   : ceil_div(rows, T::MR) * T::MR * (T::GATHER == ROWS ? 1 : runs);
    }
    static int64_t copy_floats(int64_t rows, int64_t k) {
        if (T::GATHER == DIRECT) return 0;
        return round_up(rows, T::MR) * spread(k);
    }

    template <class Source>
    void fill(const Source& source, int64_t first, int64_t rows) {
        k = source.runs() * source.length();
        runs = T::GATHER == DIRECT ? source.runs() : 1;
        length = T::GATHER == DIRECT ? source.length() : k;
        if (T::GATHER == STRIPS) return fill_strips(source, first, rows);
        for (int64_t i = 0; i < rows; i += T::MR) {
            int64_t here = std::min<int64_t>(T::MR, rows - i);
            const float** at = table + i * runs;
            if (T::GATHER == DIRECT) {
                source.point(at, first + i, here, T::MR);
            } else {
                for (int64_t r = 0; r < here; ++r) {
                    float* to = copy + (i + r) * spread(k);
                    source.copy(first + i + r, to);
                    at[r] = to;
                }
            }
        }
    }

    template <class Source>
    void fill_strips(const Source& source, int64_t first, int64_t rows) {
        float row[4096];
        std::vector<float> large;
        float* one = row;
        if (k > 4096) { large.resize(k); one = large.data(); }
        for (int64_t i = 0; i < rows; i += T::MR)
            for (int64_t r = 0; r < std::min<int64_t>(T::MR, rows - i); ++r) {
                source.copy(first + i + r, one);
                float* to = copy + i * spread(k) + r;
                for (int64_t kk = 0; kk < k; ++kk) to[kk * T::MR] = one[kk];
            }
    }
};

// Where a block's results go; pointers at the block's first row, column 0.
template <class Out>
struct Sink {
    Out* c;
    int64_t ld;
    const float* bias;
    const float* residual;
};

struct Span { int64_t run0, run1, k0, k1, offset; bool first, last; };  // a block of K

template <class T, class E, class Out, int R, int V>
void one_tile(const Block<T>& a, int64_t tile, int64_t row, const float* panel, const Span& s,
              Out* c, const Sink<Out>& sink, int64_t j, int64_t columns) {
    Acc<R, V> acc;
    zero(acc);
    const float* b = panel + s.offset * T::NR;
    if constexpr (T::GATHER == STRIPS) {
        const float* strip = a.copy + tile * T::MR * spread(a.k) + row + s.k0 * T::MR;
        run_strip<R, T::MR, V, T::NR, T::UNROLL, T::ALIGNED>(acc, strip, s.k1 - s.k0, b);
    } else {
        const float* const* rows = a.table + tile * T::MR * a.runs + row;
        for (int64_t run = s.run0; run < s.run1; ++run) {
            run_rows<R, V, T::NR, T::UNROLL, T::ALIGNED>(
                acc, rows + run * T::MR, s.k0, s.k1 - s.k0, b);
            b += (s.k1 - s.k0) * T::NR;
        }
    }
    Epi at{sink.bias + j, sink.residual, sink.ld};
    at.residual += (tile * T::MR + row) * sink.ld + j;
    finish<R, V, T::ALIGNED, E>(acc, c, sink.ld, (int)columns, s.first, s.last, at);
}

template <class T, class E, class Out, int R, int V>
INLINE void by_columns(const Block<T>& a, int64_t tile, int64_t row, const float* panel,
                       const Span& s, Out* c, const Sink<Out>& sink, int64_t j, int64_t columns) {
    if constexpr (V > 1 && !T::ALIGNED)
        if (columns <= (V - 1) * LANES)
            return by_columns<T, E, Out, R, V - 1>(a, tile, row, panel, s, c, sink, j, columns);
    one_tile<T, E, Out, R, V>(a, tile, row, panel, s, c, sink, j, columns);
}

// Rows that do not fill a tile are done by tiles of half the height, a quarter, ...
template <class T, class E, class Out, int R>
INLINE void by_rows(const Block<T>& a, int64_t tile, int64_t row, int64_t rows, const float* panel,
                    const Span& s, const Sink<Out>& sink, int64_t j, int64_t columns) {
    while (rows >= R) {
        Out* c = sink.c + (tile * T::MR + row) * sink.ld + j;
        by_columns<T, E, Out, R, T::NV>(a, tile, row, panel, s, c, sink, j, columns);
        row += R;
        rows -= R;
    }
    constexpr int NEXT = R > 8 ? 8 : R > 4 ? 4 : R > 2 ? 2 : 1;
    if constexpr (R > 1)
        if (rows) by_rows<T, E, Out, NEXT>(a, tile, row, rows, panel, s, sink, j, columns);
}

// Columns [j0, j1) of a block of rows, one span of K.
template <class T, class E, class Out>
void multiply(const Block<T>& a, int64_t rows, const float* packed, int64_t n, int64_t j0,
              int64_t j1, const Span& s, const Sink<Out>& sink) {
    for (int64_t j = j0; j < j1; j += T::NR) {
        const float* panel = packed + j * a.k;
        int64_t columns = std::min<int64_t>(T::NR, n - j);
        for (int64_t i = 0, tile = 0; i < rows; i += T::MR, ++tile) {
            int64_t here = std::min<int64_t>(T::MR, rows - i);
            by_rows<T, E, Out, T::MR>(a, tile, 0, here, panel, s, sink, j, columns);
        }
    }
}

// All of K, in blocks of about `depth`.
template <class T, class E, class Out>
void multiply_deep(const Block<T>& a, int64_t rows, const float* packed, int64_t n, int64_t j0,
                   int64_t j1, int64_t depth, const Sink<Out>& sink) {
    if (!std::is_same_v<Out, float>) depth = a.k;  // partial sums are kept in float
    if (a.runs == 1) {
        for (int64_t k = 0; k < a.k; k += depth) {
            int64_t end = std::min(a.k, k + depth);
            Span s{0, 1, k, end, k, k == 0, end == a.k};
            multiply<T, E>(a, rows, packed, n, j0, j1, s, sink);
        }
    } else {
        int64_t runs = std::max<int64_t>(1, depth / a.length);
        for (int64_t run = 0; run < a.runs; run += runs) {
            int64_t end = std::min(a.runs, run + runs);
            Span s{run, end, 0, a.length, run * a.length, run == 0, end == a.runs};
            multiply<T, E>(a, rows, packed, n, j0, j1, s, sink);
        }
    }
}

INLINE char* aligned_at(char* p) { return (char*)(((uintptr_t)p + 63) & ~(uintptr_t)63); }

template <class T>
int64_t scratch_bytes(int64_t m, int64_t runs, int64_t k, const Blocks& blocks) {
    int64_t rows = std::min(blocks.rows, m);
    int64_t each = Block<T>::table_entries(rows, runs) * 8 + Block<T>::copy_floats(rows, k) * 4;
    return (each + 256) * blocks.threads;
}

template <class T, class E, class Out, class Source>
void product(const Source& source, int64_t m, int64_t n, const float* packed, const Blocks& blocks,
             char* scratch, Out* c, const float* bias, const float* residual) {
    int64_t k = source.runs() * source.length();
    int64_t mc = std::min(blocks.rows, m), nc = round_up(std::min(blocks.columns, n), T::NR);
    int64_t down = ceil_div(m, mc), across = ceil_div(n, nc);
    int64_t each = scratch_bytes<T>(m, source.runs(), k, {blocks.rows, 0, 0, 1});
#pragma omp parallel num_threads(blocks.threads) if (blocks.threads > 1)
    {
        char* mine = aligned_at(scratch + each * omp_get_thread_num());
        Block<T> block;
        block.table = (const float**)mine;
        block.copy = (float*)aligned_at(
            mine + Block<T>::table_entries(mc, source.runs()) * 8);
        int64_t filled = -1;
#pragma omp for schedule(static)
        for (int64_t task = 0; task < down * across; ++task) {
            int64_t i = task / across * mc, j = task % across * nc;
            int64_t rows = std::min(mc, m - i);
            if (filled != i) block.fill(source, i, rows);
            filled = i;
            Sink<Out> sink{c + i * n, n, bias, residual ? residual + i * n : nullptr};
            multiply_deep<T, E>(block, rows, packed, n, j, std::min(n, j + nc), blocks.depth, sink);
        }
    }
}

// D = epilogue(A B): blocks of rows and columns shared out to threads, register tiles in each.

struct Blocks {
    int64_t rows, columns, depth, threads, stream;  // MC, NC, KC; stream: results pass the caches
    explicit Blocks(const int64_t* b) : Blocks(b[0], b[1], b[2], b[3], b[4]) {}
    Blocks(int64_t rows, int64_t columns, int64_t depth, int64_t threads, int64_t stream)
        : rows(rows), columns(columns), depth(depth), threads(threads), stream(stream) {}
};

template <class T>
int64_t packed_floats(int64_t n, int64_t k) { return ceil_div(n, T::NR) * T::NR * k; }

// Where a block's results go; pointers at the block's first row, column 0.
template <class Out>
struct Sink {
    Out* c;
    int64_t ld;
    const float* bias;
    const float* residual;
    bool past;
};
// Whether results may go past the caches: rows of whole, aligned vectors.
template <class Out>
bool streams(const Blocks& blocks, const Out* c, int64_t ld) {
    return blocks.stream && (uintptr_t)c % (LANES * 4) == 0 && ld % LANES == 0;
}

struct Span { int64_t run0, run1, k0, k1; bool first, last; };  // a block of K

template <class T, class E, class Out, int R, int V, class B>
void one_tile(const B& a, int64_t tile, int64_t row, const float* panel, const Span& s,
              const Sink<Out>& sink, int64_t j, int64_t columns) {
    Acc<R, V> acc;
    zero(acc);
    const int64_t depth = s.k1 - s.k0;
    if constexpr (T::GATHER == STRIPS) {
        const float* strip = a.copy + tile * T::MR * spread(a.k) + row + s.k0 * T::MR;
        run_strip<R, T::MR, V, T::NR, T::UNROLL, T::ALIGNED>(acc, strip, depth,
                                                             panel + s.k0 * T::NR);
    } else {
        auto one = [&](int64_t run) __attribute__((always_inline)) {
            const float* const* rows = a.table + (tile * a.runs + run) * T::MR + row;
            const float* b = panel + (run * a.length + s.k0) * T::NR;
            run_rows<R, V, T::NR, T::UNROLL, T::ALIGNED>(acc, rows, s.k0, depth, b);
        };
        if constexpr (B::SKIPS) {
            const int32_t* live = a.live + tile * (1 + a.runs);
            for (int32_t i = 1; i <= live[0]; ++i)
                if (live[i] >= s.run0 && live[i] < s.run1) one(live[i]);
        } else {
            for (int64_t run = s.run0; run < s.run1; ++run) one(run);
        }
    }
    int64_t at[R];
#pragma GCC unroll 32
    for (int i = 0; i < R; ++i) at[i] = a.row_of(tile * T::MR + row + i) * sink.ld + j;
    Epi epi{sink.bias + j, sink.residual, sink.past};
    finish<R, V, T::ALIGNED, E>(acc, sink.c, at, (int)columns, s.first, s.last, epi);
}

template <class T, class E, class Out, int R, int V, class B>
INLINE void by_columns(const B& a, int64_t tile, int64_t row, const float* panel, const Span& s,
                       const Sink<Out>& sink, int64_t j, int64_t columns) {
    if constexpr (V > 1 && !T::ALIGNED)
        if (columns <= (V - 1) * LANES)
            return by_columns<T, E, Out, R, V - 1>(a, tile, row, panel, s, sink, j, columns);
    one_tile<T, E, Out, R, V>(a, tile, row, panel, s, sink, j, columns);
}

// Rows that do not fill a tile are done by smaller tiles.
template <class T, class E, class Out, int R, class B>
INLINE void by_rows(const B& a, int64_t tile, int64_t row, int64_t rows, const float* panel,
                    const Span& s, const Sink<Out>& sink, int64_t j, int64_t columns) {
    while (rows >= R) {
        by_columns<T, E, Out, R, T::NV>(a, tile, row, panel, s, sink, j, columns);
        row += R;
        rows -= R;
    }
    constexpr int NEXT = R > 8 ? 8 : R > 4 ? 4 : R > 2 ? 2 : 1;
    if constexpr (R > 1)
        if (rows) by_rows<T, E, Out, NEXT>(a, tile, row, rows, panel, s, sink, j, columns);
}

// Columns [j0, j1) of a block of rows, one span of K.
template <class T, class E, class Out, class B>
void multiply(const B& a, int64_t rows, const float* packed, int64_t n, int64_t j0, int64_t j1,
              const Span& s, const Sink<Out>& sink) {
    // Rows that are read where they are, and for the first time: the next tile's are asked for.
    // Tall tiles have so many of them that asking costs more than waiting.
    const bool ask = T::POINTS && T::MR <= 8 && a.runs == 1;
    for (int64_t j = j0; j < j1; j += T::NR) {
        const float* panel = packed + j * a.k;
        int64_t columns = std::min<int64_t>(T::NR, n - j);
        for (int64_t i = 0, tile = 0; i < rows; i += T::MR, ++tile) {
            int64_t here = std::min<int64_t>(T::MR, rows - i);
            if (ask && j == j0 && i + 2 * T::MR <= rows)
                for (int r = 0; r < T::MR; ++r)
                    for (int64_t kk = s.k0; kk < s.k1; kk += 16)
                        __builtin_prefetch(a.table[i + T::MR + r] + kk);
            by_rows<T, E, Out, T::MR>(a, tile, 0, here, panel, s, sink, j, columns);
        }
    }
}

// All of K, in blocks of about `depth`: of values within one run, or of whole runs.
template <class T, class E, class Out, class B>
void multiply_deep(const B& a, int64_t rows, const float* packed, int64_t n, int64_t j0,
                   int64_t j1, int64_t depth, const Sink<Out>& sink) {
    if (!std::is_same_v<Out, float>) depth = a.k;  // partial sums are kept in float
    if (a.runs == 1) {
        for (int64_t k = 0; k < a.k; k += depth) {
            int64_t end = std::min(a.k, k + depth);
            multiply<T, E>(a, rows, packed, n, j0, j1, {0, 1, k, end, k == 0, end == a.k}, sink);
        }
    } else {
        int64_t runs = std::max<int64_t>(1, depth / a.length);
        for (int64_t run = 0; run < a.runs; run += runs) {
            int64_t end = std::min(a.runs, run + runs);
            Span s{run, end, 0, a.length, run == 0, end == a.runs};
            multiply<T, E>(a, rows, packed, n, j0, j1, s, sink);
        }
    }
}

// How a product is cut into tasks: blocks of at most the wanted size, equal in rows, and as many
// as the threads can share evenly where rows are what is shared.
template <class T>
struct Cut {
    int64_t rows, columns, down, across;
    Cut(int64_t m, int64_t n, const Blocks& blocks) {
        columns = round_up(std::min(blocks.columns, n), T::NR);
        across = ceil_div(n, columns);
        down = ceil_div(m, std::min(blocks.rows, m));
        if (across % blocks.threads) down = round_up(down, blocks.threads);
        rows = std::min(m, round_up(ceil_div(m, down), T::MR));
        down = ceil_div(m, rows);
    }
};

template <class T, class Source>
int64_t scratch_bytes(int64_t m, int64_t n, int64_t runs, int64_t k, const Blocks& blocks) {
    int64_t rows = Cut<T>(m, n, blocks).rows;
    return (Block<T, Source::ORDERED>::bytes(rows, runs, k) + 64) * blocks.threads;
}

template <class T, class E, class Out, class Source>
void product(const Source& source, int64_t m, int64_t n, const float* packed, const Blocks& blocks,
             char* scratch, Out* c, const float* bias, const float* residual) {
    int64_t k = source.runs() * source.length();
    Cut<T> cut(m, n, blocks);
    int64_t each = Block<T, Source::ORDERED>::bytes(cut.rows, source.runs(), k) + 64;
    bool past = streams(blocks, c, n);
#pragma omp parallel num_threads(blocks.threads) if (blocks.threads > 1)
    {
        char* mine = aligned_at(scratch + each * omp_get_thread_num());
        Block<T, Source::ORDERED> block;
        block.place(mine, cut.rows, source.runs(), k);
        int64_t filled = -1;
#pragma omp for schedule(static) nowait
        for (int64_t task = 0; task < cut.down * cut.across; ++task) {
            int64_t i = task / cut.across * cut.rows, j = task % cut.across * cut.columns;
            int64_t rows = std::min(cut.rows, m - i);
            if (filled != i) block.fill(source, i, rows);
            filled = i;
            Sink<Out> sink{c + i * n, n, bias, residual ? residual + i * n : nullptr, past};
            multiply_deep<T, E>(block, rows, packed, n, j, std::min(n, j + cut.columns),
                                blocks.depth, sink);
        }
        if (past) drain();
    }
}

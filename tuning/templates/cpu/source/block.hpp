// A block of rows of A as register tiles reach it, in memory that the caller gives.
//
// A is a *source* of rows: a matrix, the pixels of an image, a buffer. A source has: runs() and
// length() (K = runs * length), walk(first, rows, places), which says where rows lie,
// point(to, place, stride), which writes the pointer to run r of a row at to[r * stride],
// copy(row, to), which writes K contiguous values, and ORDERED. An ordered source also has
// sort(places, rows, order), which puts rows side by side whose padding is alike, and `zeros`,
// which is what a run of padding points at.

enum Gather {
    DIRECT,  // read A where it is
    ROWS,    // from a copied block, row after row
    STRIPS,  // from a block packed k-major in strips of MR rows
    PADDED,  // where it is, in a copy of the image that has its padding
};

template <int MR_, int NV_, int UNROLL_, int GATHER_, bool ALIGNED_>
struct Tile {
    static constexpr int MR = MR_, NV = NV_, NR = NV_ * LANES, UNROLL = UNROLL_;
    static constexpr int GATHER = GATHER_;
    static constexpr bool ALIGNED = ALIGNED_;
    static constexpr bool POINTS = GATHER == DIRECT || GATHER == PADDED;
};

INLINE int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
INLINE int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }
INLINE char* aligned_at(char* p) { return (char*)(((uintptr_t)p + 63) & ~(uintptr_t)63); }
// Leading dimension of a copied row: not a multiple of 4 KiB, so that rows spread over cache sets.
INLINE int64_t spread(int64_t k) { return round_up(k, 16) + 16; }

template <class T, bool ORDERED>
struct Block {
    static constexpr bool SKIPS = ORDERED && T::GATHER == DIRECT;
    const float** table;  // [tile][run][MR]
    float* copy;
    int32_t* live;   // [tile][1 + runs]: how many runs read more than padding, and which
    int32_t* order;  // row in the table -> row in the block
    char* places;    // of the rows
    int64_t runs, length, k;

    static int64_t tiles(int64_t rows) { return ceil_div(rows, T::MR); }
    static int64_t table_bytes(int64_t rows, int64_t runs) {
        if (T::GATHER == STRIPS) return 0;
        return tiles(rows) * T::MR * (T::GATHER == ROWS ? 1 : runs) * 8;
    }
    static int64_t copy_bytes(int64_t rows, int64_t k) {
        return T::POINTS ? 0 : tiles(rows) * T::MR * spread(k) * 4;
    }
    static int64_t live_bytes(int64_t rows, int64_t runs) {
        return SKIPS ? tiles(rows) * (1 + runs) * 4 : 0;
    }
    static int64_t order_bytes(int64_t rows) { return SKIPS ? rows * 4 : 0; }
    static int64_t places_bytes(int64_t rows) { return T::POINTS ? rows * 24 : 0; }
    static int64_t bytes(int64_t rows, int64_t runs, int64_t k) {
        return table_bytes(rows, runs) + copy_bytes(rows, k) + live_bytes(rows, runs) +
               order_bytes(rows) + places_bytes(rows) + 5 * 64;
    }
    // Takes its memory from `at` on, and moves `at` behind it.
    void place(char*& at, int64_t rows, int64_t runs, int64_t k) {
        auto carve = [&](int64_t size) {
            char* here = aligned_at(at);
            at = here + size;
            return here;
        };
        table = (const float**)carve(table_bytes(rows, runs));
        copy = (float*)carve(copy_bytes(rows, k));
        live = (int32_t*)carve(live_bytes(rows, runs));
        order = (int32_t*)carve(order_bytes(rows));
        places = carve(places_bytes(rows));
    }

    int64_t row_of(int64_t i) const { return SKIPS ? order[i] : i; }

    template <class Source>
    void fill(const Source& source, int64_t first, int64_t rows) {
        k = source.runs() * source.length();
        runs = T::POINTS ? source.runs() : 1;
        length = T::POINTS ? source.length() : k;
        if constexpr (T::GATHER == STRIPS) {
            fill_strips(source, first, rows);
        } else if constexpr (T::GATHER == ROWS) {
            for (int64_t i = 0; i < rows; ++i) {
                float* to = copy + i * spread(k);
                source.copy(first + i, to);
                table[i] = to;
            }
        } else {
            auto* at = (typename Source::Place*)places;
            source.walk(first, rows, at);
            if constexpr (SKIPS) source.sort(at, rows, order);
            for (int64_t i = 0; i < rows; ++i)
                source.point(table + i / T::MR * T::MR * runs + i % T::MR, at[row_of(i)], T::MR);
            if constexpr (SKIPS) find_live(source.zeros, rows);
        }
    }

    void find_live(const float* zeros, int64_t rows) {
        for (int64_t tile = 0; tile < tiles(rows); ++tile) {
            int64_t here = std::min<int64_t>(T::MR, rows - tile * T::MR);
            int32_t* to = live + tile * (1 + runs);
            const float** at = table + tile * T::MR * runs;
            to[0] = 0;
            for (int64_t run = 0; run < runs; ++run, at += T::MR)
                if (!std::all_of(at, at + here, [&](const float* p) { return p == zeros; }))
                    to[++to[0]] = (int32_t)run;
        }
    }

    template <class Source>
    void fill_strips(const Source& source, int64_t first, int64_t rows) {
        std::vector<float> one(k);
        for (int64_t i = 0; i < rows; ++i) {
            source.copy(first + i, one.data());
            float* to = copy + i / T::MR * T::MR * spread(k) + i % T::MR;
            for (int64_t kk = 0; kk < k; ++kk) to[kk * T::MR] = one[kk];
        }
    }
};

// Rows of a matrix.
struct Matrix {
    using Place = int64_t;
    static constexpr bool ORDERED = false;
    const float* a;
    int64_t ld, k;
    int64_t runs() const { return 1; }
    int64_t length() const { return k; }
    void walk(int64_t first, int64_t rows, Place* to) const {
        for (int64_t i = 0; i < rows; ++i) to[i] = first + i;
    }
    void point(const float** to, Place row, int64_t) const { *to = a + row * ld; }
    void copy(int64_t row, float* to) const { memcpy(to, a + row * ld, k * sizeof(float)); }
};

// dims: batch, m, n, k. A constant B is shared by the batch, whose rows then are one matrix.
template <class T, class E, class Out>
struct SharedGemm {
    static int64_t packed_floats(int, const int64_t* d) { return ::packed_floats<T>(d[2], d[3]); }
    static void pack(int, const float* from, float* to, const int64_t* d) {
        pack_panels<T>(from, d[2], d[3], d[2], 1, to);
    }
    static int64_t scratch_bytes(const int64_t* d, const int64_t* b) {
        return ::scratch_bytes<T, Matrix>(d[0] * d[1], d[2], 1, d[3], Blocks(b));
    }
    static void run(void* const* args, const int64_t* d, const int64_t* b, char* scratch) {
        int next = 2;
        const float* bias = E::BIAS ? (const float*)args[next++] : nullptr;
        const float* residual = E::RESIDUAL ? (const float*)args[next++] : nullptr;
        Matrix source{(const float*)args[0], d[3], d[3]};
        product<T, E>(source, d[0] * d[1], d[2], (const float*)args[1], Blocks(b),
                      scratch, (Out*)args[next], bias, residual);
    }
};

// B is an input. Threads share the batch if it is large enough, the rows and columns otherwise.
template <class T, class E, class Out>
struct GivenGemm {
    static int64_t packed_floats(int, const int64_t* d) { return ::packed_floats<T>(d[2], d[3]); }
    static void pack(int, const float*, float*, const int64_t*) {}
    static bool by_batch(const int64_t* d, const int64_t* b) { return d[0] >= b[3]; }
    static Blocks within(const int64_t* d, const int64_t* b) {
        return {b[0], b[1], b[2], by_batch(d, b) ? 1 : b[3], b[4]};
    }
    static int64_t each(const int64_t* d, const int64_t* b) {
        return round_up(packed_floats(0, d) * 4, 64) + 128 +
               ::scratch_bytes<T, Matrix>(d[1], d[2], 1, d[3], within(d, b));
    }
    static int64_t scratch_bytes(const int64_t* d, const int64_t* b) {
        return each(d, b) * (by_batch(d, b) ? b[3] : 1);
    }
    static void run(void* const* args, const int64_t* d, const int64_t* b, char* scratch) {
        int64_t m = d[1], n = d[2], k = d[3];
        int next = 2;
        const float* bias = E::BIAS ? (const float*)args[next++] : nullptr;
        const float* residual = E::RESIDUAL ? (const float*)args[next++] : nullptr;
        Out* c = (Out*)args[next];
        Blocks blocks = within(d, b);
        int64_t outer = by_batch(d, b) ? b[3] : 1;
#pragma omp parallel for schedule(static) num_threads(outer) if (outer > 1)
        for (int64_t i = 0; i < d[0]; ++i) {
            int64_t who = outer > 1 ? omp_get_thread_num() : 0;
            float* panels = (float*)aligned_at(scratch + each(d, b) * who);
            const float* from = (const float*)args[1] + i * n * k;
#pragma omp parallel for schedule(static) num_threads(blocks.threads) if (blocks.threads > 1)
            for (int64_t j = 0; j < n; j += T::NR)
                pack_panel<T>(from + j, std::min<int64_t>(T::NR, n - j), k, n, 1, panels + j * k);
            Matrix source{(const float*)args[0] + i * m * k, k, k};
            product<T, E>(source, m, n, panels, blocks, (char*)(panels + packed_floats(0, d)),
                          c + i * m * n, bias, residual ? residual + i * m * n : nullptr);
        }
    }
};

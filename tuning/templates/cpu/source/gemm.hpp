// Rows of a matrix.
struct Matrix {
    const float* a;
    int64_t ld, k;
    int64_t runs() const { return 1; }
    int64_t length() const { return k; }
    void point(const float** table, int64_t row, int64_t rows, int64_t) const {
        for (int64_t i = 0; i < rows; ++i) table[i] = a + (row + i) * ld;
    }
    void copy(int64_t row, float* to) const { memcpy(to, a + row * ld, k * sizeof(float)); }
};

// dims: batch, m, n, k. A constant B is shared by the batch, whose rows then are one matrix.
template <class T, class E, class Out, bool CONSTANT_B>
struct GemmUnit {
    static int64_t packed_floats(int, const int64_t* d) { return ::packed_floats<T>(d[2], d[3]); }
    static void pack(int, const float* from, float* to, const int64_t* d) {
        pack_panels<T>(from, d[2], d[3], d[2], 1, to);
    }
    static int64_t scratch_bytes(const int64_t* d, const int64_t* b) {
        Blocks blocks{b[0], b[1], b[2], b[3]};
        int64_t rows = CONSTANT_B ? d[0] * d[1] : d[1];
        int64_t panels = CONSTANT_B ? 0 : packed_floats(0, d) * 4 + 64;
        return ::scratch_bytes<T>(rows, 1, d[3], blocks) + panels + 64;
    }
    static void run(void* const* args, const int64_t* d, const int64_t* b, char* scratch) {
        Blocks blocks{b[0], b[1], b[2], b[3]};
        int64_t batch = d[0], m = d[1], n = d[2], k = d[3];
        if (CONSTANT_B) { m *= batch; batch = 1; }
        const float* a = (const float*)args[0];
        const float* weight = (const float*)args[1];
        int next = 2;
        const float* bias = E::BIAS ? (const float*)args[next++] : nullptr;
        const float* residual = E::RESIDUAL ? (const float*)args[next++] : nullptr;
        Out* c = (Out*)args[next];
        scratch = aligned_at(scratch);
        float* panels = (float*)scratch;
        if (!CONSTANT_B) scratch = aligned_at(scratch + packed_floats(0, d) * 4);
        for (int64_t i = 0; i < batch; ++i) {
            const float* packed = weight;
            if (!CONSTANT_B) {
                pack(0, weight + i * n * k, panels, d);
                packed = panels;
            }
            Matrix source{a + i * m * k, k, k};
            product<T, E>(source, m, n, packed, blocks, scratch, c + i * m * n, bias,
                          residual ? residual + i * m * n : nullptr);
        }
    }
};

// Back to back: a block of rows of the first product stays in the cache and is the second's A.
template <class T, class E, class E1, class Out, bool CONV>
struct PairUnit {
    static int64_t second(const int64_t*) { return CONV ? 13 : 4; }
    static int64_t between(const int64_t* d) { return CONV ? d[4] : d[2]; }  // N0 = K1
    static int64_t depth(const int64_t* d) { return CONV ? d[5] * d[6] * d[3] : d[3]; }
    static int64_t columns(const int64_t* d) { return CONV ? d[13 + 4] : d[4 + 2]; }
    static int64_t packed_floats(int weight, const int64_t* d) {
        return weight == 0 ? ::packed_floats<T>(between(d), depth(d))
                           : ::packed_floats<T>(columns(d), between(d));
    }
    static void pack(int weight, const float* from, float* to, const int64_t* d) {
        if (CONV) pack_filters<T>(from, to, weight == 0 ? d : d + 13);
        else if (weight == 0) pack_panels<T>(from, d[2], d[3], d[2], 1, to);
        else pack_panels<T>(from, columns(d), between(d), columns(d), 1, to);
    }
    static int64_t rows_of(const int64_t* d) {
        if (!CONV) return d[0] * d[1];
        Image s = image_of(d, nullptr, nullptr);
        return s.batch * s.out_height * s.out_width;
    }
    static int64_t runs_of(const int64_t* d) { return CONV ? d[5] * d[6] : 1; }
    static int64_t each(const int64_t* d, const int64_t* b) {
        int64_t rows = std::min(b[0], rows_of(d));
        Blocks one{b[0], 0, 0, 1};
        return ::scratch_bytes<T>(rows, runs_of(d), depth(d), one) +
               ::scratch_bytes<T>(rows, 1, between(d), one) +
               rows * between(d) * 4 + 256;
    }
    static int64_t scratch_bytes(const int64_t* d, const int64_t* b) {
        return each(d, b) * b[3] + d[3] * 4 + 256;
    }
    static void run(void* const* args, const int64_t* d, const int64_t* b, char* scratch) {
        float* zeros = (float*)aligned_at(scratch);
        memset(zeros, 0, d[3] * sizeof(float));
        scratch = aligned_at((char*)(zeros + d[3]));
        if constexpr (CONV)
            with(image_of(d, (const float*)args[0], zeros), args, d, b, scratch);
        else
            with(Matrix{(const float*)args[0], d[3], d[3]}, args, d, b, scratch);
    }
    template <class Source>
    static void with(const Source& source, void* const* args, const int64_t* d, const int64_t* b,
                     char* scratch) {
        int next = 2;
        const float* packed = (const float*)args[1];
        const float* bias = E::BIAS ? (const float*)args[next++] : nullptr;
        const float* residual = E::RESIDUAL ? (const float*)args[next++] : nullptr;
        const float* packed1 = (const float*)args[next++];
        const float* bias1 = E1::BIAS ? (const float*)args[next++] : nullptr;
        const float* residual1 = E1::RESIDUAL ? (const float*)args[next++] : nullptr;
        Out* c = (Out*)args[next];
        int64_t m = rows_of(d), n0 = between(d), n1 = columns(d), mc = std::min(b[0], m);
        int64_t bytes = each(d, b);
#pragma omp parallel num_threads(b[3]) if (b[3] > 1)
        {
            char* mine = aligned_at(scratch + bytes * omp_get_thread_num());
            auto carve = [&](int64_t size) {
                char* at = mine;
                mine = aligned_at(mine + size);
                return at;
            };
            Block<T> block, block1;
            block.table = (const float**)carve(Block<T>::table_entries(mc, source.runs()) * 8);
            block.copy = (float*)carve(Block<T>::copy_floats(mc, depth(d)) * 4);
            block1.table = (const float**)carve(Block<T>::table_entries(mc, 1) * 8);
            block1.copy = (float*)carve(Block<T>::copy_floats(mc, n0) * 4);
            float* middle = (float*)carve(mc * n0 * 4);
#pragma omp for schedule(static)
            for (int64_t i = 0; i < m; i += mc) {
                int64_t rows = std::min(mc, m - i);
                block.fill(source, i, rows);
                Sink<float> to{middle, n0, bias, residual ? residual + i * n0 : nullptr};
                multiply_deep<T, E>(block, rows, packed, n0, 0, n0, b[2], to);
                block1.fill(Matrix{middle, n0, n0}, 0, rows);
                Sink<Out> out{c + i * n1, n1, bias1, residual1 ? residual1 + i * n1 : nullptr};
                multiply_deep<T, E1>(block1, rows, packed1, n1, 0, n1, b[2], out);
            }
        }
    }
};

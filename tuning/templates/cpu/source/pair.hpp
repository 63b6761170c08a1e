// Back to back: a block of rows of the first product stays in the cache and is the second's A.
template <class T, class E, class E1, class Out, bool CONV>
struct PairUnit {
    using Source = std::conditional_t<CONV, Image, Matrix>;
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
        return CONV ? image_of(d, nullptr, nullptr).rows() : d[0] * d[1];
    }
    static int64_t runs_of(const int64_t* d) { return CONV ? Staged<T>::shape(d).runs() : 1; }
    // All columns are one block: both products' widths are resident.
    static int64_t block_rows(const int64_t* d, const int64_t* b) {
        return Cut<T>(rows_of(d), 1, {b[0], 1, 0, b[3], 0}).rows;
    }
    static int64_t each(const int64_t* d, const int64_t* b) {
        int64_t rows = block_rows(d, b);
        return Block<T, CONV>::bytes(rows, runs_of(d), depth(d)) +
               Block<T, false>::bytes(rows, 1, between(d)) + rows * between(d) * 4 + 256;
    }
    static int64_t scratch_bytes(const int64_t* d, const int64_t* b) {
        return each(d, b) * b[3] + (CONV ? Staged<T>::bytes(d) : 0) + 64;
    }
    static void run(void* const* args, const int64_t* d, const int64_t* b, char* scratch) {
        Source source;
        if constexpr (CONV)
            source = Staged<T>::make(d, (const float*)args[0], scratch, b[3]);
        else
            source = Matrix{(const float*)args[0], d[3], d[3]};
        int next = 2;
        const float* packed = (const float*)args[1];
        const float* bias = E::BIAS ? (const float*)args[next++] : nullptr;
        const float* residual = E::RESIDUAL ? (const float*)args[next++] : nullptr;
        const float* packed1 = (const float*)args[next++];
        const float* bias1 = E1::BIAS ? (const float*)args[next++] : nullptr;
        const float* residual1 = E1::RESIDUAL ? (const float*)args[next++] : nullptr;
        Out* c = (Out*)args[next];
        int64_t m = rows_of(d), n0 = between(d), n1 = columns(d), mc = block_rows(d, b);
        int64_t bytes = each(d, b);
        bool past = streams(Blocks(b), c, n1);
#pragma omp parallel num_threads(b[3]) if (b[3] > 1)
        {
            char* mine = aligned_at(scratch + bytes * omp_get_thread_num());
            Block<T, CONV> block;
            Block<T, false> block1;
            block.place(mine, mc, source.runs(), depth(d));
            block1.place(mine, mc, 1, n0);
            float* middle = (float*)aligned_at(mine);
#pragma omp for schedule(static) nowait
            for (int64_t i = 0; i < m; i += mc) {
                int64_t rows = std::min(mc, m - i);
                block.fill(source, i, rows);
                Sink<float> to{middle, n0, bias, residual ? residual + i * n0 : nullptr,
                                 false};
                multiply_deep<T, E>(block, rows, packed, n0, 0, n0, b[2], to);
                block1.fill(Matrix{middle, n0, n0}, 0, rows);
                Sink<Out> out{c + i * n1, n1, bias1,
                              residual1 ? residual1 + i * n1 : nullptr, past};
                multiply_deep<T, E1>(block1, rows, packed1, n1, 0, n1, b[2], out);
            }
            if (past) drain();
        }
    }
};

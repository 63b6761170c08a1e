// OHWI -> panels of the implicit GEMM's B[KH KW IC][OC].
template <class T>
void pack_filters(const float* from, float* to, const int64_t* d) {
    int64_t k = d[5] * d[6] * d[3];
    pack_panels<T>(from, d[4], k, 1, k, to);
}

template <class T, class E, class Out>
struct Conv2dUnit {
    static int64_t depth(const int64_t* d) { return d[5] * d[6] * d[3]; }
    static int64_t packed_floats(int, const int64_t* d) {
        return ::packed_floats<T>(d[4], depth(d));
    }
    static void pack(int, const float* from, float* to, const int64_t* d) {
        pack_filters<T>(from, to, d);
    }
    static int64_t scratch_bytes(const int64_t* d, const int64_t* b) {
        Image s = Staged<T>::shape(d);
        Blocks blocks(b);
        return Staged<T>::bytes(d) +
               ::scratch_bytes<T, Image>(s.rows(), d[4], s.runs(), depth(d), blocks);
    }
    static void run(void* const* args, const int64_t* d, const int64_t* b, char* scratch) {
        Blocks blocks(b);
        Image source = Staged<T>::make(d, (const float*)args[0], scratch, blocks.threads);
        int next = 2;
        const float* bias = E::BIAS ? (const float*)args[next++] : nullptr;
        const float* residual = E::RESIDUAL ? (const float*)args[next++] : nullptr;
        product<T, E>(source, source.rows(), d[4], (const float*)args[1], blocks, scratch,
                      (Out*)args[next], bias, residual);
    }
};

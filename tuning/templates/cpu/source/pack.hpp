// B[k][n] with strides -> panels of NR columns, k-major, zeros beyond n.
template <class T>
void pack_panel(const float* b, int64_t columns, int64_t k, int64_t step_k, int64_t step_n,
                float* to) {
    for (int64_t kk = 0; kk < k; ++kk, to += T::NR) {
        const float* from = b + kk * step_k;
        if (columns == T::NR && step_n == 1) {
            for (int jj = 0; jj < T::NR; jj += LANES) put(to + jj, load(from + jj));
            continue;
        }
        for (int64_t jj = 0; jj < T::NR; ++jj) to[jj] = jj < columns ? from[jj * step_n] : 0.0f;
    }
}
template <class T>
void pack_panels(const float* b, int64_t n, int64_t k, int64_t step_k, int64_t step_n, float* to) {
    for (int64_t j = 0; j < n; j += T::NR)
        pack_panel<T>(b + j * step_n, std::min<int64_t>(T::NR, n - j), k, step_k, step_n,
                      to + j * k);
}

// Rows of the implicit GEMM of a convolution in NHWC: one per output pixel, KH KW runs of IC.
struct Image {
    const float* x;
    int64_t batch, height, width, channels;
    int64_t kh, kw, stride_h, stride_w, pad_h, pad_w, dil_h, dil_w;
    int64_t out_height, out_width;
    const float* zeros;  // IC of them: what the padding reads

    int64_t runs() const { return kh * kw; }
    int64_t length() const { return channels; }
    // First input row and column under output pixel `row`, and its image.
    void locate(int64_t row, int64_t& top, int64_t& left, const float*& image) const {
        int64_t column = row % out_width, rest = row / out_width;
        top = rest % out_height * stride_h - pad_h;
        left = column * stride_w - pad_w;
        image = x + rest / out_height * height * width * channels;
    }
    void point(const float** table, int64_t row, int64_t rows, int64_t stride) const {
        for (int64_t i = 0; i < rows; ++i) {
            int64_t top, left;
            const float* image;
            locate(row + i, top, left, image);
            const float** to = table + i;
            for (int64_t r = 0; r < kh; ++r)
                for (int64_t s = 0; s < kw; ++s, to += stride) {
                    int64_t h = top + r * dil_h, w = left + s * dil_w;
                    bool inside = h >= 0 && h < height && w >= 0 && w < width;
                    *to = inside ? image + (h * width + w) * channels : zeros;
                }
        }
    }
    void copy(int64_t row, float* to) const {
        int64_t top, left;
        const float* image;
        locate(row, top, left, image);
        for (int64_t r = 0; r < kh; ++r) {
            int64_t h = top + r * dil_h;
            bool inside_h = h >= 0 && h < height;
            if (inside_h && dil_w == 1 && left >= 0 && left + kw <= width) {
                memcpy(to, image + (h * width + left) * channels, kw * channels * sizeof(float));
                to += kw * channels;
                continue;
            }
            for (int64_t s = 0; s < kw; ++s, to += channels) {
                int64_t w = left + s * dil_w;
                if (inside_h && w >= 0 && w < width)
                    memcpy(to, image + (h * width + w) * channels, channels * sizeof(float));
                else
                    memset(to, 0, channels * sizeof(float));
            }
        }
    }
};

INLINE Image image_of(const int64_t* d, const float* x, const float* zeros) {
    Image s{x, d[0], d[1], d[2], d[3], d[5], d[6], d[7], d[8], d[9], d[10], d[11], d[12]};
    s.out_height = (d[1] + 2 * d[9] - (d[11] * (d[5] - 1) + 1)) / d[7] + 1;
    s.out_width = (d[2] + 2 * d[10] - (d[12] * (d[6] - 1) + 1)) / d[8] + 1;
    s.zeros = zeros;
    return s;
}
// OHWI -> panels of the implicit GEMM's B[KH KW IC][OC].
template <class T>
void pack_filters(const float* from, float* to, const int64_t* d) {
    int64_t k = d[5] * d[6] * d[3];
    pack_panels<T>(from, d[4], k, 1, k, to);
}

// dims: N H W IC OC KH KW, strides, paddings, dilations.
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
        Image s = image_of(d, nullptr, nullptr);
        Blocks blocks{b[0], b[1], b[2], b[3]};
        int64_t rows = s.batch * s.out_height * s.out_width;
        return ::scratch_bytes<T>(rows, s.runs(), depth(d), blocks) + d[3] * 4 + 128;
    }
    static void run(void* const* args, const int64_t* d, const int64_t* b, char* scratch) {
        Blocks blocks{b[0], b[1], b[2], b[3]};
        float* zeros = (float*)aligned_at(scratch);
        memset(zeros, 0, d[3] * sizeof(float));
        scratch = aligned_at((char*)(zeros + d[3]));
        Image source = image_of(d, (const float*)args[0], zeros);
        int next = 2;
        const float* bias = E::BIAS ? (const float*)args[next++] : nullptr;
        const float* residual = E::RESIDUAL ? (const float*)args[next++] : nullptr;
        product<T, E>(source, source.batch * source.out_height * source.out_width, d[4],
                      (const float*)args[1], blocks, scratch, (Out*)args[next], bias, residual);
    }
};

// Rows of the implicit GEMM of a convolution in NHWC, one per output pixel.
//
// A row is KH KW runs of IC values. Where columns of the kernel are neighbours in memory for
// every pixel (no padding at the sides, no dilation) it is KH runs of KW IC.
struct Image {
    struct Place { int64_t top, left; const float* image; };
    static constexpr bool ORDERED = true;
    const float* x;
    int64_t batch, height, width, channels;
    int64_t kh, kw, stride_h, stride_w, pad_h, pad_w, dil_h, dil_w;
    int64_t out_height, out_width;
    const float* zeros;  // as many as a run is long: what padding reads

    int64_t rows() const { return batch * out_height * out_width; }
    int64_t merged() const { return pad_w == 0 && dil_w == 1 ? kw : 1; }
    int64_t runs() const { return kh * kw / merged(); }
    int64_t length() const { return channels * merged(); }
    // First input row and column under an output pixel, and its image.
    Place locate(int64_t row) const {
        int64_t column = row % out_width, rest = row / out_width;
        return {rest % out_height * stride_h - pad_h, column * stride_w - pad_w,
                x + rest / out_height * height * width * channels};
    }
    // The places of rows [first, first + rows), by counting on instead of dividing.
    void walk(int64_t first, int64_t rows, Place* to) const {
        int64_t column = first % out_width, row = first / out_width % out_height;
        Place at = locate(first);
        for (int64_t i = 0; i < rows; ++i) {
            to[i] = at;
            at.left += stride_w;
            if (++column < out_width) continue;
            column = 0;
            at.left = -pad_w;
            at.top += stride_h;
            if (++row < out_height) continue;
            row = 0;
            at.top = -pad_h;
            at.image += height * width * channels;
        }
    }
    bool is_inside(const Place& at) const {
        return at.top >= 0 && at.top + (kh - 1) * dil_h < height && at.left >= 0 &&
               at.left + (kw - 1) * dil_w < width;
    }
    void point(const float** to, const Place& at, int64_t stride) const {
        const bool whole = is_inside(at);
        const int64_t step = merged();
        for (int64_t r = 0; r < kh; ++r) {
            const int64_t h = at.top + r * dil_h;
            const float* from = at.image + (h * width + at.left) * channels;
            for (int64_t s = 0; s < kw; s += step, to += stride) {
                int64_t w = at.left + s * dil_w;
                bool inside = whole || (h >= 0 && h < height && w >= 0 && w < width);
                *to = inside ? from + s * dil_w * channels : zeros;
            }
        }
    }
    void copy(int64_t row, float* to) const {
        Place at = locate(row);
        for (int64_t r = 0; r < kh; ++r) {
            int64_t h = at.top + r * dil_h;
            bool inside_h = h >= 0 && h < height;
            if (inside_h && dil_w == 1 && at.left >= 0 && at.left + kw <= width) {
                memcpy(to, at.image + (h * width + at.left) * channels, kw * channels * 4);
                to += kw * channels;
                continue;
            }
            for (int64_t s = 0; s < kw; ++s, to += channels) {
                int64_t w = at.left + s * dil_w;
                if (inside_h && w >= 0 && w < width)
                    memcpy(to, at.image + (h * width + w) * channels, channels * 4);
                else
                    memset(to, 0, channels * 4);
            }
        }
    }
    // Clockwise from the top left corner, the interior last: whichever neighbours share a tile,
    // what one of them needs is mostly what the other needs.
    static int rank(int vertical, int horizontal) {
        static const int ranks[4][4] = {{8, 7, 3, 8}, {1, 0, 2, 1}, {5, 6, 4, 5}, {8, 7, 3, 8}};
        return ranks[vertical][horizontal];
    }
    int rank_of(const Place& at) const {
        int64_t bottom = at.top + (kh - 1) * dil_h, right = at.left + (kw - 1) * dil_w;
        return rank((at.top < 0) + 2 * (bottom >= height), (at.left < 0) + 2 * (right >= width));
    }
    // Rows by the rank of their places, otherwise in their order.
    void sort(const Place* places, int64_t rows, int32_t* order) const {
        bool padded = pad_h || pad_w;
        int64_t start[10] = {};
        if (padded)
            for (int64_t i = 0; i < rows; ++i) ++start[rank_of(places[i]) + 1];
        for (int i = 1; i < 10; ++i) start[i] += start[i - 1];
        for (int64_t i = 0; i < rows; ++i)
            order[padded ? start[rank_of(places[i])]++ : i] = (int32_t)i;
    }
};

// dims: N H W IC OC KH KW, strides, paddings, dilations.
INLINE Image image_of(const int64_t* d, const float* x, const float* zeros) {
    Image s{x, d[0], d[1], d[2], d[3], d[5], d[6], d[7], d[8], d[9], d[10], d[11], d[12]};
    s.out_height = (d[1] + 2 * d[9] - (d[11] * (d[5] - 1) + 1)) / d[7] + 1;
    s.out_width = (d[2] + 2 * d[10] - (d[12] * (d[6] - 1) + 1)) / d[8] + 1;
    s.zeros = zeros;
    return s;
}

// The source as a tile's way of reaching A wants it: with `zeros`, or with padding of its own.
template <class T>
struct Staged {
    static constexpr bool COPIES = T::GATHER == PADDED;
    static Image with_padding(Image s) {
        s.height += 2 * s.pad_h;
        s.width += 2 * s.pad_w;
        s.pad_h = s.pad_w = 0;
        return s;
    }
    static Image shape(const int64_t* d) {
        Image s = image_of(d, nullptr, nullptr);
        return COPIES ? with_padding(s) : s;
    }
    static int64_t bytes(const int64_t* d) {
        Image s = shape(d);
        return (COPIES ? s.batch * s.height * s.width * s.channels : s.length()) * 4 + 128;
    }
    // Takes its memory from `at` on, and moves `at` behind it.
    static Image make(const int64_t* d, const float* x, char*& at, int64_t threads) {
        float* memory = (float*)aligned_at(at);
        at += bytes(d);
        Image s = image_of(d, x, memory);
        if (!COPIES) {
            memset(memory, 0, s.length() * 4);
            return s;
        }
        Image to = with_padding(s);
        to.x = memory;
        int64_t line = to.width * s.channels, side = s.pad_w * s.channels;
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
        for (int64_t row = 0; row < s.batch * to.height; ++row) {
            int64_t h = row % to.height - s.pad_h;
            float* out = memory + row * line;
            if (h < 0 || h >= s.height) {
                memset(out, 0, line * 4);
                continue;
            }
            memset(out, 0, side * 4);
            int64_t from = (row / to.height * s.height + h) * s.width * s.channels;
            memcpy(out + side, x + from, s.width * s.channels * 4);
            memset(out + line - side, 0, side * 4);
        }
        return to;
    }
};

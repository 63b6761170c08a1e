// One vector register of LANES floats, chosen by the instruction set that is compiled for.
#if defined(__AVX512F__)
constexpr int LANES = 16;
#elif defined(__AVX2__)
constexpr int LANES = 8;
#else
constexpr int LANES = 4;
#endif
typedef float vf __attribute__((vector_size(LANES * 4)));
typedef float vf_any __attribute__((vector_size(LANES * 4), aligned(4)));  // at any address
typedef int32_t vi __attribute__((vector_size(LANES * 4)));
typedef uint32_t vu __attribute__((vector_size(LANES * 4)));

#define INLINE static inline __attribute__((always_inline))

INLINE vf splat(float x) { return x - vf{}; }
// sum += a * b. Where there are 16 registers, g++ is told the form that overwrites the sum: left to
// choose, it overwrites factors, moves sums about and spills one, 10 % of a 6x2 tile's time.
INLINE void add_product(vf& sum, vf a, vf b) {
#if defined(__FMA__) && !defined(__AVX512F__)
    asm("vfmadd231ps %2, %1, %0" : "+x"(sum) : "x"(a), "x"(b));
#else
    sum += a * b;
#endif
}
INLINE vf load(const float* p) { return *reinterpret_cast<const vf_any*>(p); }
INLINE vf load_part(const float* p, int count) {
#if defined(__AVX512F__)
    return (vf)_mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1), p);
#else
    vf x{};
    for (int i = 0; i < count; ++i) x[i] = p[i];
    return x;
#endif
}
INLINE vf pick(vi where, vf yes, vf no) {
    return (vf)(((vi)yes & where) | ((vi)no & ~where));
}
INLINE vf least(vf a, vf b) { return pick(a < b, a, b); }
INLINE vf most(vf a, vf b) { return pick(a > b, a, b); }

// Conversion on the way to memory: float, IEEE half, bfloat16 (round to nearest, ties to even).
struct bf16 { uint16_t bits; };
INLINE void put(float* p, vf x) { *reinterpret_cast<vf_any*>(p) = x; }
// Past the caches; the address must be a multiple of the vector's size.
INLINE void put_past(float* p, vf x) {
#if defined(__AVX512F__)
    _mm512_stream_ps(p, (__m512)x);
#elif defined(__AVX__)
    _mm256_stream_ps(p, (__m256)x);
#else
    put(p, x);
#endif
}
INLINE void drain() {
#if defined(__SSE__)
    _mm_sfence();
#endif
}
INLINE void put(_Float16* p, vf x) {
#if defined(__AVX512F__)
    _mm256_storeu_si256((__m256i*)p, _mm512_cvtps_ph((__m512)x, _MM_FROUND_TO_NEAREST_INT));
#elif defined(__F16C__)
    _mm_storeu_si128((__m128i*)p, _mm256_cvtps_ph((__m256)x, _MM_FROUND_TO_NEAREST_INT));
#else
    for (int i = 0; i < LANES; ++i) p[i] = (_Float16)x[i];
#endif
}
INLINE void put(bf16* p, vf x) {
    vu bits = (vu)x;
    vu even = bits + 0x7fffu + ((bits >> 16) & 1u);
    vu quiet = (bits >> 16) | 0x40u;  // NaN stays NaN
    vi is_nan = x != x;
    vu out = ((even >> 16) & ~(vu)is_nan) | (quiet & (vu)is_nan);
    for (int i = 0; i < LANES; ++i) p[i].bits = (uint16_t)out[i];
}
template <class Out>
INLINE void put_part(Out* p, vf x, int count) {
    Out whole[LANES];
    put(whole, x);
    for (int i = 0; i < count; ++i) p[i] = whole[i];
}
#if defined(__AVX512F__)
INLINE void put_part(float* p, vf x, int count) {
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << count) - 1), (__m512)x);
}
#endif

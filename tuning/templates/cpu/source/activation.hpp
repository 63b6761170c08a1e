// Activations on vectors; absolute and relative error below 4e-6 (tests/tuning).
// exp: Cody-Waite reduction by ln 2 and the Taylor series of degree 7 on +-ln(2)/2.
INLINE vf exp_of(vf x) {
    x = most(least(x, splat(88.0f)), splat(-87.0f));
    vf rounded = x * 1.44269504f + 12582912.0f;  // 1.5 * 2^23: the integer is in the low bits
    vi power = (vi)rounded << 23;
    vf n = rounded - 12582912.0f;
    vf r = x - n * 0.693359375f + n * 2.12194440e-4f;
    vf s = splat(1.0f / 5040);
    s = s * r + 1.0f / 720;
    s = s * r + 1.0f / 120;
    s = s * r + 1.0f / 24;
    s = s * r + 1.0f / 6;
    s = s * r + 0.5f;
    s = s * r + 1.0f;
    s = s * r + 1.0f;
    return (vf)((vi)s + power);
}
// log(1 + y) for 0 <= y <= 1, by 2 atanh(y / (2 + y)).
INLINE vf log1p_of(vf y) {
    vf t = y / (y + 2.0f), u = t * t;
    vf s = splat(1.0f / 13);
    s = s * u + 1.0f / 11;
    s = s * u + 1.0f / 9;
    s = s * u + 1.0f / 7;
    s = s * u + 1.0f / 5;
    s = s * u + 1.0f / 3;
    s = s * u + 1.0f;
    return 2.0f * t * s;
}
INLINE vf magnitude(vf x) { return (vf)((vi)x & 0x7fffffff); }
// `most` returns its second argument if either is NaN: NaN stays NaN.
INLINE vf relu(vf x) { return most(vf{}, x); }
INLINE vf hardswish(vf x) {
    return x * (most(least(x + 3.0f, splat(6.0f)), vf{}) * (1.0f / 6));
}
// Where exp_of no longer grows, neither may x.
INLINE vf silu(vf x) { return most(splat(-100.0f), x) / (1.0f + exp_of(-x)); }
INLINE vf softplus(vf x) { return most(vf{}, x) + log1p_of(exp_of(-magnitude(x))); }
// erf: Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26 (error 1.5e-7).
INLINE vf gelu(vf x) {
    vf z = magnitude(x) * 0.707106781f;
    vf t = 1.0f / (1.0f + 0.3275911f * z);
    vf s = splat(1.061405429f);
    s = s * t - 1.453152027f;
    s = s * t + 1.421413741f;
    s = s * t - 0.284496736f;
    s = s * t + 0.254829592f;
    vf tail = 0.5f * s * t * exp_of(-z * z);  // (1 - erf(z)) / 2
    return x * pick(x < 0.0f, tail, 1.0f - tail);
}

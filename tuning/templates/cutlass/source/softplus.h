/// Softplus, which the library lacks: log(1 + exp(x)), without overflow for any x.
template <typename T>
struct Softplus {
  static const bool kIsHeavy = true;

  CUTLASS_HOST_DEVICE
  T operator()(T const &value) const {
    float x = float(value);
    float size = x < 0 ? -x : x;
    float above = x > 0 ? x : 0.0f;
    return T(x == x ? above + ::log1pf(cutlass::fast_exp(-size)) : x);
  }
};

template <typename T, int N>
struct Softplus<cutlass::Array<T, N>> {
  static const bool kIsHeavy = true;

  CUTLASS_HOST_DEVICE
  cutlass::Array<T, N> operator()(cutlass::Array<T, N> const &value) const {
    cutlass::Array<T, N> result;
    Softplus<T> scalar;
    CUTLASS_PRAGMA_UNROLL
    for (int i = 0; i < N; ++i) {
      result[i] = scalar(value[i]);
    }
    return result;
  }
};

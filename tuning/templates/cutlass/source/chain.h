/// Steps of an epilogue: each takes the value so far, the bias and the residual of its column.
struct AddBias {
  template <typename Fragment>
  CUTLASS_HOST_DEVICE static Fragment apply(
      Fragment const &value, Fragment const &bias, Fragment const &) {
    return cutlass::plus<Fragment>()(value, bias);
  }
};

struct AddResidual {
  template <typename Fragment>
  CUTLASS_HOST_DEVICE static Fragment apply(
      Fragment const &value, Fragment const &, Fragment const &residual) {
    return cutlass::plus<Fragment>()(value, residual);
  }
};

template <template <typename> class Activation>
struct Activate {
  template <typename Fragment>
  CUTLASS_HOST_DEVICE static Fragment apply(
      Fragment const &value, Fragment const &, Fragment const &) {
    return Activation<Fragment>()(value);
  }
};

/// Output operator of the kernels "with broadcast": Z = steps(alpha AB, bias vector, residual C).
///
/// Any order of steps; computed in ElementCompute and rounded once. A sum that is split over k
/// would add bias and residual once per slice, so kernels with this operator take one slice.
template <
    typename ElementOutput_,
    typename ElementAccumulator_,
    typename ElementCompute_,
    typename ElementVector_,
    int Count,
    bool HasResidual,
    typename... Steps>
struct Chain {
  using ElementOutput = ElementOutput_;
  using ElementC = ElementOutput_;
  using ElementAccumulator = ElementAccumulator_;
  using ElementCompute = ElementCompute_;
  using ElementVector = ElementVector_;
  using ElementZ = ElementOutput_;
  using ElementT = ElementOutput_;

  static int const kCount = Count;
  static int const kElementsPerAccess = Count;
  static bool const kIsSingleSource = true;
  static bool const kIsHeavy = true;
  static bool const kStoreZ = true;
  static bool const kStoreT = false;

  using FragmentAccumulator = cutlass::Array<ElementAccumulator, Count>;
  using FragmentCompute = cutlass::Array<ElementCompute, Count>;
  using FragmentOutput = cutlass::Array<ElementOutput, Count>;
  using FragmentC = FragmentOutput;
  using FragmentZ = FragmentOutput;
  using FragmentT = FragmentOutput;

  struct Params {
    ElementCompute alpha;

    CUTLASS_HOST_DEVICE
    Params(ElementCompute alpha_ = ElementCompute(1)) : alpha(alpha_) {}
  };

  ElementCompute alpha;

  CUTLASS_HOST_DEVICE
  Chain(Params const &params) : alpha(params.alpha) {}

  CUTLASS_HOST_DEVICE
  bool is_source_needed() const { return HasResidual; }

  CUTLASS_HOST_DEVICE
  void set_k_partition(int, int) {}

  CUTLASS_HOST_DEVICE
  void operator()(
      FragmentZ &frag_Z, FragmentT &, FragmentAccumulator const &AB,
      FragmentC const &frag_C, FragmentCompute const &bias) const {
    store(frag_Z, AB, bias, from_source(frag_C));
  }

  CUTLASS_HOST_DEVICE
  void operator()(
      FragmentZ &frag_Z, FragmentT &, FragmentAccumulator const &AB,
      FragmentCompute const &bias) const {
    FragmentCompute none;
    none.clear();
    store(frag_Z, AB, bias, none);
  }

 private:
  CUTLASS_HOST_DEVICE
  static FragmentCompute from_source(FragmentC const &source) {
    if constexpr (sizeof(ElementC) > 1) {
      return cutlass::NumericArrayConverter<ElementCompute, ElementC, Count>()(source);
    } else {  // the library's conversion of bytes runs on GPUs only
      FragmentCompute result;
      CUTLASS_PRAGMA_UNROLL
      for (int i = 0; i < Count; ++i) {
        result[i] = ElementCompute(source[i]);
      }
      return result;
    }
  }

  CUTLASS_HOST_DEVICE
  void store(
      FragmentZ &frag_Z, FragmentAccumulator const &AB, FragmentCompute const &bias,
      FragmentCompute const &residual) const {
    cutlass::NumericArrayConverter<ElementCompute, ElementAccumulator, Count> from_sum;
    cutlass::NumericArrayConverter<ElementOutput, ElementCompute, Count> to_output;
    FragmentCompute value = cutlass::multiplies<FragmentCompute>()(alpha, from_sum(AB));
    ((value = Steps::apply(value, bias, residual)), ...);
    if constexpr (sizeof(ElementOutput) == 1) {  // the library's conversion may wrap around
      CUTLASS_PRAGMA_UNROLL
      for (int i = 0; i < Count; ++i) {
        value[i] = cutlass::fast_min(cutlass::fast_max(value[i], -128.0f), 127.0f);
      }
    }
    frag_Z = to_output(value);
  }
};

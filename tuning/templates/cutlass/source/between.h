/// What the first of two products goes through before the second reads it: activation(alpha x + b).
///
/// The library has this form (accumulator, scale, bias) for ReLU alone.
template <
    template <typename> class Activation,
    typename ElementOutput_,
    int Count,
    typename ElementAccumulator_,
    typename ElementCompute_>
struct Between {
  using ElementOutput = ElementOutput_;
  using ElementAccumulator = ElementAccumulator_;
  using ElementCompute = ElementCompute_;

  static int const kCount = Count;
  static bool const kIsHeavy = true;
  static cutlass::epilogue::thread::ScaleType::Kind const kScale =
      cutlass::epilogue::thread::ScaleType::OnlyAlphaScaling;

  using FragmentOutput = cutlass::Array<ElementOutput, Count>;
  using FragmentAccumulator = cutlass::Array<ElementAccumulator, Count>;
  using FragmentCompute = cutlass::Array<ElementCompute, Count>;
  using FragmentScaleBias = FragmentCompute;

  struct Params {
    ElementCompute alpha;

    CUTLASS_HOST_DEVICE
    Params(ElementCompute alpha_ = ElementCompute(1), ElementCompute = ElementCompute(0))
        : alpha(alpha_) {}
  };

  ElementCompute alpha;

  CUTLASS_HOST_DEVICE
  Between(Params const &params) : alpha(params.alpha) {}

  CUTLASS_HOST_DEVICE
  bool is_source_needed() const { return false; }

  CUTLASS_HOST_DEVICE
  void set_k_partition(int, int) {}

  CUTLASS_HOST_DEVICE
  FragmentOutput operator()(
      FragmentAccumulator const &sum, FragmentScaleBias const &, FragmentScaleBias const &bias) const {
    cutlass::NumericArrayConverter<ElementCompute, ElementAccumulator, Count> from_sum;
    cutlass::multiply_add<FragmentCompute> scale_and_add;
    return converted(scale_and_add(alpha, from_sum(sum), bias));
  }

  CUTLASS_HOST_DEVICE
  FragmentOutput operator()(FragmentAccumulator const &sum) const {
    cutlass::NumericArrayConverter<ElementCompute, ElementAccumulator, Count> from_sum;
    return converted(cutlass::multiplies<FragmentCompute>()(alpha, from_sum(sum)));
  }

 private:
  CUTLASS_HOST_DEVICE
  FragmentOutput converted(FragmentCompute const &value) const {
    cutlass::NumericArrayConverter<ElementOutput, ElementCompute, Count> to_output;
    return to_output(Activation<FragmentCompute>()(value));
  }
};

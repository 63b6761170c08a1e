"""NCHW to NHWC over a whole network: transposes at its ends, none between (Bolt section 3.2.3).

`relax.transform.ConvertLayout` leaves transposes around operators that it does not know, such
as the clip inside Hardswish, and around the flattening before a classifier. Here every
four-dimensional tensor simply has a layout; operators that do not care keep it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tuning.graph.untyped import relax_untyped
from tuning.graph.walk import (
    Scope,
    call_name,
    constant,
    is_constant,
    rewrite,
    shape_of,
    value_of,
)

if TYPE_CHECKING:
    import tvm

TO_NHWC, TO_NCHW = [0, 2, 3, 1], [0, 3, 1, 2]
_ELEMENTWISE = {
    *("relax.add", "relax.subtract", "relax.multiply", "relax.divide", "relax.clip"),
    *("relax.maximum", "relax.minimum", "relax.exp", "relax.tanh", "relax.sigmoid"),
    *("relax.nn.relu", "relax.nn.gelu", "relax.nn.silu", "relax.nn.softplus"),
    *("relax.nn.leakyrelu", "relax.negative", "relax.sqrt"),
}
_POOLS = {"relax.nn.max_pool2d", "relax.nn.avg_pool2d", "relax.nn.adaptive_avg_pool2d"}


# paper: bolt layout
def to_nhwc(module: tvm.IRModule) -> tvm.IRModule:
    """Return the module with convolutions and all between them in NHWC, weights in OHWI.

    The types of `main`'s input and output stay as they were.
    """
    from tvm import relax

    module = rewrite(module, _Layout())
    return relax.transform.DeadCodeElimination()(module)


def transposes(module: tvm.IRModule) -> int:
    """Return the number of transposes of activations in `main`."""
    found = 0
    for block in module["main"].body.blocks:
        found += sum(call_name(b.value) == "relax.permute_dims" for b in block.bindings)
    return found


class _Layout:
    """The rule: new variables whose tensors are NHWC are in `channels_last`."""

    def __init__(self) -> None:
        self.channels_last: set[Any] = set()
        self.converted: dict[tuple[Any, bool], Any] = {}

    def __call__(self, scope: Scope, var: Any, value: Any) -> Any:
        from tvm import relax

        if var is None:
            return self._as(scope, value, nhwc=False)
        if not isinstance(value, relax.Call):
            return value if isinstance(value, relax.Tuple) else scope.emit(value)
        name = call_name(value)
        if name == "relax.nn.conv2d":
            return self._conv2d(scope, value)
        if name in _POOLS:
            return self._pool(scope, name, value)
        if name in _ELEMENTWISE:
            return self._elementwise(scope, value)
        if name == "relax.mean":
            return self._mean(scope, value)
        if name == "relax.reshape":
            return self._reshape(scope, value)
        if name == "relax.matmul":
            return self._matmul(scope, value)
        args = [self._as(scope, arg, nhwc=False) for arg in value.args]
        return scope.emit(relax.Call(value.op, args, value.attrs, value.ty_args))

    def _as(self, scope: Scope, expr: Any, *, nhwc: bool) -> Any:
        """Return a tensor in the wanted layout, transposed once at most."""
        from tvm import relax

        if isinstance(expr, relax.Tuple):
            return relax.Tuple([self._as(scope, field, nhwc=nhwc) for field in expr.fields])
        if (expr in self.channels_last) == nhwc:
            return expr
        if (expr, nhwc) not in self.converted:
            axes = TO_NHWC if nhwc else TO_NCHW
            made = scope.emit(relax.op.permute_dims(expr, axes))
            self.converted[expr, nhwc] = self._mark(made) if nhwc else made
        return self.converted[expr, nhwc]

    def _mark(self, var: Any) -> Any:
        self.channels_last.add(var)
        return var

    def _conv2d(self, scope: Scope, value: Any) -> Any:
        relax = relax_untyped()

        attrs, (image, weight) = value.attrs, value.args
        if attrs.data_layout != "NCHW" or attrs.kernel_layout != "OIHW":
            return scope.emit(value)
        if is_constant(weight):
            weight = constant(value_of(weight).transpose(TO_NHWC))
        else:
            weight = scope.emit(relax.op.permute_dims(weight, TO_NHWC))
        made = relax.op.nn.conv2d(
            self._as(scope, image, nhwc=True),
            weight,
            strides=list(attrs.strides),
            padding=list(attrs.padding),
            dilation=list(attrs.dilation),
            groups=attrs.groups,
            data_layout="NHWC",
            kernel_layout="OHWI",
        )
        return self._mark(scope.emit(made))

    def _pool(self, scope: Scope, name: str, value: Any) -> Any:
        from tvm import relax

        attrs, image = value.attrs, value.args[0]
        if image not in self.channels_last:
            return scope.emit(value)
        if name == "relax.nn.adaptive_avg_pool2d":
            size = attrs.output_size
            if size is not None and tuple(size) == (1, 1):
                made = relax.op.mean(image, axis=[1, 2], keepdims=True)
            else:
                made = relax.op.nn.adaptive_avg_pool2d(image, size, layout="NHWC")
        else:
            pool = getattr(relax.op.nn, name.rpartition(".")[2])
            made = pool(
                image,
                pool_size=list(attrs.pool_size),
                strides=list(attrs.strides),
                padding=list(attrs.padding),
                dilation=list(attrs.dilation),
                ceil_mode=attrs.ceil_mode,
                count_include_pad=attrs.count_include_pad,
                layout="NHWC",
            )
        return self._mark(scope.emit(made))

    def _elementwise(self, scope: Scope, value: Any) -> Any:
        from tvm import relax

        if not any(arg in self.channels_last for arg in value.args):
            return scope.emit(value)
        args = []
        for arg in value.args:
            if is_constant(arg):
                args.append(_constant_nhwc(arg))
            elif isinstance(arg, relax.Var) and arg not in self.channels_last:
                if len(shape_of(arg)) != 4:
                    return self._fall_back(scope, value)
                args.append(self._as(scope, arg, nhwc=True))
            else:
                args.append(arg)
        return self._mark(scope.emit(relax.Call(value.op, args, value.attrs, value.ty_args)))

    def _fall_back(self, scope: Scope, value: Any) -> Any:
        from tvm import relax

        args = [self._as(scope, arg, nhwc=False) for arg in value.args]
        return scope.emit(relax.Call(value.op, args, value.attrs, value.ty_args))

    def _mean(self, scope: Scope, value: Any) -> Any:
        from tvm import relax

        attrs, image = value.attrs, value.args[0]
        axes = sorted(axis % 4 for axis in attrs.axis) if attrs.axis is not None else None
        if image not in self.channels_last or axes != [2, 3]:
            return self._fall_back(scope, value)
        made = scope.emit(relax.op.mean(image, axis=[1, 2], keepdims=attrs.keepdims))
        return self._mark(made) if attrs.keepdims else made

    def _reshape(self, scope: Scope, value: Any) -> Any:
        """A pixel alone has the same order in both layouts: no transpose then."""
        from tvm import relax

        image = value.args[0]
        if image in self.channels_last and shape_of(image)[1:3] == (1, 1):
            return scope.emit(relax.op.reshape(image, value.args[1]))
        return self._fall_back(scope, value)

    def _matmul(self, scope: Scope, value: Any) -> Any:
        """Folds the transpose before a flattened classifier into the classifier's weights."""
        relax = relax_untyped()

        flat, weight = value.args
        reshape = scope.producer(flat)
        if call_name(reshape) != "relax.reshape" or not is_constant(weight):
            return scope.emit(value)
        transposed = scope.producer(reshape.args[0])
        if call_name(transposed) != "relax.permute_dims" or len(shape_of(flat)) != 2:
            return scope.emit(value)
        image = transposed.args[0]
        batch, height, width, channels = (
            shape_of(image) if image in self.channels_last else (0,) * 4
        )
        rows = height * width * channels
        if shape_of(flat) != (batch, rows) or len(shape_of(weight)) != 2:
            return scope.emit(value)
        order = np.arange(rows).reshape(channels, height, width).transpose(1, 2, 0).ravel()
        direct = scope.emit(relax.op.reshape(image, (batch, rows)))
        return scope.emit(relax.op.matmul(direct, constant(value_of(weight)[order])))


def _constant_nhwc(expr: Any) -> Any:
    """Return a constant operand of an element-wise operator in NHWC."""
    array = value_of(expr)
    if array.ndim < 3:  # scalars; anything else broadcasts over the width and is written out
        return expr if array.size == 1 else constant(_four(array).transpose(TO_NHWC))
    moved = _four(array).transpose(TO_NHWC)
    return constant(moved.reshape(-1) if moved.shape[:3] == (1, 1, 1) else moved)


def _four(array: Any) -> Any:
    return array.reshape((1,) * (4 - array.ndim) + array.shape)

"""The vendor libraries by name."""

from tuning.rivals.base import Vendor
from tuning.rivals.numpy_vendor import NumpyVendor
from tuning.rivals.onednn_vendor import OnednnVendor
from tuning.rivals.torch_vendor import TorchVendor

VENDORS: dict[str, type[Vendor]] = {
    vendor.name: vendor for vendor in (NumpyVendor, TorchVendor, OnednnVendor)
}

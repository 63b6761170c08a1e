"""What a step costs under the kinds of rates: data-sheet, profiled, measured, calibrated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.kinds import serving_calibrated as calibrated
from serving.profiles.catalog import PROFILES, locate, located, missing_message
from serving.profiles.files import digest_of
from sim.gpu.hardware import gpu_named

if TYPE_CHECKING:  # checking a manifest must not load numba
    from experiments.kinds.serving_config import ServingConfig
    from serving.density import ResourceModel
    from sim.gpu.step_cost import StepCosts


def check_rates(config: ServingConfig) -> None:
    """Refuse rates that are not known for the GPU, or a profile of another GPU or model.

    Raises:
        ValueError: so it is.
    """
    gpu_named(config.gpu).rates(config.rates == "profiled")
    if config.rates == "calibrated":
        calibrated.check(config)
        return
    if config.rates == "measured" and config.profile is None:
        names = [name for name, entry in PROFILES.items() if entry.kind == "dense"]
        raise ValueError(f"profile: measured rates need one, such as {', '.join(names)}")
    if config.rates == "measured" and config.value_bytes != 2:
        raise ValueError("value_bytes: measured profiles are of 2-byte values")
    if config.profile is not None and config.rates == "peak":
        raise ValueError("profile: data-sheet rates read none; set rates to measured")
    check_profile_is_of(config.profile, config.gpu, config.model)


def check_profile_is_of(profile: str | None, gpu: str, model: str) -> None:
    """Refuse a catalogued profile of another GPU or model.

    Raises:
        ValueError: so it is.
    """
    entry = PROFILES.get(profile or "")
    if entry is not None and (entry.gpu, entry.model) != (gpu, model):
        raise ValueError(
            f"profile: {entry.name} is of {entry.model} on {entry.gpu}, not of {model} on {gpu}"
        )


def settled(config: dict[str, Any]) -> dict[str, Any]:
    """Add the digest of a measured profile, or fall back to profiled rates where it is absent.

    Raises:
        ValueError: it is neither in the catalogue nor a file, or no profiled rates are known; or
            a hardware entry is absent, damaged, or of another model.
    """
    if config["rates"] == "calibrated":
        return calibrated.settled(config)
    if config["rates"] != "measured":
        return config
    path = locate(config["profile"], "dense")
    if path is None:
        gpu_named(config["gpu"]).rates(profiled=True)
        return {**config, "rates": "profiled"}
    found = config.get("profile_sha256") or digest_of("dense", path)
    return {**config, "profile_sha256": found}


def notes(config: ServingConfig) -> list[str]:
    """Return what calibrated rates are; that and why rates are not the measured ones asked for."""
    if config.rates == "calibrated":
        return [calibrated.located(config).said()]
    wanted = config.profile
    if config.rates != "profiled" or wanted not in PROFILES or locate(wanted, "dense"):
        return []
    return [f"profiled rates instead of measured ones; absent: {missing_message(wanted)}"]


def costs_of(config: ServingConfig) -> tuple[StepCosts, ResourceModel]:
    """Return the costs of a step, and the rates for densities and optima.

    Raises:
        ValueError: the profile is absent, malformed, or does not go as far as the largest step.
    """
    from serving.density import ResourceModel
    from serving.profiles.costs import measured_costs, resources_of
    from serving.profiles.vidur import read_dense
    from sim.gpu.overlap import WHAT_IF, overlap_named
    from sim.gpu.step_cost import step_costs, what_if

    gpu, model = gpu_named(config.gpu), config.shape()
    overlap = overlap_named(**config.overlap.model_dump())
    # Without arrivals a schedule does not depend on time: other overlap models cost one sum each.
    others = () if config.arrivals else tuple(WHAT_IF.values())
    size = {"max_tokens": config.max_batched_tokens, "gpus": config.gpus}
    size["quantum"] = config.token_quantum
    if config.rates == "calibrated":
        costs = calibrated.costs_of(config)._replace(what_if=what_if(others))
        return costs, resources_of(costs, model)
    if config.rates == "measured":
        path = located(str(config.profile), "dense", config.profile_sha256)
        costs = measured_costs(read_dense(path, config.gpus), gpu.name, model, overlap, **size)
        costs = costs._replace(what_if=what_if(others))
        return costs, resources_of(costs, model)
    profiled = config.rates == "profiled"
    resources = ResourceModel.of(gpu, model, profiled=profiled, gpus=config.gpus)
    costs = step_costs(gpu, model, overlap, profiled=profiled, alternatives=others, **size)
    return costs, resources

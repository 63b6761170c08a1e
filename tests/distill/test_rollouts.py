"""Roll-outs: whose labels, who acts, rows that keep their links, and files that tell the truth."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policies.congestion.networks import FOLDER, read_safetensors
from policies.congestion.rule_inputs import EMPTY, INPUTS, WIDTH
from policies.congestion.symbolic import FOLDER as RULES
from policies.distill.actors import Policy, RuleActor
from policies.distill.judge import judge_on
from policies.distill.rollouts import (
    MOST_LINKS,
    MOST_ROWS,
    Rollouts,
    collect,
    read_rollouts,
    write_rollouts,
)
from policies.distill.storage import digest_of, write_tensors
from policies.distill.teacher_config import corrected_links
from policies.distill.weights import read_network
from policies.distill.worlds import CORRECTED, LEGACY, World, seeds_of
from policies.rules.parse import read_rule
from sim.net.envs.config import EnvConfig

CONDITIONS = ("bandwidth_bps", "delay_s", "queue_packets", "loss_probability")
STEPS = 25
WORLD = World(CORRECTED, corrected_links(steps=STEPS))
GENTLE = read_rule(RULES / "gentle.rule")


def wilful(seen: np.ndarray) -> np.ndarray:
    """Answer each link by its own observation alone, at times beyond [-1, 1]."""
    return 11.5 - 10.0 * seen.max(axis=1)


def timid(seen: np.ndarray) -> np.ndarray:
    return np.full((len(seen), 1), -0.125)


def seeds(count: int) -> list[int]:
    return seeds_of("train", 0, count)


def luck(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def content(rollouts: Rollouts) -> dict[str, bytes]:
    """Return all that roll-outs hold, to the bit."""
    rows = {name: getattr(rollouts, name) for name in ("inputs", "labels", "links", "steps")}
    arrays = {**rows, "share": rollouts.share, **rollouts.conditions}
    return {n: a.tobytes() + f"{a.dtype}{a.shape}".encode() for n, a in arrays.items()}


# --- what is collected


def test_rows_are_the_decisions_link_by_link() -> None:
    found = collect(WORLD, wilful, seeds(7))
    assert len(found) == 7 * STEPS
    assert found.inputs.shape == (7 * STEPS, WIDTH)
    assert [a.dtype for a in (found.inputs, found.labels, found.links, found.steps)] == [
        *(np.float32, np.float32),
        *(np.int32, np.int32),
    ]
    assert (found.links == np.repeat(np.arange(7), STEPS)).all()
    assert (found.steps == np.tile(np.arange(STEPS), 7)).all()
    assert tuple(found.conditions) == CONDITIONS
    judged = judge_on(wilful, WORLD, seeds(7))
    assert (found.share == judged.share).all()
    for name, values in found.conditions.items():
        assert values.dtype == np.float64
        assert (values == judged.links[name]).all()


def test_the_first_decision_of_an_episode_is_on_the_empty_table() -> None:
    found = collect(WORLD, wilful, seeds(7))
    first = found.inputs[found.steps == 0]
    assert (first == np.array(EMPTY, np.float32)).all()
    assert (found.inputs[found.steps == 1] != first).any(axis=1).all()
    low, high = (np.array([bounds[i] for bounds in INPUTS.values()]) for i in range(2))
    assert ((found.inputs >= low) & (found.inputs <= high)).all()


# paper: symbolicpcc roll-outs
@pytest.mark.parametrize("student", ["rule", "function", None])
def test_labels_are_the_teachers_whoever_acts(student: str | None) -> None:
    asked: list[np.ndarray] = []

    def teacher(seen: np.ndarray) -> np.ndarray:
        asked.append(seen.copy())
        answer = wilful(seen)
        seen[:] = 7.0
        return answer

    actor = {"rule": RuleActor(GENTLE), "function": timid, None: None}[student]
    found = collect(WORLD, teacher, seeds(9), actor)
    assert len(asked) == STEPS
    for step, seen in enumerate(asked):
        expected = np.clip(wilful(seen), -1.0, 1.0)
        assert (found.labels[found.steps == step] == expected).all()
    answers = np.concatenate([wilful(seen) for seen in asked])
    assert answers.max() > 1.0, "the teacher never went beyond the bounds"
    assert answers.min() < -1.0, "the teacher never went beyond the bounds"
    judged = judge_on(wilful if actor is None else actor, WORLD, seeds(9))
    assert (found.share == judged.share).all()


def test_tables_are_those_that_the_student_decided_on() -> None:
    seen: list[np.ndarray] = []

    class Spy(RuleActor):
        """A rule that keeps what it saw."""

        def _decide(self, table: np.ndarray) -> np.ndarray:
            seen.append(table.copy())
            return super()._decide(table)

    found = collect(WORLD, wilful, seeds(5), Spy(GENTLE))
    tables = np.stack(seen, axis=1).reshape(-1, WIDTH)
    assert (found.inputs == tables.astype(np.float32)).all()


def test_always_the_teacher_is_the_teacher_acting() -> None:
    alone = collect(WORLD, wilful, seeds(12))
    for mixed in (
        collect(WORLD, wilful, seeds(12), RuleActor(GENTLE), mix=1.0),
        collect(WORLD, wilful, seeds(12), RuleActor(GENTLE), mix=1.0, luck=luck()),
        collect(WORLD, wilful, seeds(12), None, mix=0.5, luck=luck()),
        collect(WORLD, wilful, seeds(12), wilful),
    ):
        assert content(mixed) == content(alone)


def test_of_two_that_act_each_has_whole_episodes() -> None:
    count = 80
    parts = [
        collect(WORLD, wilful, seeds(count), timid, mix, luck(4)) for mix in (0.0, 0.25, 0.5, 1.0)
    ]
    student, *mixed, teacher = parts
    before = np.zeros(count, bool)
    for mix, found in zip((0.25, 0.5), mixed, strict=True):
        by_teacher = found.share == teacher.share
        assert (by_teacher | (found.share == student.share)).all()
        assert by_teacher.mean() == pytest.approx(mix, abs=0.2)
        for mask, one in ((by_teacher, teacher), (~by_teacher, student)):
            assert content(found.of_links(mask)) == content(one.of_links(mask))
        # The same luck: with a larger share of the teacher, more links, and those from before.
        assert (by_teacher >= before).all()
        before = by_teacher


@pytest.mark.parametrize("every", [1, 2, 3, STEPS - 1, STEPS, STEPS + 1, 1000])
def test_thinner_notes_are_some_of_all(every: int) -> None:
    full = collect(WORLD, wilful, seeds(4), timid)
    thin = collect(WORLD, wilful, seeds(4), timid, every=every)
    kept = full.steps % every == 0
    for name in ("inputs", "labels", "links", "steps"):
        assert (getattr(thin, name) == getattr(full, name)[kept]).all()
    assert len(thin) == kept.sum()
    assert (thin.share == full.share).all()


def test_links_do_not_depend_on_those_beside_them() -> None:
    for actor in (None, RuleActor(GENTLE)):
        many = collect(WORLD, wilful, seeds(70), actor)
        few = collect(WORLD, wilful, seeds(6), actor)
        assert content(many.of_links(np.arange(70) < 6)) == content(few)


def test_the_same_seeds_give_the_same_bytes(tmp_path: Path) -> None:
    teacher = read_network(FOLDER / "teacher_corrected.safetensors")
    files = []
    for folder in ("a", "b"):
        found = collect(WORLD, teacher, seeds(20), RuleActor(GENTLE), 0.5, luck(1), every=3)
        path = tmp_path / folder / "r.safetensors"
        write_rollouts(path, found, {"seeds": seeds(20)})
        files.append((path.read_bytes(), path.with_suffix(".json").read_bytes()))
        assert len(np.unique(found.labels)) > 50
    assert files[0] == files[1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mix": 1.5}, "mix must be a probability"),
        ({"mix": float("nan")}, "mix must be a probability"),
        ({"mix": 0.5}, "mix = 0.5 needs luck"),
        ({"every": 0}, "every must be an integer of 1"),
        ({"every": 2.0}, "every must be an integer of 1"),
        ({"seeds": []}, "seeds: there must be at least one"),
        ({"teacher": lambda seen: np.zeros(2)}, r"answered with shape \(2,\) for 3 links"),
        ({"teacher": lambda seen: np.full(3, np.nan)}, "labels: must be finite numbers"),
        ({"actor": lambda seen: np.full(3, np.inf)}, r"action\[0\] = inf is not a finite number"),
        ({"world": World(LEGACY, EnvConfig.legacy(steps=3))}, "tells no rows of intervals"),
    ],
)
def test_bad_arguments_are_named(changes: dict[str, Any], message: str) -> None:
    given_here = {"world": WORLD, "teacher": wilful, "seeds": [1, 2, 3], "actor": timid}
    with pytest.raises(ValueError, match=message):
        collect(**{**given_here, **changes})


# --- rows keep their links


def made(links: int, rows: int, seed: int = 0, first: int = 0) -> Rollouts:
    """Return roll-outs in which inputs and conditions say which link, and labels which row."""
    draws = np.random.default_rng(seed)
    place = np.sort(draws.integers(links, size=rows)) if links else np.zeros(rows, int)
    inputs = draws.normal(size=(rows, WIDTH))
    inputs[:, 0] = first + place
    names = first + np.arange(links, dtype=np.float64)
    return Rollouts(
        inputs.astype(np.float32),
        (np.arange(rows) / max(rows, 1)).astype(np.float32),
        place.astype(np.int32),
        draws.integers(400, size=rows).astype(np.int32),
        {"bandwidth_bps": names, "delay_s": names / 3.0},
        -names / 7.0,
    )


def keeps_its_links(rollouts: Rollouts) -> bool:
    names = rollouts.inputs[:, 0].astype(np.float64)
    known = rollouts.conditions["bandwidth_bps"]
    return bool(
        (known[rollouts.links] == names).all()
        and (rollouts.conditions["delay_s"] == known / 3.0).all()
        and (rollouts.share == -known / 7.0).all()
    )


sizes = st.integers(1, 12), st.integers(0, 60)


@given(links=sizes[0], rows=sizes[1], data=st.data())
def test_chosen_links_have_their_rows_and_no_others(
    links: int, rows: int, data: st.DataObject
) -> None:
    whole = made(links, rows, links)
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=links, max_size=links)))
    part = whole.of_links(mask)
    assert keeps_its_links(part)
    assert len(part.share) == mask.sum()
    assert (part.labels == whole.labels[mask[whole.links]]).all()
    other = whole.of_links(~mask)
    assert len(part) + len(other) == rows


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), min_size=1, max_size=5))
def test_joined_parts_keep_their_links_apart(shapes: list[tuple[int, int]]) -> None:
    parts = [
        made(links, rows if links else 0, i, first=100 * i)
        for i, (links, rows) in enumerate(shapes)
    ]
    whole = Rollouts.joined(*parts)
    assert content(parts[0].joined(*parts[1:])) == content(whole)
    assert keeps_its_links(whole)
    assert len(whole) == sum(map(len, parts))
    names = np.concatenate([part.conditions["bandwidth_bps"] for part in parts])
    assert (whole.conditions["bandwidth_bps"] == names).all()
    ends = np.cumsum([0, *(len(part.share) for part in parts)])
    for part, first, last in zip(parts, ends, ends[1:], strict=False):
        places = np.arange(len(whole.share))
        mask = (places >= first) & (places < last)
        assert content(whole.of_links(mask)) == content(part)


@given(*sizes, st.integers(0, 70), st.integers(0, 5))
def test_thinned_rows_are_some_of_them_in_order(
    links: int, rows: int, wanted: int, seed: int
) -> None:
    whole = made(links, rows, links)
    thin = whole.thinned(wanted, luck(seed))
    assert len(thin) == min(wanted, rows)
    assert keeps_its_links(thin)
    assert len(thin.share) == links
    assert (np.diff(thin.labels) > 0).all()
    places = np.rint(thin.labels.astype(float) * rows).astype(int)
    assert (thin.inputs == whole.inputs[places]).all()
    assert (thin.steps == whole.steps[places]).all()
    assert content(thin) == content(whole.thinned(wanted, luck(seed)))


def test_every_row_is_as_likely_to_stay() -> None:
    whole, draws = made(3, 40), luck()
    counts = np.zeros(40)
    for _ in range(2000):
        thin = whole.thinned(10, draws)
        counts[np.rint(thin.labels * 40).astype(int)] += 1
    # Binomial of 2000 at 1/4: standard deviation 19.4.
    assert counts == pytest.approx(np.full(40, 500.0), abs=5 * 19.4)


def test_bad_masks_and_counts_are_refused() -> None:
    whole = made(4, 10)
    for mask in (np.ones(3, bool), np.ones(4), np.array([0, 1, 2, 3]), np.ones((4, 1), bool)):
        with pytest.raises(ValueError, match="mask: must be a bool for each of 4 links"):
            whole.of_links(mask)
    with pytest.raises(ValueError, match="rows must be an integer of 0"):
        whole.thinned(-1, luck())
    other = Rollouts(
        *(getattr(whole, n) for n in ("inputs", "labels", "links", "steps")), {}, whole.share
    )
    with pytest.raises(ValueError, match="cannot be joined to bandwidth_bps, delay_s"):
        whole.joined(other)


CHANGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "inputs: must be of shape": lambda of: of.update(inputs=of["inputs"][:, 1:]),
    "inputs: must be finite": lambda of: of["inputs"].__setitem__((3, 4), np.nan),
    "labels: must be finite numbers of -1 to 1": lambda of: of["labels"].__setitem__(2, 1.5),
    "labels: must be finite numbers": lambda of: of["labels"].__setitem__(2, np.nan),
    "links: must be of shape": lambda of: of.update(links=of["links"][1:]),
    "links: must be finite numbers of 0 to 3": lambda of: of["links"].__setitem__(0, 4),
    "links: .*got -1": lambda of: of["links"].__setitem__(0, -1),
    "steps: must be finite numbers of 0": lambda of: of["steps"].__setitem__(9, -1),
    "share: must be finite": lambda of: of["share"].__setitem__(1, -np.inf),
    "condition 'delay_s': must be of shape": lambda of: of["conditions"].update(
        delay_s=np.zeros(5)
    ),
    "condition 'delay_s': must be finite": lambda of: of["conditions"].update(
        delay_s=np.full(4, np.nan)
    ),
    "inputs: must be of shape .10, 31.": lambda of: of.update(inputs=np.zeros(())),
}


def fields_of(rollouts: Rollouts) -> dict[str, Any]:
    names = ("inputs", "labels", "links", "steps", "share")
    fields: dict[str, Any] = {name: getattr(rollouts, name).copy() for name in names}
    return fields | {"conditions": dict(rollouts.conditions)}


@pytest.mark.parametrize("message", CHANGES)
def test_what_does_not_fit_together_cannot_be_made(message: str) -> None:
    fields = fields_of(made(4, 10))
    CHANGES[message](fields)
    with pytest.raises(ValueError, match=message) as caught:
        Rollouts(**fields)
    assert "\n" not in str(caught.value)


def test_wider_numbers_are_narrowed_and_others_refused() -> None:
    fields = fields_of(made(4, 10))
    wide = {
        "inputs": fields["inputs"].astype(np.float64),
        "links": fields["links"].astype(np.int64),
        "conditions": {"bandwidth_bps": np.arange(4), "delay_s": np.arange(4) / 3.0},
    }
    assert content(Rollouts(**{**fields, **wide})) == content(made(4, 10))
    with pytest.raises(TypeError):
        Rollouts(**{**fields, "links": fields["links"].astype(np.float64)})


# --- files


@given(links=st.integers(0, 6), rows=st.integers(0, 20), seed=st.integers(0, 99))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_round_trip(links: int, rows: int, seed: int, tmp_path: Path) -> None:
    path, written = tmp_path / "r.safetensors", made(links, rows if links else 0, seed)
    write_rollouts(path, written, {"seed": seed, "share": "not mine to say"})
    assert content(read_rollouts(path)) == content(written)
    assert json.loads(path.with_suffix(".json").read_text())["seed"] == seed


def test_a_collection_survives_its_files(tmp_path: Path) -> None:
    path, written = tmp_path / "r.safetensors", collect(WORLD, wilful, seeds(30), timid, every=4)
    write_rollouts(path, written, {})
    assert content(read_rollouts(path)) == content(written)


def described(path: Path, **changes: Any) -> None:
    """Change the description, and let it vouch for whatever lies at `path`."""
    told = json.loads(path.with_suffix(".json").read_text())
    told = {**told, "sha256": digest_of(path), **changes}
    path.with_suffix(".json").write_text(json.dumps(told))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "no roll-outs of format 1"),
        ({"format": None}, "no roll-outs of format 1"),
        ({"conditions": []}, "no roll-outs of format 1"),
        ({"inputs": list(INPUTS)[1:]}, "other inputs than rules have now"),
        ({"inputs": list(reversed(INPUTS))}, "other inputs than rules have now"),
        ({"inputs": None}, "other inputs than rules have now"),
        ({"sha256": "0" * 64}, "is not the file whose sha256"),
        ({"share": [0.5] * 3}, r"r\.safetensors: .*links: must be finite numbers of 0 to 2"),
        ({"share": [0.5] * 5}, "condition 'bandwidth_bps': must be of shape"),
        ({"share": [0.5, 0.5, 0.5, float("nan")]}, "share: must be a list of finite"),
        ({"share": [0.5, 0.5, 0.5, float("inf")]}, "share: must be a list of finite"),
        ({"share": [0.5, 0.5, 0.5, None]}, "share: must be a list of finite"),
        ({"share": [0.5, 0.5, 0.5, True]}, "share: must be a list of finite"),
        ({"share": [0.5, 0.5, 0.5, "1"]}, "share: must be a list of finite"),
        ({"share": [[0.5], [0.5], [0.5], [1]]}, "share: must be a list of finite"),
        ({"share": [0.5, 0.5, 0.5, 10**400]}, "share: must be a list of finite"),
        ({"share": "many"}, "share: must be a list of finite"),
        ({"share": [0.5] * (MOST_LINKS + 1)}, "share: must be a list of finite"),
        ({"conditions": {"x\ny" * 99: [1.0]}}, r"condition 'x\\ny.*: must be of shape"),
        ({"conditions": {"x\ny": 1.0}}, r"condition 'x\\ny': must be a list"),
    ],
)
def test_a_changed_description_is_refused(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "r.safetensors"
    write_rollouts(path, made(4, 30), {})
    described(path, **change)
    with pytest.raises(ValueError, match=message) as caught:
        read_rollouts(path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, '"x"', "\x00"])
def test_a_description_that_is_no_json_object_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "r.safetensors"
    write_rollouts(path, made(2, 5), {})
    path.with_suffix(".json").write_text(text)
    with pytest.raises(ValueError, match=r"r\.json: "):
        read_rollouts(path)


def test_files_that_were_swapped_are_refused(tmp_path: Path) -> None:
    one, two = tmp_path / "one.safetensors", tmp_path / "two.safetensors"
    write_rollouts(one, made(4, 10, 1), {})
    write_rollouts(two, made(4, 10, 2), {})
    one.write_bytes(two.read_bytes())
    with pytest.raises(ValueError, match=r"one\.safetensors: is not the file whose sha256"):
        read_rollouts(one)
    assert len(read_rollouts(two)) == 10


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "r.safetensors"
    with pytest.raises(FileNotFoundError, match=r"r\.json"):
        read_rollouts(path)
    write_rollouts(path, made(2, 5), {})
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"r\.safetensors"):
        read_rollouts(path)


TENSORS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "tensors must be": lambda of: of.pop("steps"),
    "tensors must be inputs": lambda of: of.update(more=np.zeros(1, np.float32)),
    "inputs: must be of shape": lambda of: of.update(inputs=of["inputs"][1:]),
    "inputs: must be of shape .10, 31.": lambda of: of.update(inputs=of["inputs"].T),
    "links: must be of shape": lambda of: of.update(links=of["links"][1:]),
    "links: must be of shape .*": lambda of: of.update(links=of["links"].reshape(2, 5)),
    "links: must be whole numbers": lambda of: of["links"].__setitem__(0, 0.5),
    "links: must be whole": lambda of: of["links"].__setitem__(0, 1e30),
    "links: must be finite numbers of 0 to 3": lambda of: of["links"].__setitem__(0, 4),
    "steps: must be finite numbers of 0": lambda of: of["steps"].__setitem__(0, -1),
    "steps: must be whole": lambda of: of["steps"].__setitem__(0, 2.0**25),
    "labels: must be finite": lambda of: of["labels"].__setitem__(0, -1.25),
    "labels: must be of shape": lambda of: of.update(labels=np.zeros((2, 5), np.float32)),
}


@pytest.mark.parametrize("message", TENSORS)
def test_tensors_that_are_no_rows_are_refused(message: str, tmp_path: Path) -> None:
    """Even where the description vouches for them."""
    path = tmp_path / "r.safetensors"
    write_rollouts(path, made(4, 10), {})
    tensors = read_safetensors(path)
    TENSORS[message](tensors)
    write_tensors(path, tensors)
    described(path)
    with pytest.raises(ValueError, match=message) as caught:
        read_rollouts(path)
    assert str(caught.value).startswith(str(path))


@given(data=st.data(), vouched=st.booleans())
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_mutated_files_are_refused_or_sound(
    data: st.DataObject, vouched: bool, tmp_path: Path
) -> None:
    path = tmp_path / "r.safetensors"
    write_rollouts(path, made(3, 4), {})
    original = path.read_bytes()
    mutated = bytearray(original)
    for _ in range(data.draw(st.integers(1, 4))):
        mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        mutated = mutated[: data.draw(st.integers(0, len(mutated)))]
    path.write_bytes(bytes(mutated))
    if vouched:
        described(path)
    try:
        found = read_rollouts(path)
    except ValueError as caught:
        said = str(caught)
        assert str(tmp_path) in said
    else:
        said = ""
        assert vouched or bytes(mutated) == original
        assert np.isfinite(found.inputs).all()
        assert (np.abs(found.labels) <= 1.0).all()
    assert "\n" not in said


@pytest.mark.parametrize(("links", "rows"), [(1, MOST_ROWS + 1), (MOST_LINKS + 1, 1)])
def test_more_than_a_file_holds_is_not_written(links: int, rows: int, tmp_path: Path) -> None:
    zeros = np.zeros(rows, np.int32)
    many = Rollouts(
        np.zeros((rows, WIDTH), np.float32),
        zeros.astype(np.float32),
        zeros,
        zeros,
        {},
        np.zeros(links),
    )
    with pytest.raises(ValueError, match="but a file holds 450000 of 20000; thin them"):
        write_rollouts(tmp_path / "r.safetensors", many, {})
    assert not list(tmp_path.iterdir())


def test_the_largest_file_is_read(tmp_path: Path) -> None:
    zeros, path = np.zeros(MOST_ROWS, np.int32), tmp_path / "r.safetensors"
    inputs = np.zeros((MOST_ROWS, WIDTH), np.float32)
    share = np.full(MOST_LINKS, -1.2345678901234567e-05)
    conditions = dict.fromkeys(CONDITIONS, share)
    most = Rollouts(inputs, zeros.astype(np.float32), zeros, zeros, conditions, share)
    write_rollouts(path, most, {"seeds": [2**62] * MOST_LINKS})
    assert (read_rollouts(path).share == share).all()


def test_what_is_told_must_be_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_rollouts(tmp_path / "r.safetensors", made(2, 3), {"score": float("nan")})


def test_policies_may_be_networks_or_functions() -> None:
    policy: Policy = read_network(FOLDER / "teacher_corrected.safetensors")
    found = collect(WORLD, policy, seeds(10))
    judged = judge_on(policy, WORLD, seeds(10))
    assert (found.share == judged.share).all()

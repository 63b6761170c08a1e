"""Rules that a run brings along, and policies whose files are not there."""

from __future__ import annotations

from typing import Any


def resolved_rule(config: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration with `rule_text`, the content of `rule_file`, in its place.

    So a run's identity is the rule's text, wherever the file lies. Both are null without a file.

    Raises:
        ValueError: the file cannot be read, or is no rule; the message names it.
    """
    rest = {name: value for name, value in config.items() if name != "rule_file"}
    path = config["rule_file"]
    if path is None:
        return {**rest, "rule_text": None}
    from policies.rules.parse import read_rule
    from policies.rules.write import text_of

    try:
        return {**rest, "rule_text": text_of(read_rule(path))}
    except OSError as error:
        raise ValueError(f"rule_file: {error}") from None


def lacking(config: dict[str, Any]) -> tuple[str, ...]:
    """Return messages on files of the run's policy that are not in this checkout."""
    from policies.distill.entrants import ENTRANTS

    policy = config["policy"]
    return () if policy is None else ENTRANTS.get(policy).lacks()

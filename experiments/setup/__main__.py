"""`python3 -m experiments.setup venv|vllm|programs|lock`: runs before anything is installed."""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - this runs in whatever Python there is
    sys.exit(f"Triptych needs Python 3.11 or newer; this is {sys.version.split()[0]}")

import argparse

from experiments.setup import SetupError, lock, packages, venv, vllm


def _say(line: str) -> None:
    print(f"set-up: {line}", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m experiments.setup", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("venv", help="make .venv hold what the lock says")
    make.add_argument("--extras", nargs="*", default=[], help="extras of pyproject.toml")
    make.add_argument(
        "--wish", nargs="*", default=[], help="extras to do without where they cannot be had"
    )
    make.add_argument("--groups", nargs="*", default=[], help="dependency groups")
    make.add_argument("--allow-cuda", action="store_true", help="download CUDA packages too")
    real = commands.add_parser("vllm", help="make .venv-vllm hold vLLM's CPU build")
    real.add_argument("--wish", action="store_true", help="do without where it cannot be had")
    real.add_argument("--lock", action="store_true", help="resolve anew; write its lock instead")
    real.add_argument("--allow-cuda", action="store_true", help="download CUDA packages too")
    apt = commands.add_parser("programs", help="install missing programs by apt, as root")
    apt.add_argument("names", nargs="+", metavar="NAME")
    commands.add_parser("lock", help="resolve anew; write constraints.txt and environment.yml")
    return parser


def _ensure_venv(args: argparse.Namespace) -> None:
    """Make the environment; what is only wished for stops nothing."""
    more = {"allow_cuda": args.allow_cuda, "say": _say}
    if args.wish:
        try:
            return venv.ensure([*args.extras, *args.wish], args.groups, **more)
        except SetupError as error:
            _say(f"left out {', '.join(args.wish)}, and what needs it: {error}")
    return venv.ensure(args.extras, args.groups, **more)


def _ensure_vllm(args: argparse.Namespace) -> None:
    """Make vLLM's environment, or its lock."""
    if args.lock:
        return _say(f"locked {vllm.lock()} packages of vLLM")
    try:
        return vllm.ensure(allow_cuda=args.allow_cuda, say=_say)
    except SetupError as error:
        if not args.wish:
            raise
        return _say(f"left out vLLM, and what needs it: {error}")


def main(argv: list[str] | None = None) -> int:
    """Carry out one command; return the exit code."""
    args = _parser().parse_args(argv)
    try:
        if args.command == "venv":
            _ensure_venv(args)
        elif args.command == "vllm":
            _ensure_vllm(args)
        elif args.command == "programs":
            for line in packages.ensure_programs(args.names):
                _say(line)
        else:
            _say(f"locked {len(lock.lock())} packages")
    except SetupError as error:
        _say(str(error))
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

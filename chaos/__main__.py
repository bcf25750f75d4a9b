"""Run chaos campaigns and print the verdict; exit with status 1 on a breach."""

from __future__ import annotations

import argparse
import random
import sys

from chaos.campaign import Options, run_campaign
from chaos.plan import VICTIMS
from chaos.report import breaches, disruptions, summary
from testbed.processes import exit_on_sigterm
from testbed.servers import MissingServerError, check_installed


def main() -> int:
    """Run the campaigns of the command line and return the exit status."""
    exit_on_sigterm()
    arguments = _parser().parse_args()
    seed = random.SystemRandom().randrange(10**6) if arguments.seed is None else arguments.seed
    if "distributed" in arguments.modes:
        try:
            check_installed()
        except MissingServerError as error:
            print(f"chaos: {error}", file=sys.stderr)
            return 2
    outcomes = {
        f"{mode} {number}": run_campaign(
            Options(
                mode=mode,
                seed=number,
                generations=arguments.generations,
                kills=arguments.kills,
                durable=arguments.durable == "true",
                timeout=arguments.timeout,
            )
        )
        for mode in arguments.modes
        for number in range(seed, seed + arguments.rounds)
    }
    print(f"\n{disruptions(outcomes)}\n\n{summary(outcomes)}\n")
    failed = [text for name, outcome in outcomes.items() if (text := breaches(name, outcome))]
    if failed:
        print("\n".join(failed), "\n")
    target = "chaos" if len(arguments.modes) > 1 else f"chaos-{arguments.modes[0]}"
    options = (
        f"SEED={seed} ROUNDS={arguments.rounds} GENERATIONS={arguments.generations} KILLS={arguments.kills}"
    )
    verdict = "FAILED." if failed else "Paid once, stored whole, never visible broken."
    print(f"{verdict} To repeat: make {target} {options}")
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument(
        "modes",
        nargs="+",
        choices=tuple(VICTIMS),
        help="embedded: SQLite; distributed: PostgreSQL and Celery",
    )
    parser.add_argument("--seed", type=int, help="seed of the first round; random by default, and printed")
    parser.add_argument("--rounds", type=int, default=1, help="rounds, each with the next seed (%(default)s)")
    parser.add_argument("--generations", type=int, default=30, help="videos per DAG run (%(default)s)")
    parser.add_argument("--kills", type=int, default=24, help="SIGKILLs per round (%(default)s)")
    parser.add_argument("--timeout", type=float, default=1800, help="seconds for a DAG run (%(default)s)")
    parser.add_argument(
        "--durable",
        choices=("true", "false"),
        default="true",
        help="the operator's parameter (%(default)s); false shows the double charges without a record",
    )
    return parser


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)

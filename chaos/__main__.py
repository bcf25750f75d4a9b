"""``python -m chaos embedded distributed``: run campaigns, print the verdict, fail if the promise broke."""

from __future__ import annotations

import argparse
import random
import signal
import sys

from chaos import report
from chaos.campaign import VICTIMS, Order, Outcome, run
from chaos.servers import MissingServerError, check_installed


def main() -> int:
    """Run what the command line names, and give the exit status."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("modes", nargs="+", choices=tuple(VICTIMS))
    parser.add_argument("--seed", type=int, help="of everything random; printed when it is not given")
    parser.add_argument("--rounds", type=int, default=1, help="seeds to run, one after the other")
    parser.add_argument("--generations", type=int, default=30)
    parser.add_argument("--kills", type=int, default=24)
    parser.add_argument("--timeout", type=float, default=1800, help="seconds until a campaign is given up")
    parser.add_argument(
        "--durable",
        choices=("true", "false"),
        default="true",
        help="the operator's parameter: false shows that the count of double charges can be other than 0",
    )
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if given.seed is None else given.seed
    if "distributed" in given.modes:
        try:
            check_installed()
        except MissingServerError as error:
            print(f"chaos: {error}", file=sys.stderr)
            return 2
    outcomes: dict[str, Outcome] = {}
    for mode in given.modes:
        for number in range(seed, seed + given.rounds):
            durable = given.durable == "true"
            order = Order(mode, number, given.generations, given.kills, durable, given.timeout)
            outcomes[f"{mode} {number}"] = run(order)
    print(f"\n{report.deeds(outcomes)}\n\n{report.summary(outcomes)}\n")
    broken = [text for name, outcome in outcomes.items() if (text := report.breaches(name, outcome))]
    if broken:
        print("\n".join(broken), "\n")
    target = "chaos" if len(given.modes) > 1 else f"chaos-{given.modes[0]}"
    again = f"SEED={seed} ROUNDS={given.rounds} GENERATIONS={given.generations} KILLS={given.kills}"
    said = "FAILED." if broken else "Paid once, stored whole, never seen broken."
    print(f"{said} The same again: make {target} {again}")
    return 1 if broken else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)

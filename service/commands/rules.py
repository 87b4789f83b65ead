"""`pumpwatch rules`: everything that is asked about rulebooks on the command line."""

import argparse

from service.commands import backtest, calibrate, overrides, rulebook


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    rules = commands.add_parser(
        "rules", help="check, show and compare rulebooks; set overrides; try one on a stream or on what is stored"
    ).add_subparsers(required=True)
    rulebook.add_to(rules)
    overrides.add_to(rules)
    backtest.add_to(rules)
    calibrate.add_to(rules)

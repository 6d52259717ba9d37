"""Ring 4. What Spack's solver says when there is no solution, told in the profile's words."""

from __future__ import annotations

from stack.errors import ExitCode, Fault, StackError
from stack.plan import Plan


def explain(output: str, plan: Plan, log: str) -> StackError:
    """The error for a solve that failed; `log` has the raw text."""
    last = "\n".join("    " + line for line in output.strip().splitlines()[-12:])
    what = f"Spack found no solution for {plan.cell}\n{last}"
    return StackError([Fault(what, None, f"the whole output is in {log}")], ExitCode.BAD_INPUT)

"""`agent acp`: the assistant in an editor, over the Agent Client Protocol."""

import argparse
from collections.abc import Sequence

from agent import flags, installing
from agent.exits import Exit, UsageError
from agent.settings import MODES

_FLAGS = ("model", "base_url", "adapter", "permission_mode")


def main(argv: Sequence[str]) -> int:
    """Serve an editor on standard input and output until it goes."""
    options = _parser().parse_args(argv)
    try:
        import acp  # noqa: F401
    except ImportError:
        raise UsageError(f"`agent acp` needs its extra: {installing.command('acp')}.") from None
    from agent import interrupt
    from agent.acp.server import serve

    given = {name: getattr(options, name) for name in _FLAGS if getattr(options, name) is not None}
    interrupt.run(serve(given))
    return Exit.OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="agent acp",
        description="Serve the assistant to an editor that speaks the Agent Client Protocol, such "
        "as Zed or a JetBrains IDE. The editor starts this command and says which codebase.",
        allow_abbrev=False,
    )
    flags.add_endpoint(parser)
    parser.add_argument(
        "--permission-mode", choices=MODES, help="to begin with; the editor can change it"
    )
    return parser

"""`python -m agent` is the command `agent`."""

import sys

from agent.cli import main

sys.exit(main())

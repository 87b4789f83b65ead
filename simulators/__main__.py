"""`python -m simulators`: the same as `pumpsim`."""

import sys

from simulators.cli import main

sys.exit(main())

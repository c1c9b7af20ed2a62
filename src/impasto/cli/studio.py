"""The command `impasto studio`."""

from __future__ import annotations

import sys

from impasto.cli.arguments import Studio
from impasto.cli.pictures import PICTURES
from impasto.studio.server import Serving, serve


def run_studio(command: Studio) -> None:
    """Runs the studio until Ctrl-C."""
    serve(
        Serving(
            home=command.home,
            host=command.host,
            port=command.port,
            jobs=command.jobs,
            trust=command.trust,
            password_file=command.password_file,
            browser=command.browser,
            command=[sys.executable, "-m", "impasto.cli.waiting"],
            examples={path.name: path for path in PICTURES},
        )
    )

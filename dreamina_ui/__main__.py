"""`dreamina-ui`, or `python -m dreamina_ui`: the server, and the operator's commands."""

from __future__ import annotations

from dreamina_ui.cli.commands import app, run


@app.command()
def serve() -> None:
    """Run the server until Ctrl+C; its settings are environment variables, see docs/settings.md."""
    from dreamina_ui.web.serve import serve  # it imports the whole page, which no other command needs

    serve()


def main() -> None:
    """Run one command and end with its exit code."""
    run()


if __name__ == "__main__":
    main()

"""The command line `mask-engine`: the commands, and the border where errors become exit codes.

Nothing heavy is imported here or at the top of a command's module, so that `--help` is instant.
"""

from __future__ import annotations

import traceback
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from engine.commands import (
    annotate,
    assist,
    audit,
    auto,
    checkpoints,
    dataset,
    demo,
    embed,
    evaluate,
    export,
    export_onnx,
    import_masks,
    label_studio,
    report,
    run,
    semi,
    serve,
    simulate,
    status,
    train,
    train_detector,
    verify,
)
from engine.console import error_line
from model.allocator import keep_freed_memory
from model.errors import ConfigurationError, MaskEngineError, StoppedByUserError

DONE: Final = 0
WORK_FAILED: Final = 1
BAD_INPUT: Final = 2
STOPPED: Final = 130


class Border(TyperGroup):
    """One of the two places where a broad `except` is right: errors become a line and a code."""

    def invoke(self, ctx: Any) -> Any:
        """Runs the command; 0 done, 1 work failed, 2 bad input, 130 stopped by the user."""
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort):
            raise
        except KeyboardInterrupt:
            error_line("stopped; run the same command again to go on")
            raise typer.Exit(STOPPED) from None
        except Exception as error:
            if _is_usage_error(error) or isinstance(error, BrokenPipeError):
                raise  # typer shows the first as it should be, and knows that nobody reads on
            if ctx.params.get("debug"):
                traceback.print_exc()
            error_line(_one_line(error))
            raise typer.Exit(_exit_code(error)) from None


def _is_usage_error(error: Exception) -> bool:
    """Whether typer shows it best itself (an unknown option, a missing argument)."""
    return hasattr(error, "exit_code") and hasattr(error, "show")


def _exit_code(error: Exception) -> int:
    if isinstance(error, StoppedByUserError):
        return STOPPED
    return BAD_INPUT if isinstance(error, ConfigurationError) else WORK_FAILED


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, MaskEngineError):
        return text
    if isinstance(error, MemoryError):
        return "out of memory; use fewer --workers or a lower limit on pixels"
    kind = type(error).__name__
    return f"unexpected {kind}: {text} (mask-engine --debug COMMAND shows where it happened)"


app = typer.Typer(
    name="mask-engine",
    cls=Border,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Photos in, mask data sets out, and a model that gets better with every round.",
    epilog=(
        "Start here: [bold]mask-engine auto PHOTOS --out RUN[/bold], "
        "then [bold]mask-engine report RUN[/bold]."
    ),
)


def _show_version(wanted: bool) -> None:
    if not wanted:
        return
    try:
        typer.echo(f"mask-engine {version('mask-engine')}")
    except PackageNotFoundError:
        typer.echo("mask-engine (not installed, run from its folder)")
    raise typer.Exit(DONE)


@app.callback()
def root(
    *,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from.")] = False,
    show_version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Photos in, mask data sets out, and a model that gets better with every round."""
    del debug, show_version  # read by `Border` and by the eager callback


def _mount(command_app: typer.Typer) -> None:
    auto.register(command_app)
    status.register(command_app)
    report.register(command_app)
    export.register(command_app)
    export_onnx.register(command_app)
    import_masks.register(command_app)
    embed.register(command_app)
    serve.register(command_app)
    simulate.register(command_app)
    run.register(command_app)
    audit.register(command_app)
    train.register(command_app)
    evaluate.register(command_app)
    train_detector.register(command_app)
    demo.register(command_app)
    annotate.register(command_app)
    command_app.add_typer(checkpoints.app, name="checkpoints")
    command_app.add_typer(label_studio.app, name="label-studio")
    command_app.add_typer(assist.app, name="assist")
    command_app.add_typer(dataset.app, name="dataset")
    command_app.add_typer(semi.app, name="semi")
    command_app.add_typer(verify.app, name="verify")


_mount(app)


def main() -> None:
    """Entry point of the installed command."""
    keep_freed_memory()
    app()


if __name__ == "__main__":
    main()

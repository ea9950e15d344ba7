"""Templates: what a person could have typed before seeing the graph.

The folder `templates/` stands beside the package in a checkout; a wheel carries it inside. This is
the only place that knows.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import jinja2

PACKAGE = Path(__file__).resolve().parent


def template_folder(package: Path = PACKAGE) -> Path:
    """The folder of templates that belongs to the package in `package`.

    The package's own copy goes first: beside an installed package lie other people's folders.
    Raises FileNotFoundError when neither place has one.
    """
    inside, beside = package / "templates", package.parent / "templates"
    for folder in (inside, beside):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(
        f"graphc's templates are missing: neither {inside} (an installed package) nor {beside} "
        "(a checkout) is a folder; install graphc again, or restore the checkout."
    )


@cache
def environment() -> jinja2.Environment:
    """The Jinja environment of all templates: delimiters shaped like C, no name left undefined.

    Nothing is escaped here: whoever fills a template hands over text that is right for its file.
    """
    import jinja2  # here, so that importing graphc does not wait for it

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(template_folder()),
        variable_start_string="${",
        variable_end_string="}",
        block_start_string="/*%",
        block_end_string="%*/",
        comment_start_string="/*#",
        comment_end_string="#*/",
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )


def render(name: str, /, **values: object) -> str:
    """The text of template `name` filled with `values`.

    Raises jinja2.TemplateNotFound for an unknown name, jinja2.UndefinedError for a missing value.
    """
    return environment().get_template(name).render(**values)

"""What the exercises do with a function: its graph, pictures, derivation and C go into a folder."""

import os
import sys
from pathlib import Path

import graphc


def show(fn, types, folder, *, wrt=None, views=("graph",)):
    """Write what graphc makes of fn into folder.

    fn.txt is the graph; fn-graph.svg and the other views are pictures; fn.html is the derivation of
    the gradient; fn.c and fn.h are the function in C, fn_grad.c and fn_grad.h with its gradient.
    """
    graph = graphc.trace(fn, *types)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{graph.name}.txt").write_text(f"{graph}\n")
    written = list(graphc.compile(graph).export(folder))
    if wrt is not None:
        gradient = graph.grad(wrt, value=True)
        written += graphc.compile(gradient, name=f"{graph.name}_grad").export(folder)
        page = folder / f"{graph.name}.html"
        page.write_text(graphc.explain(fn, *types, wrt=wrt).html())
        written.append(page)
    try:
        for view in views:
            picture = folder / f"{graph.name}-{view}.svg"
            shown = graph if wrt is None or view == "network" else gradient
            shown.draw(picture, view=view)
            written.append(picture)
    except graphc.errors.DrawError as error:
        say_once(str(error))
    print(f"{graph.name}: {', '.join(relative(path) for path in written)}")


def relative(path):
    """The path as seen from where the program runs, if that is shorter."""
    return min(os.path.relpath(path), str(path), key=len)


def say_once(sentence, said=set()):  # noqa: B006 -- the set is kept between calls on purpose
    """Print a sentence unless it has been printed."""
    if sentence not in said:
        said.add(sentence)
        print(sentence)


def folder_from_arguments(name):
    """The folder on the command line, or out/name."""
    return Path(sys.argv[1] if len(sys.argv) > 1 else f"out/{name}")

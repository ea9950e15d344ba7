"""What the exercises do with a function: its graph, pictures, derivation and C go into a folder."""

import os
import sys
from pathlib import Path

import graphc


def show(fn, types, folder, *, wrt=None, explain=None, views=("graph",)):
    """Write what graphc makes of fn into folder.

    fn.txt is the graph; fn.c and fn.h are the function in C, fn_grad.c and fn_grad.h with its
    gradient by wrt; fn.html derives the gradient (explain: other arguments of graphc.explain);
    fn-graph.svg and the other views are pictures, of the gradient where there is one.
    """
    graph = drawn = graphc.trace(fn, *types)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{graph.name}.txt").write_text(f"{graph}\n")
    written = list(graphc.compile(graph).export(folder))
    if wrt is not None:
        gradient = graph.grad(wrt, value=True)
        written += graphc.compile(gradient).export(folder)
        drawn = gradient.optimized()
    if wrt is not None or explain is not None:
        derivation = graphc.explain(fn, *types, **(explain or {"wrt": wrt}))
        written.append(derivation.save(folder / f"{graph.name}.html"))
    try:
        for view in views:
            picture = folder / f"{graph.name}-{view}.svg"
            written.append((graph if view == "network" else drawn).draw(picture, view=view))
    except graphc.errors.DrawError as error:
        say_once(f"No pictures: {error}.")
    names = ", ".join(path.name for path in written if path.suffix != ".h")
    print(f"{relative(folder)}/ has {names}")


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

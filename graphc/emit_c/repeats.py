"""Loop nests that stand in several places and differ in names alone: functions, written once.

The layers of a network give the same loops over other arrays. Compilers optimise each of them
anew, which takes most of their time; and a person reads them once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from operator import is_

from graphc.emit_c.shapes import Shape, Shapes
from graphc.frozen import dataclass
from graphc.loops import Call, Comment, If, Loop, Once, Parallel, Program, Stmt, While, bodies
from graphc.lower.naming import Names, own_names
from graphc.lower.work import work
from graphc.types import DType, Size

LEAST_SAVED = 100
"""Statements, functions, reads and literals that need not be written again, for a function."""
MOST_PARAMETERS = 64
MOST_NEIGHBOURS, MOST_FUNCTIONS = 8, 64
"""With how many of the next statements like it one is compared; then time grows as programs do."""
LEAST_WORK = 2000
"""Operations of what loops call again and again."""
PARTS = ("forward", "backward", "update")
PART = re.compile(rf"({'|'.join(PARTS)})( and ({'|'.join(PARTS)}))*")

Body = tuple[Stmt, ...]


@dataclass(frozen=True, slots=True)
class Function:
    """Statements under a name. `arrays` and `scalars` are its parameters."""

    name: str
    part: str
    """forward, backward, ..."""
    arrays: tuple[str, ...]
    stored: frozenset[str]
    """The arrays it writes into."""
    scalars: tuple[tuple[str, DType], ...]
    body: Body
    places: int
    extents: dict[str, Size]
    """Of the loops around its first place, by their variables."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """Arrays to read, numbers, arrays to write."""
        return (
            *(name for name in self.arrays if name not in self.stored),
            *(name for name, _ in self.scalars),
            *(name for name in self.arrays if name in self.stored),
        )


@dataclass(slots=True)
class _List:
    """Statements that follow each other, comments left out."""

    body: Body
    at: list[int]
    """Where they stand in the body."""
    shapes: list[Shape]
    parts: list[str]
    extents: dict[str, Size]
    inside: bool
    """Whether loops run it again and again."""
    last: dict[str, int]
    """The last statement that has a name which another one declares."""


@dataclass(frozen=True, slots=True)
class _Run:
    """Some statements of a list."""

    where: _List
    start: int
    length: int

    @property
    def end(self) -> int:
        return self.start + self.length

    @property
    def shapes(self) -> list[Shape]:
        return self.where.shapes[self.start : self.end]

    @property
    def weight(self) -> int:
        return sum(x.weight for x in self.shapes)

    @property
    def names(self) -> list[str]:
        return [name for x in self.shapes for name in x.names]

    @property
    def first(self) -> int:
        """Where in the body the comments above it begin, without those that say forward, ..."""
        body, place = self.where.body, self.where.at[self.start]
        while place and isinstance(above := body[place - 1], Comment):
            if PART.fullmatch(above.text):
                break
            place -= 1
        return place

    @property
    def statements(self) -> Body:
        """With the comments above the first and between them."""
        return self.where.body[self.first : self.where.at[self.end - 1] + 1]


@dataclass(slots=True)
class _Pairs:
    """Names of one place and those that mean the same at another."""

    there: dict[str, str] = field(default_factory=dict)
    back: dict[str, str] = field(default_factory=dict)

    def add(self, one: Shape, other: Shape) -> bool:
        """Whether different names still mean different ones."""
        there, back = self.there, self.back
        for a, b in zip(one.names, other.names, strict=True):
            if there.setdefault(a, b) != b or back.setdefault(b, a) != a:
                return False
        return True


@dataclass(slots=True)
class _Finder:
    shapes: Shapes
    names: Names
    title: str
    dims: frozenset[str]
    known: dict[tuple[object, ...], tuple[Body, list[_List]]] = field(default_factory=dict)
    """Lists that were made, by the id of the body, which is kept so that no other gets it."""
    compared: dict[tuple[int, ...], tuple[int, int]] = field(default_factory=dict)
    """What `longest` told, by lists and places in them."""

    def lists(self, body: Body, extents: dict[str, Size], part: str, inside: bool) -> list[_List]:
        """Those in which something may repeat, the outer ones first."""
        key = (id(body), part, inside, *extents.items())
        if key not in self.known:
            self.known[key] = body, self.new_lists(body, extents, part, inside)
        return self.known[key][1]

    def new_lists(
        self, body: Body, extents: dict[str, Size], part: str, inside: bool
    ) -> list[_List]:
        found: list[_List] = []
        own = _List(body, [], [], [], extents, inside, {})
        for i, stmt in enumerate(body):
            if isinstance(stmt, Comment):
                part = stmt.text if PART.fullmatch(stmt.text) else part
                continue
            shape = self.shapes.of(stmt)
            own.at.append(i)
            own.shapes.append(shape)
            own.parts.append(part)
            if not shape.loops:
                continue
            around = {**extents, stmt.var: stmt.extent} if isinstance(stmt, Loop) else extents
            within = inside or isinstance(stmt, Loop | While)
            for block in bodies(stmt):
                found += self.lists(block, around, part, within)
        if not any(x.loops for x in own.shapes):
            return []
        bound = frozenset().union(*(x.binds for x in own.shapes))
        for k, shape in enumerate(own.shapes):
            own.last.update(dict.fromkeys(bound.intersection(shape.names), k))
        return [own, *found]

    def longest(self, a: _Run, b: _Run) -> tuple[int, int]:
        """(statements, weight) of the longest run at a that there is also at b."""
        pairs = _Pairs()
        bound: set[str] = set()
        free: set[str] = set()
        assigned: set[str] = set()
        best = weight = total = last = 0
        loops = False
        end = b.start if a.where is b.where else len(a.where.shapes)
        after = zip(a.where.shapes[a.start : end], b.where.shapes[b.start :], strict=False)
        for k, (x, y) in enumerate(after):
            if x.form != y.form or not pairs.add(x, y):
                break
            bound |= x.binds | x.inner
            assigned |= x.assigns
            weight += x.weight
            free.update(set(x.names).difference(bound))
            if len(free) > MOST_PARAMETERS:
                break
            for run, shape in ((a, x), (b, y)):
                for name in shape.binds:
                    last = max(last, run.where.last[name] - run.start)
            loops = loops or x.loops
            if loops and last <= k and assigned <= bound:
                best, total = k + 1, weight
        return best, total

    def places(self, run: _Run, starts: Sequence[_Run]) -> list[_Run]:
        """Where the run stands, no two over each other."""
        found: list[_Run] = []
        for start in starts:
            other = _Run(start.where, start.start, run.length)
            beyond = found and found[-1].where is other.where and found[-1].end > other.start
            if not beyond and self.is_place(run, other):
                found.append(other)
        return found

    def is_place(self, run: _Run, other: _Run) -> bool:
        if len(other.shapes) < run.length:
            return False
        pairs = _Pairs()
        for x, y in zip(run.shapes, other.shapes, strict=True):
            if x.form != y.form or not pairs.add(x, y):
                return False
        last = other.where.last
        if any(last[name] >= other.end for shape in other.shapes for name in shape.binds):
            return False
        here, there = run.where.extents, other.where.extents
        return all(here.get(a) == there.get(b) for a, b in pairs.there.items())

    def best(self, lists: Sequence[_List]) -> list[_Run]:
        """The places of the run that saves most; none if that is too little."""
        starts: dict[int, list[_Run]] = {}
        for where in lists:
            for k, shape in enumerate(where.shapes):
                if shape.loops or shape.binds:
                    starts.setdefault(shape.form, []).append(_Run(where, k, 1))
        found: list[_Run] = []
        saved = LEAST_SAVED - 1
        for most, run in self.candidates(starts):
            if most <= saved:
                break
            if run.where.inside and not self.is_worth(run):
                continue
            places = self.places(run, starts[run.shapes[0].form])
            now = run.weight * (len(places) - 1)
            if now > saved:
                saved, found = now, places
        return found

    def candidates(self, starts: Mapping[int, list[_Run]]) -> list[tuple[int, _Run]]:
        """(the most it can save, the first of its kind) of runs, by what they save."""
        tried: dict[tuple[object, ...], tuple[int, _Run]] = {}
        for same in starts.values():
            for i, a in enumerate(same):
                for b in same[i + 1 : i + 1 + MOST_NEIGHBOURS]:
                    key = (id(a.where), a.start, id(b.where), b.start)
                    if key not in self.compared:
                        self.compared[key] = self.longest(a, b)
                    length, weight = self.compared[key]
                    if weight * (len(same) - 1) < LEAST_SAVED:
                        continue
                    run = _Run(a.where, a.start, length)
                    forms = tuple(x.form for x in run.shapes)
                    most = weight * (len(same) // forms.count(forms[0]) - 1)
                    tried.setdefault((forms, *_numbered(run.names)), (most, run))
        return sorted(tried.values(), key=lambda pair: -pair[0])

    def is_worth(self, run: _Run) -> bool:
        """Whether what it does takes much longer than a call."""
        done = work(run.statements, self.dims, run.where.extents)
        return not isinstance(done, int) or done >= LEAST_WORK

    def function(self, places: Sequence[_Run]) -> Function:
        run = places[0]
        bound = frozenset().union(*(x.binds | x.inner for x in run.shapes))
        names = dict.fromkeys(n for n in run.names if n not in bound)
        scalars = {n: dtype for x in run.shapes for n, dtype in x.scalars.items() if n in names}
        said = " ".join(run.where.parts[run.start : run.end])
        part = "_and_".join(p for p in PARTS if p in said) or "part"
        return Function(
            self.names.take(f"{self.title}_{part}"),
            part.replace("_", " "),
            tuple(n for n in names if n not in scalars),
            frozenset().union(*(x.stores for x in run.shapes)),
            tuple((n, scalars[n]) for n in names if n in scalars),
            run.statements,
            len(places),
            {n: e for n, e in run.where.extents.items() if n in names},
        )


def shared(program: Program, body: Body) -> tuple[tuple[Function, ...], Body]:
    """(functions, the body with calls of them); those that call others come after these."""
    if program.trap:  # whose checks tell places apart
        return (), body
    tables = frozenset(x.name for x in program.tables)
    arrays = [x.name for x in (*program.inputs, *program.outputs)]
    arrays += [x.name for x in program.buffers]
    own = (program.name, *program.dims, *own_names(program.name))
    finder = _Finder(
        Shapes(tables),
        Names((*own, *tables, *arrays)),
        program.name,
        frozenset(program.dims),
    )
    made: dict[str, Function] = {}
    while True:
        lists = finder.lists(body, {}, "", False)
        for function in made.values():
            lists = lists + finder.lists(function.body, function.extents, function.part, False)
        places = finder.best(lists)
        if not places or len(made) == MOST_FUNCTIONS:
            return tuple(_in_order(made)), body
        new = finder.function(places)
        calls = _calls(new, places)
        body = _with_calls(body, calls)
        made = {f.name: replace(f, body=_with_calls(f.body, calls)) for f in made.values()}
        made[new.name] = new


def _numbered(names: Sequence[str]) -> list[int]:
    """Each name as the number of names before its first."""
    order: dict[str, int] = {}
    return [order.setdefault(name, len(order)) for name in names]


Calls = dict[int, list[tuple[int, int, Body]]]
"""Of a body, by its id: (start, end, what comes there instead)."""


def _calls(function: Function, places: Sequence[_Run]) -> Calls:
    found: Calls = {}
    for run in places:
        names = dict(zip(places[0].names, run.names, strict=True))
        call = Call(
            function.name,
            tuple(names[x] for x in function.parameters),
            tuple(names[x] for x in function.parameters if x in function.stored),
            tuple((names[x], dtype) for x, dtype in function.scalars),
        )
        start, end = run.where.at[run.start], run.where.at[run.end - 1] + 1
        skipped = [x for x in run.where.body[start:end] if isinstance(x, Comment)]
        heads = [x for x in skipped if PART.fullmatch(x.text)]
        found.setdefault(id(run.where.body), []).append((start, end, (call, *heads[-1:])))
    return found


def _with_calls(body: Body, calls: Calls) -> Body:
    runs = {start: (end, put) for start, end, put in calls.get(id(body), ())}
    made: list[Stmt] = []
    k = 0
    while k < len(body):
        if k in runs:
            k, put = runs[k]
            made += put
            continue
        made.append(_inside(body[k], calls))
        k += 1
    same = len(made) == len(body) and all(map(is_, made, body))
    return body if same else tuple(made)


def _inside(stmt: Stmt, calls: Calls) -> Stmt:
    match stmt:
        case Loop() | Parallel() | Once():
            body = _with_calls(stmt.body, calls)
            return stmt if body is stmt.body else replace(stmt, body=body)
        case While():
            test, body = _with_calls(stmt.test, calls), _with_calls(stmt.body, calls)
            same = test is stmt.test and body is stmt.body
            return stmt if same else replace(stmt, test=test, body=body)
        case If():
            then, other = _with_calls(stmt.then, calls), _with_calls(stmt.other, calls)
            same = then is stmt.then and other is stmt.other
            return stmt if same else replace(stmt, then=then, other=other)
    return stmt


def _in_order(functions: Mapping[str, Function]) -> Iterator[Function]:
    """Callees first."""
    done: set[str] = set()

    def visit(function: Function) -> Iterator[Function]:
        if function.name in done:
            return
        done.add(function.name)
        for call in calls_in(function.body):
            yield from visit(functions[call.function])
        yield function

    for function in functions.values():
        yield from visit(function)


def calls_in(body: Body) -> Iterator[Call]:
    for stmt in body:
        if isinstance(stmt, Call):
            yield stmt
        for block in bodies(stmt):
            yield from calls_in(block)

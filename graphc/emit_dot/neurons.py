"""A graph read as a network: neurons, what weighs their inputs, and what activates them."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace

from graphc.emit_dot.activations import PLAIN, activation
from graphc.emit_dot.roles import Roles, is_weighing, roles
from graphc.graph import Graph, Node

ADDITIVE = frozenset({"add", "subtract", "negative", "sum"})
THROUGH = frozenset({"reshape", "transpose", "broadcast_to", "cast"})
"""Views that never become a neuron of their own."""

LONGEST = 40
"""Steps after a weighted sum among which its activation is looked for."""


@dataclass(frozen=True, slots=True)
class Arrow:
    """One value flows into another, weighed by parameters (none: as it is)."""

    source: Node
    weights: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Neuron:
    """A value of the picture: a neuron, a layer of them, a loss, or any named intermediate.

    `before` is the pre-activation that `node` activates, `function` the usual name of how.
    """

    node: Node
    before: Node | None
    function: str | None
    arrows: tuple[Arrow, ...]
    added: tuple[Node, ...]
    """Parameters added to it: biases."""
    part: str
    """input, hidden, output, target or loss."""


@dataclass(frozen=True)
class Network:
    neurons: tuple[Neuron, ...]
    roles: Roles


@dataclass
class Reader:
    """Decides which values are seen, and finds what leads from one to the next."""

    roles: Roles
    place: dict[Node, int] = field(default_factory=dict)
    weighted: set[Node] = field(default_factory=set)
    seen: set[Node] = field(default_factory=set)
    before: dict[Node, Node] = field(default_factory=dict)
    functions: dict[Node, str] = field(default_factory=dict)

    def read(self) -> Network:
        facts = self.roles
        self.place = {node: i for i, node in enumerate(facts.order)}
        self.find_weighted()
        for node in facts.order:
            if node in facts.data and self.is_value(node):
                self.seen.add(node)
        for node in facts.order:
            if node in self.seen and node.op.name != "input":
                self.activate(node)
        inner = set(self.before.values())
        outer = [x for x in facts.order if x in self.seen and x not in inner]
        found = [self.neuron(x) for x in outer if x in facts.users or x in facts.ends]
        judged = {arrow.source for x in found if x.part == "loss" for arrow in x.arrows}
        return Network(
            tuple(
                replace(x, part="output")
                if x.part == "hidden" and {x.node, x.before} & judged
                else x
                for x in found
            ),
            facts,
        )

    # --- which values are seen -----------------------------------------------------------------

    def is_value(self, node: Node) -> bool:
        """Data inputs, outputs, what the user named, and sums of weighed inputs."""
        facts = self.roles
        if node in facts.ends or node.op.name == "input":
            return True
        if node.op.name in THROUGH or node.dtype.kind != "f":
            return False
        users = facts.users.get(node, ())
        if node.name:
            return not (node in self.weighted and len(users) == 1 and self.adds_bias(users[0]))
        return node in self.weighted and not any(map(self.grows, users))

    def grows(self, user: Node) -> bool:
        """Whether a sum goes on in one of its users; a mere sign or view does not say so."""
        if user.op.name in THROUGH or user.op.name == "negative":
            return any(map(self.grows, self.roles.users.get(user, ())))
        return user.op.name in ADDITIVE and user in self.weighted

    def adds_bias(self, node: Node) -> bool:
        facts = self.roles
        return (
            node.op.name == "add"
            and bool(node.name or node in facts.ends)
            and any(x in facts.parameters for x in node.operands)
        )

    def find_weighted(self) -> None:
        """Sums with a weighed input in them, their own or an unnamed value's."""
        facts = self.roles
        for node in facts.order:
            if node not in facts.data:
                continue
            inherits = node.op.name in ADDITIVE | THROUGH and any(
                x in self.weighted for x in node.operands if not x.name or self.adds_bias(node)
            )
            if inherits or is_weighing(node, facts.data, facts.parameters):
                self.weighted.add(node)

    # --- activations ---------------------------------------------------------------------------

    def activate(self, z: Node) -> None:
        """Pair a weighted sum with what is a function of it alone and has its shape."""
        if z not in self.weighted or z in self.before:
            return
        alone = self.functions_of(z)
        chosen = self.chosen(z, alone, usual := self.usual(z, alone))
        if chosen is None:
            return
        self.before[chosen] = z
        self.seen.add(chosen)
        if name := usual[chosen]:
            self.functions[chosen] = name
        inside = self.between(z, chosen)
        for x in inside:
            if all(user in inside or user is chosen for user in self.roles.users.get(x, ())):
                self.seen.discard(x)

    def usual(self, z: Node, alone: list[Node]) -> dict[Node, str | None]:
        """What of the shape of z is a function of z, with its usual name, up to the first known."""
        found: dict[Node, str | None] = {}
        for x in alone:
            if x.shape == z.shape:
                found[x] = activation(z, x)
                if x in self.seen and found[x] and found[x] not in PLAIN:
                    break
        return found

    def chosen(self, z: Node, alone: list[Node], usual: dict[Node, str | None]) -> Node | None:
        """A known activation before a named value, that before the only one that goes on."""
        known = [x for x, name in usual.items() if name and name not in PLAIN]
        named = [x for x in usual if x in self.seen]
        inside = set(alone)
        exits = [
            x
            for x in (z, *alone)
            if x in self.roles.ends or not inside.issuperset(self.roles.users.get(x, ()))
        ]
        last = [exits[0]] if len(exits) == 1 and exits[0] in usual else []
        ranked = [*(x for x in known if x in named), *known, *named, *last]
        if not ranked or (ranked[0] not in named and ranked[0] not in exits):
            return None
        return ranked[0]

    def functions_of(self, z: Node) -> list[Node]:
        """The first few nodes that depend on data through z only and on no weight, in order."""
        facts = self.roles
        found: dict[Node, None] = {z: None}
        ready = [(self.place[user], user) for user in facts.users.get(z, ())]
        heapq.heapify(ready)
        while ready and len(found) <= LONGEST:
            _, node = heapq.heappop(ready)
            moving = (x for x in node.operands if x in facts.data or x in facts.parameters)
            if node not in found and all(x in found for x in moving):
                found[node] = None
                for user in facts.users.get(node, ()):
                    heapq.heappush(ready, (self.place[user], user))
        return [x for x in found if x is not z]

    def between(self, z: Node, a: Node) -> set[Node]:
        """What lies strictly between z and a."""
        inside, stack = set[Node](), [*a.operands]
        while stack:
            node = stack.pop()
            if node is not z and node in self.roles.data and node not in inside:
                inside.add(node)
                stack.extend(node.operands)
        return inside

    # --- what leads into a value ---------------------------------------------------------------

    def neuron(self, node: Node) -> Neuron:
        start = self.before.get(node, node)
        arrows: dict[Node, dict[Node, None]] = {}
        added: dict[Node, None] = {}
        if start.operands:
            for source, weights in self.paths(start):
                if source in self.roles.data:
                    arrows.setdefault(source, {}).update(dict.fromkeys(weights))
                else:
                    added[source] = None
        return Neuron(
            node,
            self.before.get(node),
            self.functions.get(node),
            tuple(Arrow(source, tuple(weights)) for source, weights in arrows.items()),
            tuple(added),
            self.part(node),
        )

    def paths(self, start: Node) -> Iterator[tuple[Node, tuple[Node, ...]]]:
        """(value or parameter, the weights on the way) for all that `start` is made of."""
        facts = self.roles
        stack: list[tuple[Node, tuple[Node, ...]]] = [(start, ())]
        met = set(stack)
        while stack:
            node, weights = stack.pop()
            if node is not start and (node in self.seen or node in facts.parameters):
                yield node, weights
                continue
            weighs = is_weighing(node, facts.data, facts.parameters)
            mine = tuple(x for x in node.operands if weighs and x in facts.parameters)
            for x in reversed(node.operands):
                step = (x, (*weights, *mine))
                if (
                    (x in facts.data or x in facts.parameters)
                    and x not in mine
                    and (step not in met)
                ):
                    met.add(step)
                    stack.append(step)

    def part(self, node: Node) -> str:
        facts = self.roles
        if node.op.name == "input":
            return "target" if node in facts.late else "input"
        if node in facts.late:
            return "loss"
        return "output" if node in facts.ends else "hidden"


def read_network(graph: Graph, weights: Collection[str] | None = None) -> Network:
    """The network that a graph's forward part is.

    Args:
        weights: names of the inputs that are weights; None finds them by name and use.

    Raises:
        DrawError: a name in `weights` is no input's.
    """
    return Reader(roles(graph, weights)).read()
